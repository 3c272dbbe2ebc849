"""Thousands of rows at once: COPY on PostgreSQL, `executemany` elsewhere.

Model instances and `bulk_create` cost more than the rows themselves: an instance per row, and on
PostgreSQL a statement text that holds every value.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from django.db import connection, models, transaction

# What only PostgreSQL's driver can write by itself; asking the field for every value is slow.
_ADAPTED_BUT_BY_POSTGRES = (
    models.UUIDField,
    models.DateField,
    models.TimeField,
    models.DurationField,
    models.DecimalField,
)

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
    with connection.cursor() as cursor:
        statement = f"INSERT INTO {target} VALUES ({places})"  # noqa: S608 - names of the model
        cursor.executemany(statement, rows)  # type: ignore[arg-type]  # any iterable


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
        return _json_writer(field)
    if connection.vendor != "postgresql" and isinstance(field, _ADAPTED_BUT_BY_POSTGRES):
        return partial(field.get_db_prep_save, connection=connection)
    return None


def _json_writer(field: "models.JSONField[Any]") -> Adapter:
    # Characters as they are: as escapes, Chinese takes twice the room and more than twice the time.
    encode = (field.encoder or json.JSONEncoder)(ensure_ascii=False).encode
    last: Any = None
    text: str | None = None

    def write(value: Any) -> str | None:
        # An object that several rows share is written once; they stand one after the other.
        nonlocal last, text
        if value is not last:
            last, text = value, None if value is None else encode(value)
        return text

    return write
