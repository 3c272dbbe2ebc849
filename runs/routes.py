"""Why a take went where it went: the newest decision, what it waits for, and the decision of each attempt."""

from collections.abc import Mapping
from typing import Any

from providers.routing import VALUES
from runs.models import Attempt, Status, Step, Task


def of_task(task: Task) -> dict[str, Any]:
    """Reads the task's attempts; its run and video are expected to be at hand."""
    return {
        "task_id": task.public_id,
        "run_id": task.run.public_id,
        "segment_index": task.segment_index,
        "take": task.take,
        "status": task.status,
        **(_decision(task.newest_routing) or _undecided(task)),
        "waiting_for": _waiting_for(task),
        "waiting_until": task.due_at if _waits_by_itself(task) else None,
        "attempts": [_attempt(attempt) for attempt in task.attempts.order_by("number")],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "phase": attempt.phase,
        "error_code": attempt.error_code or None,
        "decision": _decision(attempt.routing),
    }


def _decision(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not stored or "candidates" not in stored:
        return None
    told = {name: value for name, value in stored.items() if name != "waits"}
    unknown = dict.fromkeys(VALUES)
    return {**told, "candidates": [{**unknown, **each} for each in stored["candidates"]]}


def _undecided(task: Task) -> dict[str, Any]:
    reused = task.video is not None and task.video.reused_from_id is not None
    return {
        "strategy": task.run.routing_strategy,
        "conform": task.run.conform,
        "decided_at": None,
        "requested_seconds": task.snapshot["duration_seconds"],
        "asked_seconds": None,
        "provider_id": None,
        "provider_model_id": None,
        "looked_at": None,
        "reason": "An earlier take is reused; nobody is asked." if reused else None,
        "candidates": [],
    }


def _waiting_for(task: Task) -> str | None:
    """In full where routing says it: the task's own words are cut to the width of their column."""
    if _waits_by_itself(task) and (task.routing or {}).get("waits"):
        return str((task.routing or {})["reason"])
    return task.held_by or None


def _waits_by_itself(task: Task) -> bool:
    return task.status == Status.QUEUED and task.step == Step.SUBMIT and bool(task.waiting_reason)
