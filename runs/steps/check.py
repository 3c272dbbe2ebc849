"""Dry runs: each task is routed as it would be, and told what would happen. No attempt, no file, no cost."""

from datetime import datetime
from typing import cast

from django.conf import settings

from providers.routing import Decision, Shot, Strategy, as_json, route
from runs import lifecycle
from runs.candidates import Catalogue, Load, catalogue
from runs.lifecycle import Move
from runs.models import Run, Status, Step, Task

BATCH = 1000


def turn(now: datetime) -> int:
    """Check one batch of due dry-run tasks; returns how many there were."""
    tasks = lifecycle.claim([Step.CHECK], limit=BATCH, lease=settings.POLL_LEASE_SECONDS, now=now)
    if not tasks:
        return 0
    runs = Run.objects.in_bulk({task.run_id for task in tasks})
    known = catalogue(with_latency=any(run.routing_strategy == "latency" for run in runs.values()))
    lifecycle.apply([_checked(task, runs[task.run_id], known, now) for task in tasks], now=now)
    return len(tasks)


def _checked(task: Task, run: Run, known: Catalogue, now: datetime) -> Move:
    decision = route(
        cast(Strategy, run.routing_strategy),
        known.candidates(run.model_id, now=now, load=Load()),
        shot_of(task),
        provider_id=run.provider_id,
        draw=draw(task),
        ignore_health=True,
    )
    return Move(
        task,
        Status.COMPLETED,
        _words(decision),
        kind="checked",
        values={"routing": as_json(decision)},
    )


def _words(decision: Decision) -> str:
    if decision.choice is None:
        return f"dry run: {decision.reason}"
    return f"dry run: would go to {decision.choice.provider_id} {decision.choice.provider_model_id}"


def shot_of(task: Task) -> Shot:
    snapshot = task.snapshot
    return Shot(
        seconds=snapshot["duration_seconds"],
        resolution=snapshot["resolution"],
        is_pro=snapshot["is_pro"],
        has_image=bool(snapshot["image_url"]),
    )


def draw(task: Task) -> float:
    """A number in [0, 1) for the weighted strategy: random over tasks, the same whenever it is asked of one."""
    return (task.id.int >> 8 & (1 << 48) - 1) / (1 << 48)
