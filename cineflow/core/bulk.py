"""Thousands of rows at once: COPY on PostgreSQL, `executemany` elsewhere.

Model instances and `bulk_create` cost more than the rows themselves: an instance per row, and on
PostgreSQL a statement text that holds every value.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from django.db import connection, models, transaction

# What each database's driver cannot write by itself; asking the field for every value is slow.
_ADAPTED_FOR_POSTGRES = (models.JSONField,)
_ADAPTED_ELSEWHERE = (
    models.JSONField,
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


def adapted(field: Column, cells: Sequence[Any]) -> Sequence[Any]:
    """A column's values as the driver takes them."""
    adapt = _adapter(field)
    if adapt is None:
        return cells
    # Many rows often share one object: it is adapted once. (`cells` keeps the objects, and so their ids.)
    known = {id(cell): cell for cell in cells}
    adapted_once = {key: adapt(cell) for key, cell in known.items()}
    return [adapted_once[id(cell)] for cell in cells]


def _adapter(field: Column) -> Adapter | None:
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    adapted = _ADAPTED_FOR_POSTGRES if connection.vendor == "postgresql" else _ADAPTED_ELSEWHERE
    if isinstance(field, adapted):
        return partial(field.get_db_prep_save, connection=connection)
    return None
