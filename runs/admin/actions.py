"""What an operator can do: the domain functions of the API, and a word on what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import models
from django.http import HttpRequest
from django.template.response import TemplateResponse

from cineflow.core import clock
from cineflow.core.errors import DomainError
from runs import launch, lifecycle
from runs.models import ACTIVE, Run, Status, Task
from runs.tasks import hint

MOST_AT_ONCE = 1_000  # a retry is a transaction of its own: this many take seconds
MOST_CONFIRMED = 100  # what one confirmation may cost again, and as many as its page can name

ACCEPTING = "Retry, accepting that the last attempt may be billed"


@dataclass(slots=True)
class Outcome:
    retried: list[UUID] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


# ---- tasks -----------------------------------------------------------------------------------


@admin.action(description="Retry", permissions=["operate"])
def retry(model_admin: Any, request: HttpRequest, queryset: models.QuerySet[Task]) -> None:
    _retry(request, _keys(queryset, MOST_AT_ONCE))


@admin.action(description=ACCEPTING, permissions=["operate"])
def retry_accepting(
    model_admin: Any, request: HttpRequest, queryset: models.QuerySet[Task]
) -> TemplateResponse | None:
    chosen = queryset.filter(status=Status.FAILED, possibly_billed=True)
    keys = _keys(chosen, MOST_CONFIRMED)
    if not keys:
        told = (
            "None of the chosen tasks has a last attempt that may be billed: use the plain Retry."
        )
        messages.warning(request, told)
        return None
    if "confirmed" in request.POST:
        _retry(request, keys, submit_again=True)
        return None
    text = (
        "The last attempt of each of these tasks was sent and got no usable answer. The provider "
        "may have made the video, and billed it. Retrying submits, and pays, once more. Nothing is "
        "asked of the provider first.",
        f"At most {MOST_CONFIRMED} tasks at a time. Chosen tasks that are not possibly billed are "
        "left alone.",
    )
    rows = list(Task.objects.filter(pk__in=keys).select_related("run").defer(*_WIDE))
    return confirmation(model_admin, request, rows, "retry_accepting", ACCEPTING, text)


_WIDE = ("snapshot", "routing", "full_prompt", "failed_providers", "run__range")


def _keys(tasks: models.QuerySet[Task], most: int) -> list[UUID]:
    return list(tasks.values_list("pk", flat=True)[:most])


def _retry(request: HttpRequest, keys: Sequence[UUID], *, submit_again: bool = False) -> None:
    outcome, now = Outcome(), clock.now()
    for key in keys:
        try:
            launch.retry_task(key, submit_again=submit_again, now=now)
        except DomainError as refusal:
            outcome.refused[_why(refusal)] += 1
        else:
            outcome.retried.append(key)
    hint()
    retried = Task.objects.filter(pk__in=outcome.retried).only("segment_index", "take")
    log(request, retried, "Retried.")
    _tell(request, outcome, limited=len(keys) == MOST_AT_ONCE)


def _why(refusal: DomainError) -> str:
    if (refusal.details or {}).get("possibly_billed"):
        told = "The last attempt got no answer and may already be billed."
        return f"{told} If you accept that, choose “{ACCEPTING}”."
    return refusal.message


def _tell(request: HttpRequest, outcome: Outcome, *, limited: bool) -> None:
    if outcome.retried:
        messages.success(request, f"{_tasks(len(outcome.retried))} retried.")
    for why, number in outcome.refused.items():
        messages.warning(request, f"{_tasks(number)} not retried: {why}")
    if limited:
        messages.info(
            request, f"At most {MOST_AT_ONCE:,} tasks are retried at a time; there may be more."
        )


def _tasks(number: int) -> str:
    return f"{number:,} task{'' if number == 1 else 's'}"


# ---- runs ------------------------------------------------------------------------------------


@admin.action(description="Retry failed tasks", permissions=["operate"])
def retry_failed(model_admin: Any, request: HttpRequest, queryset: models.QuerySet[Run]) -> None:
    runs = _chosen(queryset)
    if len(runs) == MOST_CONFIRMED:
        messages.info(request, f"At most {MOST_CONFIRMED} runs are looked at; there may be more.")
    ended_badly = (Status.FAILED, Status.DOWNLOAD_FAILED)
    failed = Task.objects.filter(run__in=runs, status__in=ended_badly)
    in_order = failed.filter(possibly_billed=False).order_by("run_id", "segment_index", "take")
    keys, billed = _keys(in_order, MOST_AT_ONCE), failed.filter(possibly_billed=True).count()
    if not keys and not billed:
        messages.warning(request, "The chosen runs have no failed tasks.")
        return
    _retry(request, keys)
    if billed:
        told = f"{_tasks(billed)} not retried: the last attempt may already be billed."
        messages.warning(request, f"{told} They are listed under Decisions.")


@admin.action(description="Cancel", permissions=["operate"])
def cancel(
    model_admin: Any, request: HttpRequest, queryset: models.QuerySet[Run]
) -> TemplateResponse | None:
    runs = list(_active(queryset))
    if not runs:
        messages.warning(
            request, "None of the chosen runs is queued or running: there is nothing to cancel."
        )
        return None
    if "confirmed" in request.POST:
        _cancel(request, runs)
        return None
    queued, running = (sum(getattr(run, name) for run in runs) for name in ("queued", "running"))
    text = (
        f"{_tasks(queued)} still queued: those that nobody has started end as canceled at once, "
        "unpaid.",
        f"{_tasks(running)} running: where the provider can cancel, it is asked to. A job that is "
        "already paid for goes on to its file: what was paid is not thrown away.",
        f"At most {MOST_CONFIRMED} runs at a time. A canceled task can be retried later.",
    )
    return confirmation(model_admin, request, runs, "cancel", "Cancel runs", text)


def _active(queryset: models.QuerySet[Run]) -> models.QuerySet[Run]:
    return Run.objects.filter(pk__in=_chosen(queryset), status__in=ACTIVE)


def _chosen(queryset: models.QuerySet[Run]) -> list[UUID]:
    return list(queryset.values_list("pk", flat=True)[:MOST_CONFIRMED])


def _cancel(request: HttpRequest, runs: Iterable[Run]) -> None:
    now = clock.now()
    reached = {run.pk: lifecycle.cancel_run(run.pk, now=now) for run in runs}
    hint()
    log(request, Run.objects.filter(pk__in=reached), "Canceled.")
    plural = "" if len(reached) == 1 else "s"
    messages.success(
        request, f"{len(reached)} run{plural} canceled: {_tasks(sum(reached.values()))} reached."
    )


# ---- both ------------------------------------------------------------------------------------


def log(request: HttpRequest, rows: models.QuerySet[Any], what: str) -> None:
    """Who it was: the events tell what happened, not at whose wish."""
    if request.user.pk is not None:
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, what)


def confirmation(
    model_admin: Any,
    request: HttpRequest,
    rows: Sequence[Any],
    action: str,
    title: str,
    text: Sequence[str],
    template: str = "admin/runs/confirmation.html",
    more: Mapping[str, Any] | None = None,
) -> TemplateResponse:
    """Names the very rows that are meant: a list that changes meanwhile changes nothing."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "text": text,
        "rows": rows,
        "action": action,
        "opts": model_admin.opts,
        "media": model_admin.media,
        **(more or {}),
    }
    return TemplateResponse(request, template, context)
