"""Dry runs: each task is routed as it would be, and told what would happen. No attempt, no file, no cost."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from django.db import transaction

from cineflow.core import garbage
from providers.routing import Decision, Shot, Strategy, as_json, route
from runs import lifecycle
from runs.candidates import Load, catalogue
from runs.lifecycle import Move
from runs.models import Run, Status, Step, Task

BATCH = 2500


@garbage.left_alone()
def turn(now: datetime) -> int:
    """Check one batch of a dry run's tasks; returns how many looks or tasks that were.

    A check takes milliseconds and speaks to nobody, so the batch needs no lease: the lock of its run
    is held from the reading of its tasks to their end.
    """
    run_id = lifecycle.next_run(Step.CHECK, now=now)
    if run_id is None:
        return 0
    with transaction.atomic():
        run = lifecycle.lock_runs([run_id]).get(run_id)
        tasks = lifecycle.due_tasks(run, Step.CHECK, limit=BATCH, now=now) if run else []
        if run and tasks:
            lifecycle.apply(list(_checked(run, tasks, now)), now=now, locked={run.pk: run})
    return 1 + len(tasks)


def _checked(run: Run, tasks: Sequence[Task], now: datetime) -> Iterator[Move]:
    known = catalogue([run.model_id], with_latency=run.routing_strategy == "latency")
    candidates = known.candidates(run.model_id, now=now, load=Load())

    @cache
    def decided(shot: Shot, drawn: float) -> tuple[str, dict[str, Any]]:
        """Shots that are alike are decided alike, unless it is drawn by lot."""
        strategy = cast(Strategy, run.routing_strategy)
        decision = route(
            strategy, candidates, shot, provider_id=run.provider_id, draw=drawn, ignore_health=True
        )
        return _words(decision), {"routing": as_json(decision)}

    by_lot = run.routing_strategy == "weighted"
    for task in tasks:
        why, values = decided(shot_of(task), draw(task) if by_lot else 0.0)
        yield Move(task, Status.COMPLETED, why, kind="checked", values=values)


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
