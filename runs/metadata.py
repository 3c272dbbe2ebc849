"""Everything that is known of one take, as one JSON document."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from cineflow.core import ids
from runs.models import Attempt, Task, VideoFile


def of_task(task: Task) -> dict[str, Any]:
    """Reads the task's attempts and files; its run and video are expected to be at hand."""
    attempts = list(task.attempts.order_by("number"))
    run = task.run
    shared = {
        "error_code": task.error_code or None,
        "error_msg": task.error_msg or None,
        "retryable": task.retryable,
        "provider_id": task.provider_id or None,
        "provider_model_id": task.provider_model_id or None,
    }
    return {
        "id": task.public_id,
        "run_id": run.public_id,
        "storyboard_id": ids.show("sb", run.storyboard_uuid),
        "segment_id": ids.show("seg", task.segment_uuid),
        "segment_index": task.segment_index,
        "take": task.take,
        "status": task.status,
        "dry_run": run.dry_run,
        "model_id": run.model_id,
        "segment": task.snapshot,
        "full_prompt": task.full_prompt,
        **shared,
        "possibly_billed": task.possibly_billed,
        "created_at": _time(task.created_at),
        "started_at": _time(task.started_at),
        "finished_at": _time(task.finished_at),
        "attempts": [_attempt(attempt) for attempt in attempts],
        "file": _file(task.video) if task.video else None,
        "conform": run.conform,
        "requested_seconds": task.snapshot["duration_seconds"],
        "cost": _cost(attempts),
        "routing": task.newest_routing,
        **_older_names(task),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "token": str(attempt.pk),
        "phase": attempt.phase,
        "provider_id": attempt.provider_id,
        "provider_model_id": attempt.provider_model_id,
        "provider_job_id": attempt.provider_job_id,
        "prompt": attempt.prompt,
        "requested_seconds": (attempt.routing or {}).get("requested_seconds", attempt.seconds),
        "seconds": attempt.seconds,
        "billed_seconds": attempt.seconds if attempt.accepted_at else None,
        "sent_at": _time(attempt.sent_at),
        "accepted_at": _time(attempt.accepted_at),
        "finished_at": _time(attempt.finished_at),
        "error_code": attempt.error_code or None,
        "error_msg": attempt.error_msg or None,
        "http_status": attempt.http_status,
        "provider_code": attempt.provider_code or None,
        "possibly_billed": attempt.possibly_billed,
        "cost": _dollars(attempt.cost),
        "routing": attempt.routing,
    }


def _file(video: VideoFile) -> dict[str, Any]:
    return {
        "path": video.path,
        "bytes": video.bytes,
        "sha256": video.sha256,
        "seconds": video.seconds,
        "width": video.width,
        "height": video.height,
        "stored_at": _time(video.created_at),
        "reused": video.attempt_id is None,
        "reused_from": str(video.reused_from_id) if video.reused_from_id else None,
    }


def _cost(attempts: list[Attempt]) -> dict[str, Any]:
    """What accepted jobs cost by the catalogue's prices; None where a price is not known."""
    accepted = [attempt for attempt in attempts if attempt.accepted_at]
    known = [attempt.cost for attempt in accepted if attempt.cost is not None]
    complete = len(known) == len(accepted)
    return {
        "currency": "USD",
        "billed_seconds": sum(attempt.seconds for attempt in accepted),
        "estimated": float(sum(known, Decimal(0))) if complete else None,
        "possibly_more": any(attempt.possibly_billed for attempt in attempts),
    }


def _older_names(task: Task) -> dict[str, Any]:
    """The same facts under the names that older clients read."""
    fetched = {"download_failed": "failed"}.get(task.status)
    return {
        "version_index": task.take,
        "local_task_id": task.public_id,
        "local_status": task.status,
        "download_status": "success" if task.video_id else fetched,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _dollars(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
