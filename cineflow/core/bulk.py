"""Thousands of rows at once: COPY on PostgreSQL, `executemany` elsewhere.

Model instances and `bulk_create` cost more than the rows themselves: an instance per row, and on
PostgreSQL a statement text that holds every value.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from django.db import connection, models, transaction
from django.db.models.expressions import DatabaseDefault

# Fields whose values the driver cannot write by itself, or slower than is done here; asking the
# field for every value is slow.
_WRITTEN_AS_TEXT = (models.UUIDField, models.DateTimeField)
_ADAPTED_BY_THE_FIELD = (
    models.UUIDField,
    models.DateField,
    models.TimeField,
    models.DurationField,
    models.DecimalField,
)
_ROWS_AT_A_TIME = 1000

Adapter = Callable[[Any], Any]
Column: TypeAlias = "models.Field[Any, Any]"  # in quotes: only the stubs have type parameters


def insert(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Writes all `rows` or none. `columns` are field names (`run` and `run_id` mean the same).

    Values are what the fields hold in Python (a UUID, a datetime, a dict); a foreign key's is the
    key itself. Defaults of the model are not applied: a column left out gets NULL.
    """
    fields = [_column(model, name) for name in columns]
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(field.column)) for field in fields)
    target = f"{quote(model._meta.db_table)} ({names})"
    write = _copy if connection.vendor == "postgresql" else _execute_many
    with transaction.atomic(savepoint=False):
        write(target, len(fields), _adapted_rows(fields, rows))


def insert_all(model: type[models.Model], instances: Sequence[models.Model]) -> None:
    """Writes new instances, every field as it is set there. Signals and `save` are not called.

    A field that is set in none of them gets the default of the database.
    """
    if not instances:
        return
    fields = [
        field
        for field in model._meta.concrete_fields
        if any(not isinstance(getattr(one, field.attname), DatabaseDefault) for one in instances)
    ]
    rows = ([getattr(instance, field.attname) for field in fields] for instance in instances)
    insert(model, [field.name for field in fields], rows)


def _column(model: type[models.Model], name: str) -> Column:
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field) or field.column is None:
        raise TypeError(f"{model.__name__}.{name} has no column")
    return field


def _copy(target: str, width: int, rows: Iterable[Sequence[object]]) -> None:
    # Django turns the driver's errors into its own for `execute`, not for `copy`.
    errors = connection.wrap_database_errors
    with errors, connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _execute_many(target: str, width: int, rows: Iterable[Sequence[object]]) -> None:
    places = ", ".join(["%s"] * width)
    statement = f"INSERT INTO {target} VALUES ({places})"  # noqa: S608 - names of the model
    rows = iter(rows)
    with connection.cursor() as cursor:
        # Not all at once: Django's cursor keeps every row that it is given until the end.
        while some := list(islice(rows, _ROWS_AT_A_TIME)):
            cursor.executemany(statement, some)  # type: ignore[arg-type]  # any values


def _adapted_rows(
    fields: Sequence[Column], rows: Iterable[Sequence[object]]
) -> Iterator[Sequence[object]]:
    """The rows with their values as the driver takes them."""
    adapters = [
        (index, adapter) for index, field in enumerate(fields) if (adapter := _adapter(field))
    ]
    for row in rows:
        values = list(row)
        for index, adapt in adapters:
            values[index] = adapt(values[index])
        yield values


def adapted(field: Column, cells: Iterable[Any]) -> list[Any]:
    """A column's values as the driver takes them."""
    adapt = _adapter(field)
    return list(cells) if adapt is None else list(map(adapt, cells))


def _adapter(field: Column) -> Adapter | None:
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    if isinstance(field, models.JSONField):
        # Characters as they are: as escapes, Chinese takes twice the room and the time.
        return _once((field.encoder or json.JSONEncoder)(ensure_ascii=False).encode)
    if connection.vendor == "postgresql":
        return _once(str) if isinstance(field, _WRITTEN_AS_TEXT) else None
    if isinstance(field, _ADAPTED_BY_THE_FIELD):
        return _once(partial(field.get_db_prep_save, connection=connection))
    return None


def _once(adapt: Adapter) -> Adapter:
    """Rows that share an object (their run, the time, a snapshot) follow each other: it is adapted once."""
    last = result = None

    def adapted_before_or_now(value: Any) -> Any:
        nonlocal last, result
        if value is not last:
            last, result = value, None if value is None else adapt(value)
        return result

    return adapted_before_or_now
