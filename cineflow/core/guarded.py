"""Many rows written at once, each only if it still is what the writer believes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, models


@dataclass(frozen=True, slots=True)
class Change:
    """New values for one row, and what must still be true of it. Keys are field names."""

    pk: UUID
    expected: Mapping[str, Any]
    values: Mapping[str, Any]


def write(model: type[models.Model], changes: Sequence[Change]) -> set[UUID]:
    """Apply the changes whose row is as expected; returns the keys of those rows.

    One statement for all changes of the same shape: ``WITH v AS (VALUES …) UPDATE … FROM v``.
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
    fields: list[Any] = [model._meta.get_field(name) for name in (model._meta.pk.name, *expected, *values)]  # type: ignore[union-attr]
    names = [f"c{number}" for number in range(len(fields))]
    table = connection.ops.quote_name(model._meta.db_table)
    key = f"{table}.{connection.ops.quote_name(fields[0].column)}"
    last = 1 + len(expected)
    matches = [
        f"{table}.{connection.ops.quote_name(field.column)} = v.{name}"
        for field, name in zip(fields[:last], names[:last], strict=True)
    ]
    assigned = [
        f"{connection.ops.quote_name(field.column)} = v.{name}"
        for field, name in zip(fields[last:], names[last:], strict=True)
    ]
    sql = (
        f"WITH v({', '.join(names)}) AS (VALUES {_rows(fields, len(group))}) "  # noqa: S608 - names are ours
        f"UPDATE {table} SET {', '.join(assigned)} FROM v WHERE {' AND '.join(matches)} RETURNING {key}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, _parameters(fields, expected, values, group))
        return {row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in cursor.fetchall()}


def _rows(fields: Sequence[Any], count: int) -> str:
    plain = f"({', '.join(['%s'] * len(fields))})"
    if connection.vendor != "postgresql":
        return ", ".join([plain] * count)
    # PostgreSQL reads a bare literal in VALUES as text; the first row decides the type of a column.
    typed = f"({', '.join(f'CAST(%s AS {_type(field)})' for field in fields)})"
    return ", ".join([typed, *[plain] * (count - 1)])


def _type(field: Any) -> str:
    # A cast to varchar(n) cuts silently; the assignment to the column is what shall complain.
    name: str = field.db_type(connection)
    return "text" if name.startswith("varchar") else name


def _parameters(
    fields: Sequence[Any], expected: Sequence[str], values: Sequence[str], group: Sequence[Change]
) -> list[Any]:
    parameters = []
    for change in group:
        row = (change.pk, *(change.expected[name] for name in expected), *(change.values[name] for name in values))
        parameters += [
            field.get_db_prep_save(value, connection=connection) for field, value in zip(fields, row, strict=True)
        ]
    return parameters
