"""Many rows written at once, each only if it still is what the writer believes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, models

from cineflow.core.bulk import adapted


@dataclass(frozen=True, slots=True)
class Change:
    """New values for one row, and what must still be true of it. Keys are field names."""

    pk: UUID
    expected: Mapping[str, Any]
    values: Mapping[str, Any]


def write(model: type[models.Model], changes: Sequence[Change]) -> set[UUID]:
    """Apply the changes whose row is as expected; returns the keys of those rows.

    One statement for all changes of the same shape: ``WITH v AS (…) UPDATE … FROM v``.
    """
    by_shape: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Change]] = {}
    for change in changes:
        by_shape.setdefault((tuple(change.expected), tuple(change.values)), []).append(change)
    written: set[UUID] = set()
    for (expected, values), group in by_shape.items():
        # SQLite takes 32,766 parameters in a statement.
        size = 30_000 // (1 + len(expected) + len(values))
        for start in range(0, len(group), size):
            written |= _write_group(model, expected, values, group[start : start + size])
    return written


def _write_group(
    model: type[models.Model],
    expected: Sequence[str],
    values: Sequence[str],
    group: Sequence[Change],
) -> set[UUID]:
    columns = _columns(model, expected, values, group)
    conditions, assigned = columns[: 1 + len(expected)], columns[1 + len(expected) :]
    varying = [column for column in columns if column.in_rows is not None]
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(column.name for column in varying)
    setting = ", ".join(f"{column.target} = {column.value}" for column in assigned)
    holding = " AND ".join(f"{table}.{column.target} = {column.value}" for column in conditions)
    sql = (
        f"WITH v({names}) AS ({_source(varying, len(group))}) "  # noqa: S608 - names are ours
        f"UPDATE {table} SET {setting} FROM v WHERE {holding} RETURNING {table}.{columns[0].target}"
    )
    said = [parameter for column in (*assigned, *conditions) for parameter in column.said]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_parameters(varying), *said])
        return {row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the changes: what of it stands in the rows of `v`, and the expression that makes a value of that."""

    name: str
    target: str  # the table's column
    value: str
    said: Sequence[Any] = ()  # the parameters of `value`
    in_rows: Sequence[Any] | None = None
    type: str = ""  # of what is in the rows


def _columns(
    model: type[models.Model],
    expected: Sequence[str],
    values: Sequence[str],
    group: Sequence[Change],
) -> list[_Column]:
    cells = [[change.expected[name] for change in group] for name in expected]
    cells += [[change.values[name] for change in group] for name in values]
    fields = [model._meta.get_field(name) for name in (*expected, *values)]
    # The key always stands in the rows, so that there is always something to join.
    key = _varying("c0", model._meta.pk, [change.pk for change in group])
    return [
        key,
        *(
            _column(f"c{number}", *each)
            for number, each in enumerate(zip(fields, cells, strict=True), 1)
        ),
    ]


def _column(name: str, field: Any, cells: Sequence[Any]) -> _Column:
    if all(cell is cells[0] or _equal(cell, cells[0]) for cell in cells):
        return _Column(name, _target(field), "%s", said=adapted(field, cells[:1]))
    if connection.vendor == "postgresql" and isinstance(field, models.JSONField):
        return _pointing(name, field, cells)
    return _varying(name, field, cells)


def _equal(one: Any, other: Any) -> bool:
    # Containers only by identity: to Python, {"a": 1} and {"a": True} are equal.
    return type(one) is type(other) and not isinstance(one, dict | list) and bool(one == other)


def _varying(name: str, field: Any, cells: Sequence[Any]) -> _Column:
    if isinstance(field, models.DecimalField | models.FloatField):
        # The driver makes no array of an int and a Decimal.
        cells = [field.to_python(cell) for cell in cells]
    return _Column(
        name, _target(field), f"v.{name}", in_rows=adapted(field, cells), type=_type(field)
    )


def _pointing(name: str, field: Any, cells: Sequence[Any]) -> _Column:
    """Many rows often share one object: each is sent once, in one list, and the rows say its place in it."""
    shared = {id(cell): cell for cell in cells if cell is not None}
    places = {key: place for place, key in enumerate(shared)}
    said = adapted(field, [list(shared.values())])
    in_rows = [places.get(id(cell)) for cell in cells]
    return _Column(name, _target(field), f"(%s::jsonb -> v.{name})", said, in_rows, "integer")


def _target(field: Any) -> str:
    return connection.ops.quote_name(field.column)


def _source(varying: Sequence[_Column], count: int) -> str:
    if connection.vendor == "postgresql":
        # One array a column: thousands of single parameters take longer to bind than the rows to write.
        arrays = ", ".join(f"%s::{column.type}[]" for column in varying)
        return f"SELECT * FROM unnest({arrays})"  # noqa: S608 - types of the model's columns
    row = f"({', '.join(['%s'] * len(varying))})"
    return f"VALUES {', '.join([row] * count)}"


def _parameters(varying: Sequence[_Column]) -> list[Any]:
    columns = [column.in_rows or () for column in varying]
    if connection.vendor == "postgresql":
        return list(columns)
    return [cell for row in zip(*columns, strict=True) for cell in row]


def _type(field: Any) -> str:
    # A cast to varchar(n) cuts silently; the assignment to the column is what shall complain.
    name: str = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return "text" if name.startswith("varchar") else name
