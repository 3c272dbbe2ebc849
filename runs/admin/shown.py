"""How values look in the admin: pieces of HTML. A colour never stands without its word."""

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from cineflow.core import ids
from runs.decisions import Stakes
from runs.models import Attempt, Run, Status, Task

NOTHING = "–"
_BAR_ORDER = (
    *(Status.COMPLETED, Status.RUNNING, Status.QUEUED),
    *(Status.DOWNLOAD_FAILED, Status.FAILED, Status.CANCELED),
)
_TAIL = 6  # what tells ids of one moment apart is their end


def badge(word: str, title: str = "") -> SafeString:
    return format_html(
        '<span class="cf-badge cf-{}" title="{}">{}</span>', word, title, word.replace("_", " ")
    )


def may_be_billed() -> SafeString:
    return badge(
        "may_be_billed", "The paid call was sent and got no usable answer: it may be on the bill."
    )


def short_id(prefix: str, key: UUID) -> SafeString:
    """Looks short, yet is there in full: for the mouse, for copying and for screen readers."""
    full = ids.show(prefix, key)
    parts = (full, f"{prefix}_", full[len(prefix) + 1 : -_TAIL], full[-_TAIL:])
    return format_html('<span class="cf-id" title="{}">{}<span>{}</span>{}</span>', *parts)


def mono(text: object) -> SafeString:
    return format_html('<code class="cf-mono">{}</code>', text)


def together(*lines: object) -> SafeString:
    """One below the other, in one cell."""
    return format_html_join("", "<div>{}</div>", [(line,) for line in lines if line])


def clipped(value: object) -> SafeString:
    """Two lines of a text that may be long; the rest for the mouse."""
    return format_html('<span class="cf-clipped" title="{}">{}</span>', value, value)


def quiet(value: object) -> SafeString:
    return format_html('<span class="cf-quiet">{}</span>', value)


def facts(named: Iterable[tuple[str, object]]) -> SafeString:
    return format_html_join("", '<div><span class="cf-name">{}</span> {}</div>', named)


def link(url: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def run_link(key: UUID, text: object = None) -> SafeString:
    return link(reverse("admin:runs_run_change", args=[key]), text or short_id("run", key))


def task_link(key: UUID, text: object = None) -> SafeString:
    return link(reverse("admin:runs_task_change", args=[key]), text or short_id("task", key))


def tasks_url(run: Run, **filters: str) -> str:
    return reverse("admin:runs_task_changelist", query={"run": run.public_id, **filters})


def moment(at: datetime | None) -> SafeString | str:
    if at is None:
        return NOTHING
    local = localtime(at)
    told = (local.isoformat(), local, f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}")
    return format_html(
        '<time datetime="{}" title="{}"><span>{}</span> <span>{}</span></time>', *told
    )


def span(start: datetime | None, end: datetime | None) -> str:
    """How long it took, in the two largest units."""
    if start is None or end is None:
        return NOTHING
    seconds = max(0, round((end - start).total_seconds()))
    units = (
        ("d", seconds // 86_400),
        ("h", seconds // 3600 % 24),
        ("min", seconds // 60 % 60),
        ("s", seconds % 60),
    )
    told = [f"{number} {unit}" for unit, number in units if number]
    return " ".join(told[:2]) or "0 s"


def bar(run: Run) -> SafeString:
    """A run's tasks by status: a stacked bar, and the same in words."""
    counts = [(status, getattr(run, status)) for status in _BAR_ORDER]
    present = [(status, number) for status, number in counts if number]
    words = ", ".join(f"{number} {_words(status)}" for status, number in present) or "no tasks"
    return format_html(
        '<svg class="cf-bar" viewBox="0 0 {} 1" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
        '<span class="cf-quiet">{}</span>',
        *(max(run.total_tasks, 1), words, _stacked(present), words),
    )


def _stacked(counts: Iterable[tuple[str, int]]) -> SafeString:
    rectangles, at = [], 0
    for status, number in counts:
        rectangles.append((status, at, number))
        at += number
    return format_html_join("", '<rect class="cf-{}" x="{}" width="{}" height="1"/>', rectangles)


def _words(status: str) -> str:
    return status.replace("_", " ")


def counts(run: Run) -> SafeString:
    """Every count, each a link to those tasks."""
    rows = [
        (tasks_url(run, status=status), getattr(run, status), badge(status))
        for status in Status.values
    ]
    told = format_html_join(" ", '<a class="cf-count" href="{}"><b>{}</b> {}</a>', rows)
    return format_html(
        '{} <a class="cf-count" href="{}"><b>{}</b> in all</a>',
        told,
        tasks_url(run),
        run.total_tasks,
    )


def dollars(amount: Decimal | float) -> str:
    return f"${amount:,.2f}"


def stakes(open_ones: Stakes) -> str:
    """How many decisions are open, and what they are about in money."""
    if not open_ones.number:
        return "Nothing waits for a decision."
    parts = [f"{open_ones.number:,} to decide"]
    if open_ones.dollars:
        parts.append(f"about {dollars(open_ones.dollars)} at stake")
    if open_ones.unpriced:
        parts.append(f"{open_ones.unpriced:,} of unknown price")
    return ", ".join(parts)


def to_decide(number: int, run: Run) -> SafeString | str:
    """A link to what waits for a decision in a run; empty if nothing does."""
    if not number:
        return ""
    url = reverse("admin:runs_decision_changelist", query={"run": run.public_id})
    return format_html('<a class="cf-badge cf-to_decide" href="{}">{} to decide</a>', url, number)


def document(value: object) -> SafeString | str:
    """JSON as it is stored, readable."""
    if value is None:
        return NOTHING
    return text(json.dumps(value, indent=2, ensure_ascii=False))


def text(value: str) -> SafeString | str:
    return format_html('<pre class="cf-text">{}</pre>', value) if value else NOTHING


def error(row: Task | Attempt, *, clip: bool = False) -> SafeString | str:
    """Code, HTTP status, the provider's own code, and message, as far as there are any."""
    attempt = row if isinstance(row, Attempt) else None
    parts = [
        mono(row.error_code) if row.error_code else "",
        f"HTTP {attempt.http_status}" if attempt and attempt.http_status else "",
        mono(attempt.provider_code) if attempt and attempt.provider_code else "",
        clipped(row.error_msg) if clip and row.error_msg else row.error_msg,
        may_be_billed() if row.possibly_billed else "",
    ]
    return format_html_join(" ", "{}", [(part,) for part in parts if part]) or NOTHING
