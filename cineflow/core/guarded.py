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
    model: type[models.Model], expected: Sequence[str], values: Sequence[str], group: Sequence[Change]
) -> set[UUID]:
    columns = _columns(model, expected, values, group)
    conditions, assigned = columns[: 1 + len(expected)], columns[1 + len(expected) :]
    varying = [column for column in columns if column.varies]
    same = [column for column in (*assigned, *conditions) if not column.varies]
    table = connection.ops.quote_name(model._meta.db_table)
    sql = (
        f"WITH v({', '.join(column.name for column in varying)}) AS ({_source(varying, len(group))}) "  # noqa: S608 - names are ours
        f"UPDATE {table} SET {', '.join(f'{column.target} = {column.value}' for column in assigned)} FROM v "
        f"WHERE {' AND '.join(f'{table}.{column.target} = {column.value}' for column in conditions)} "
        f"RETURNING {table}.{columns[0].target}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_parameters(varying), *(column.cells[0] for column in same)])
        return {row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the changes: its cells as the driver takes them."""

    name: str
    target: str  # the table's column
    field: Any
    cells: Sequence[Any]
    varies: bool  # else it is the same in all changes, and said once

    @property
    def value(self) -> str:
        return f"v.{self.name}" if self.varies else "%s"


def _columns(
    model: type[models.Model], expected: Sequence[str], values: Sequence[str], group: Sequence[Change]
) -> list[_Column]:
    facts = [
        ("pk", [change.pk for change in group]),
        *((name, [change.expected[name] for change in group]) for name in expected),
        *((name, [change.values[name] for change in group]) for name in values),
    ]
    return [_column(model, number, name, cells) for number, (name, cells) in enumerate(facts)]


def _column(model: type[models.Model], number: int, name: str, cells: list[Any]) -> _Column:
    field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    first = cells[0]
    # The key always comes in rows, so that there is always something to join.
    varies = number == 0 or any(cell is not first and not _same(cell, first) for cell in cells)
    if not varies:
        cells = cells[:1]
    return _Column(f"c{number}", connection.ops.quote_name(field.column), field, adapted(field, cells), varies)


def _same(cell: Any, other: Any) -> bool:
    # Containers are compared by identity only: to Python, {"a": 1} and {"a": True} are equal.
    return type(cell) is type(other) and not isinstance(cell, dict | list) and bool(cell == other)


def _source(varying: Sequence[_Column], count: int) -> str:
    if connection.vendor == "postgresql":
        # One array a column: thousands of single parameters take longer to bind than the rows to write.
        return f"SELECT * FROM unnest({', '.join(f'%s::{_type(column.field)}[]' for column in varying)})"
    row = f"({', '.join(['%s'] * len(varying))})"
    return f"VALUES {', '.join([row] * count)}"


def _parameters(varying: Sequence[_Column]) -> list[Any]:
    if connection.vendor == "postgresql":
        return [column.cells for column in varying]
    return [cell for row in zip(*(column.cells for column in varying), strict=True) for cell in row]


def _type(field: Any) -> str:
    # A cast to varchar(n) cuts silently; the assignment to the column is what shall complain.
    name: str = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return "text" if name.startswith("varchar") else name
