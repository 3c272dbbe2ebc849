"""Dry runs: each task is routed as it would be, and told what would happen. No attempt, no file, no cost."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from django.db import transaction

from cineflow.core import garbage
from providers.offers import Shot
from providers.routing import Conform, Decision, Heed, as_json, route
from providers.strategies import Strategy, lot
from runs import lifecycle
from runs.candidates import Load, catalogue
from runs.lifecycle import Move
from runs.models import Run, Status, Step, Task
from runs.shots import draw, shot_of

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
    strategy = cast(Strategy, run.routing_strategy)
    known = catalogue([run.model_id], now=now, with_latency=strategy == "latency")
    candidates = known.candidates(run.model_id, load=Load())
    shortest = known.shortest_prompt(run.model_id)

    @cache
    def decided(shot: Shot, drawn: float) -> tuple[str, dict[str, Any]]:
        """Shots that are alike are decided alike, unless it is drawn by lot."""
        decision = route(
            strategy,
            candidates,
            shot,
            conform=cast(Conform, run.conform),
            provider_id=run.provider_id,
            draw=drawn,
            heed=Heed.NOTHING,
        )
        return _words(decision), {"routing": as_json(decision, now)}

    for task in tasks:
        shot = shot_of(task.snapshot, task.full_prompt, shortest=shortest)
        why, values = decided(shot, lot(strategy, draw(task)))
        yield Move(task, Status.COMPLETED, why, kind="checked", values=values)


def _words(decision: Decision) -> str:
    if decision.choice is None:
        return f"dry run: {decision.reason}"
    choice, seconds = decision.choice.candidate, decision.choice.seconds
    told = f"dry run: would go to {choice.provider_id} {choice.provider_model_id}"
    exact = seconds == decision.requested
    return told if exact else f"{told} as {seconds} s instead of {decision.requested} s"
