"""Freezing: chosen segments × takes of a storyboard become the tasks of a run; one task is frozen anew for a retry."""

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from cineflow.core import garbage, ids
from cineflow.core.bulk import insert
from cineflow.core.errors import Conflict, Invalid, NotFound, Problem, problem
from cineflow.core.faults import fault
from providers.models import Provider, VideoModel
from runs import conform, lifecycle, outputs
from runs.freezing import Facts, Frozen, facts_of, freeze, thawed
from runs.models import ACTIVE, Attempt, Event, Phase, Run, Status, Step, Task
from storyboards.models import Storyboard

MAX_RANGE_LENGTH = 20_000
_PART = re.compile(r"\s*([0-9]{1,18})\s*(?:-\s*([0-9]{1,18})\s*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What the creator of a run asks for."""

    storyboard_id: UUID
    model_id: str
    routing_strategy: str = "default"
    provider_id: str | None = None
    conform: str = "route"
    gen_count: int = 1
    concurrency: int = 3
    range: str = "all"
    output_mode: str = "centralized"
    output_path: str | None = None
    dry_run: bool = False
    force: bool = False


# ---- a run -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launched:
    """A run, and what would become of its shots that do not fit exactly."""

    run: Run
    plan: conform.Plan


def create_run(config: RunConfig, *, now: datetime) -> Run:
    """For those who do not ask what fits."""
    return launch_run(config, now=now).run


@garbage.left_alone()
def launch_run(config: RunConfig, *, now: datetime) -> Launched:
    """Snapshot, prompt and fingerprint once per segment, rows in bulk; all of it or nothing."""
    with transaction.atomic():
        # The lock that deleting the storyboard takes too: one of the two sees the other.
        storyboard = Storyboard.objects.select_for_update().filter(pk=config.storyboard_id).first()
        if storyboard is None:
            raise NotFound("There is no such storyboard.")
        segments = _checked(config, storyboard)
        run = _new_run(config, storyboard, now, total=len(segments) * config.gen_count)
        frozen = [(segment, freeze(segment)) for segment in segments]
        plan = conform.plan(run, [each for _, each in frozen], now=now)
        run.save(force_insert=True)
        insert(Task, _TASK_COLUMNS, _task_rows(run, frozen))
        created = (run.pk, 1, None, None, now, "created", "", Status.QUEUED, _summary(run))
        insert(Event, lifecycle.EVENT_COLUMNS, [created])
        if not run.force and not run.dry_run:
            _mark_reusable(run)
        fault("launched_before_commit")
    return Launched(run, plan)


def _checked(config: RunConfig, storyboard: Storyboard) -> list[Facts]:
    """The chosen segments, or every problem of the request at once."""
    problems: list[Problem] = []
    if not VideoModel.objects.filter(pk=config.model_id, enabled=True).exists():
        problems.append(
            problem(["model_id"], "There is no enabled model of that id; see GET /api/v1/models.")
        )
    if config.routing_strategy == "manual" and not config.provider_id:
        problems.append(
            problem(["provider_id"], "The manual strategy needs a provider_id.", "missing")
        )
    if config.provider_id and not Provider.objects.filter(pk=config.provider_id).exists():
        problems.append(
            problem(["provider_id"], "There is no such provider; see GET /api/v1/providers.")
        )
    indexes = list(
        storyboard.segments.order_by("segment_index").values_list("segment_index", flat=True)
    )
    spans, range_problems = read_range(config.range, indexes)
    problems += range_problems
    try:
        outputs.folder_for(
            Run(output_mode=config.output_mode, output_path=config.output_path), storyboard
        )
    except Invalid as error:
        problems += error.details["errors"] if error.details else []
    if problems:
        raise Invalid(problems)
    return _selected(storyboard, spans)


def read_range(text: str, indexes: Sequence[int]) -> tuple[list[tuple[int, int]], list[Problem]]:
    """`all` or `1-3,5` as spans (both ends included) over the sorted `indexes`, and what is wrong with it."""
    if text.strip() == "all":
        return [(1, 2**63)], []
    if len(text) > MAX_RANGE_LENGTH:
        return [], [problem(["range"], f"The range is longer than {MAX_RANGE_LENGTH} characters.")]
    spans, problems = [], []
    for part in text.split(","):
        span = _span(part)
        if span is None:
            problems.append(_bad_part(part, "is not a number or a span such as 1-3"))
        elif span[0] > span[1]:
            problems.append(_bad_part(part, "is reversed: write the smaller number first"))
        elif not _selects(span, indexes):
            problems.append(_bad_part(part, "selects no segment of this storyboard"))
        else:
            spans.append(span)
    return spans, problems


def _span(part: str) -> tuple[int, int] | None:
    found = _PART.fullmatch(part)
    return (int(found[1]), int(found[2] or found[1])) if found else None


def _selects(span: tuple[int, int], indexes: Sequence[int]) -> bool:
    at = bisect.bisect_left(indexes, span[0])
    return at < len(indexes) and indexes[at] <= span[1]


def _bad_part(part: str, what: str) -> Problem:
    return problem(["range"], f"The part '{part.strip()[:40]}' {what}.")


def _selected(storyboard: Storyboard, spans: list[tuple[int, int]]) -> list[Facts]:
    wanted = _merged(spans)
    starts = [start for start, _ in wanted]

    def is_wanted(index: int) -> bool:
        at = bisect.bisect_right(starts, index) - 1
        return at >= 0 and index <= wanted[at][1]

    chosen = facts_of(storyboard.segments.order_by("segment_index"))
    return [facts for facts in chosen if is_wanted(facts.segment_index)]


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _new_run(config: RunConfig, storyboard: Storyboard, now: datetime, *, total: int) -> Run:
    run = Run(
        storyboard=storyboard,
        storyboard_uuid=storyboard.pk,
        storyboard_name=storyboard.name,
        model_id=config.model_id,
        routing_strategy=config.routing_strategy,
        provider_id=config.provider_id or "",
        conform=config.conform,
        gen_count=config.gen_count,
        concurrency=config.concurrency,
        range=config.range,
        output_mode=config.output_mode,
        output_path=config.output_path,
        dry_run=config.dry_run,
        force=config.force,
        total_tasks=total,
        queued=total,
        event_count=1,
        created_at=now,
    )
    run.output_folder = outputs.folder_for(run, storyboard)
    return run


def _summary(run: Run) -> str:
    kind = "dry run" if run.dry_run else "run"
    return f"{kind} of {run.total_tasks} tasks with {run.model_id}, range {run.range[:80]}"


# ---- a task ------------------------------------------------------------------------------------

# fmt: off
_TASK_COLUMNS = (
    "id", "run", "segment_uuid", "segment_index", "take",
    "snapshot", "full_prompt", "fingerprint",
    "status", "step", "due_at", "fence", "waiting_reason", "attempt_count", "tries", "errors_in_a_row",
    "crashes",
    "failed_providers", "provider_id", "provider_model_id", "error_code", "error_msg", "possibly_billed",
    "created_at", "updated_at",
)
# fmt: on


_NONE_FAILED: list[str] = []  # one object for all rows, which is written as JSON once


def _task_rows(run: Run, segments: Sequence[tuple[Facts, Frozen]]) -> Iterator[tuple[object, ...]]:
    step = Step.CHECK if run.dry_run else Step.SUBMIT
    now = run.created_at
    for segment, frozen in segments:
        for take in range(1, run.gen_count + 1):
            # fmt: off
            yield (
                ids.new_id(), run.pk, segment.id, segment.segment_index, take,
                frozen.snapshot, frozen.prompt, frozen.fingerprint(run, take),
                Status.QUEUED, step, now, 0, "", 0, 0, 0, 0,
                _NONE_FAILED, "", "", "", "", False,
                now, now,
            )
            # fmt: on


# One query for the whole run: the newest stored take of the same fingerprint, of tasks that are completed.
_MARK_REUSABLE = """
UPDATE runs_task SET step = %s, reuse_of_id = (
    SELECT old.video_id FROM runs_task AS old
    WHERE old.fingerprint = runs_task.fingerprint AND old.video_id IS NOT NULL AND old.status = %s
    ORDER BY old.finished_at DESC LIMIT 1
)
WHERE run_id = %s AND EXISTS (
    SELECT 1 FROM runs_task AS old
    WHERE old.fingerprint = runs_task.fingerprint AND old.video_id IS NOT NULL AND old.status = %s
)
"""


def _mark_reusable(run: Run) -> None:
    key = Run._meta.pk.get_db_prep_value(run.pk, connection)
    with connection.cursor() as cursor:
        cursor.execute(_MARK_REUSABLE, [Step.REUSE, Status.COMPLETED, key, Status.COMPLETED])


# ---- a retry -----------------------------------------------------------------------------------


def retry_task(task_id: UUID, *, submit_again: bool = False, now: datetime) -> Task:
    """Start an ended task again. Raises `Conflict` while it is active, or where it may be billed already.

    A failed download fetches the same job's file; a timed-out job is asked once more; everything else is
    frozen from the segment as it is now and submitted as a new attempt, which is never a reuse.
    """
    run_id = Task.objects.filter(pk=task_id).values_list("run_id", flat=True).first()
    if run_id is None:
        raise NotFound("There is no such task.")
    with transaction.atomic():
        runs = lifecycle.lock_runs([run_id])
        task = Task.objects.select_for_update().get(pk=task_id)
        if task.status in ACTIVE:
            raise Conflict(f"The task is {task.status}; it can be retried once it has ended.")
        attempt = task.attempts.order_by("-number").first()
        if task.possibly_billed and not submit_again:
            raise Conflict(
                "The last attempt got no answer and may already be billed. "
                'Send {"submit_again": true} to submit once more, knowing that.',
                details={"possibly_billed": True},
            )
        lifecycle.restart(runs[run_id], task, now=now, **_restart(runs[run_id], task, attempt))
    return Task.objects.select_related("run").get(pk=task_id)


def _restart(run: Run, task: Task, attempt: Attempt | None) -> dict[str, Any]:
    """How this retry goes on: the step, what is written with it, and the words for the story."""
    if task.status == Status.DOWNLOAD_FAILED:
        return {"step": Step.DOWNLOAD, "why": "retry: the finished video is fetched again"}
    if (
        task.error_code == "timeout"
        and attempt
        and attempt.provider_job_id
        and attempt.phase == Phase.FAILED
    ):
        return {
            "step": Step.ASK_ONCE,
            "why": "retry: the timed-out job is asked once more",
        }
    why = "retry: submitted again by a person's decision" if task.possibly_billed else "retry"
    return {
        "step": Step.CHECK if run.dry_run else Step.SUBMIT,
        "why": why,
        "values": thawed(run, task),
    }
