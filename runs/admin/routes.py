"""A routing decision as a table: who was considered, with what values, and why who was taken."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs.admin import shown

_Row = Mapping[str, Any]

# The heading of a column, and its cell; one that says nothing of any candidate is left out.
_COLUMNS: tuple[tuple[str, Callable[[_Row], object]], ...] = (
    ("Provider", lambda row: row.get("provider_id")),
    ("Model", lambda row: row.get("provider_model_id")),
    ("Taken", lambda row: shown.badge("taken") if row.get("taken") else "not taken"),
    ("Why", lambda row: row.get("why")),
    ("Length", lambda row: _with(row.get("asked_seconds"), "{} s")),
    ("Price", lambda row: _price(row)),
    ("Latency", lambda row: _latency(row)),
    ("Free", lambda row: _free(row)),
    ("Balance", lambda row: _balance(row)),
    ("Priority", lambda row: row.get("priority")),
    ("Weight", lambda row: row.get("weight")),
)


def table(decision: object) -> SafeString | str:
    """What is not shaped like a decision is shown as it is stored."""
    candidates = decision.get("candidates") if isinstance(decision, Mapping) else None
    if not isinstance(decision, Mapping) or not isinstance(candidates, list):
        return shown.document(decision)
    return shown.together(_facts(decision), _table(candidates))


def folded(decision: object) -> SafeString | str:
    if not decision:
        return ""
    return format_html("<details><summary>Routing</summary>{}</details>", table(decision))


def _facts(decision: _Row) -> SafeString:
    told = (
        ("strategy", decision.get("strategy")),
        ("conform", decision.get("conform")),
        ("length", _length(decision)),
        ("why", decision.get("reason")),
        ("looked at", decision.get("looked_at")),
        ("decided at", decision.get("decided_at")),
    )
    return shown.facts((name, value) for name, value in told if value)


def _table(candidates: list[_Row]) -> SafeString:
    columns = [
        (name, cells) for name, cell in _COLUMNS if any(cells := [cell(row) for row in candidates])
    ]
    heads = format_html_join("", "<th>{}</th>", [(name,) for name, _ in columns])
    rows = zip(*(cells for _, cells in columns), strict=True)
    told = [
        (format_html_join("", "<td>{}</td>", [(_shown(cell),) for cell in row]),) for row in rows
    ]
    body = format_html_join("", "<tr>{}</tr>", told)
    return format_html(
        '<div class="cf-wide"><table class="cf-table"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        *(heads, body),
    )


def _shown(cell: object) -> object:
    return shown.NOTHING if cell is None or cell == "" else cell


def _length(decision: _Row) -> str:
    wanted, made = decision.get("requested_seconds"), decision.get("asked_seconds")
    if made is None or made == wanted:
        return _with(wanted, "{} s")
    return f"{made} s instead of {wanted} s"


def _price(row: _Row) -> str:
    second = _with(row.get("price_per_second"), " (${:g} a second)")
    return _with(row.get("price"), "${:g}") + second


def _latency(row: _Row) -> str:
    half, most = row.get("latency_p50"), row.get("latency_p95")
    return _with(half, "p50 {:.0f} s") + _with(most, ", p95 {:.0f} s")


def _free(row: _Row) -> str:
    if row.get("held_until"):
        return f"held until {row['held_until']}"
    slots = _with(row.get("free_slots"), "{}") + _with(row.get("free_share"), " ({:.0%})")
    return slots + _with(row.get("left_this_minute"), ", {} this minute")


def _balance(row: _Row) -> str:
    return _with(row.get("balance"), "{:g}") + _with(row.get("balance_currency"), " {}")


def _with(value: Any, words: str) -> str:
    return "" if value is None else words.format(value)
