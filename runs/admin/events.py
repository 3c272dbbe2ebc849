"""The story of a run or of a task, newest first, a page at a time."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.safestring import SafeString

from runs.admin import shown
from runs.models import Event, Phase, Status

A_PAGE = 200
_MARKED = {*Status.values, *Phase.values}
_COLUMNS = (
    *("run_id", "number", "attempt_number", "at", "kind", "before", "after", "why"),
    *("task__segment_index", "task__take"),
)


@dataclass(frozen=True, slots=True)
class Row:
    event: Event
    at: SafeString | str
    task: SafeString | str
    before: SafeString | str
    after: SafeString | str


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row]
    older: int | None  # show what comes before this number next


def page(events: QuerySet[Event], *, before: int | None = None) -> Page:
    """By number, not by offset: the last page costs what the first does."""
    if before is not None:
        events = events.filter(number__lt=before)
    chosen = events.select_related("task").only(*_COLUMNS).order_by("-number")
    found = list(chosen[: A_PAGE + 1])
    more = len(found) > A_PAGE
    return Page(
        [_row(event) for event in found[:A_PAGE]], found[A_PAGE - 1].number if more else None
    )


def _row(event: Event) -> Row:
    task = shown.task_link(event.task.pk, event.task) if event.task else ""
    return Row(event, shown.moment(event.at), task, _marked(event.before), _marked(event.after))


def _marked(word: str) -> SafeString | str:
    return shown.badge(word) if word in _MARKED else word
