"""Eight workers at one account: the far end sees no more than it allows, whoever sends.

In real time, with a minute of three seconds. The full length is for a quiet hour:
`RATE_WINDOW=60 RATE_A_MINUTE=60` for the limit a minute, `RATE_WINDOW=10` for a far end that asks to wait.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import timezone

from providers.http import PollClient, Transport
from providers.models import Provider, ProviderModel
from runs import lifecycle
from runs.models import Attempt, Phase, Run
from runs.steps import poll, submit
from runs.sweep import Lane
from tests.processes import wait_for
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 8
WINDOW_SECONDS = float(os.environ.get("RATE_WINDOW", "3"))
A_MINUTE = int(os.environ.get("RATE_A_MINUTE", "10"))
IN_FLIGHT = 5
PATIENCE_SECONDS = 120 + 4 * WINDOW_SECONDS


@pytest.fixture(autouse=True)
def hurried(settings: Any, machine: Machine, catalogue: None) -> None:
    machine.now = timezone.now()
    settings.RATE_WINDOW_SECONDS = WINDOW_SECONDS
    settings.SEND_WITHIN_SECONDS = min(WINDOW_SECONDS, settings.SEND_WITHIN_SECONDS)
    settings.POLL_INITIAL_WAIT_SECONDS = settings.POLL_INTERVAL_SECONDS = 0.2
    settings.SWEEP_INTERVAL_SECONDS = 0.1
    settings.SENDERS = IN_FLIGHT
    ProviderModel.objects.update(poll_initial_wait_seconds=None, poll_interval_seconds=None)
    Provider.objects.filter(pk="openai").update(max_per_minute=A_MINUTE, max_in_flight=IN_FLIGHT)


@contextmanager
def workers(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The submit lanes of eight sweeps and one that polls, until the block ends; none may have failed."""
    transport, polls = Transport(timeout=30), PollClient()
    submitters = [submit.Submitter(transport) for _ in range(WORKERS)]
    lanes = [Lane("submit", each.turn, each.close) for each in submitters]
    lanes.append(Lane("poll", lambda now: poll.turn(polls, now), polls.close))
    for lane in lanes:
        lane.start()
    try:
        yield
    finally:
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            lane.join()
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def all_are_done(run: Run) -> bool:
    """As far as the far end can tell; nothing is downloaded here."""
    return run.attempts.filter(phase=Phase.DOWNLOADING).count() == run.total_tasks


def times(far_end: Simulator) -> list[float]:
    return sorted(post["time"] for post in far_end.ledger()["posts"])


def busiest(moments: list[float]) -> int:
    """The most calls in any window."""
    return max(
        sum(first <= moment < first + WINDOW_SECONDS for moment in moments) for first in moments
    )


def test_the_far_end_sees_no_more_than_its_limits(
    start: MakeRun, far_end: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    far_end.configure(seconds=0.1)
    run = start(*["a city"] * (2 * A_MINUTE), concurrency=50)
    with workers(caplog):
        wait_for(lambda: all_are_done(run), seconds=PATIENCE_SECONDS)
    assert far_end.summary()["created"] == 2 * A_MINUTE
    assert far_end.summary()["max_in_flight"] <= IN_FLIGHT
    assert busiest(times(far_end)) <= A_MINUTE


def test_after_a_retry_after_nobody_calls_before_its_time(
    start: MakeRun, machine: Machine, far_end: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(f"a city [[sim:submit=429:{WINDOW_SECONDS}*1]]")
    others = start(*["a river"] * 8, concurrency=50)
    lifecycle.set_paused(others.pk, paused=True, now=machine.now)
    with workers(caplog):
        wait_for(lambda: Attempt.objects.filter(phase=Phase.REJECTED).exists(), every=0.02)
        lifecycle.set_paused(others.pk, paused=False, now=timezone.now())
        wait_for(lambda: all_are_done(others))
        wait_for(lambda: first.attempts.filter(phase=Phase.DOWNLOADING).exists())
    refused, *later = times(far_end)
    assert len(later) == 9
    assert min(later) - refused >= 0.95 * WINDOW_SECONDS
