"""A task over which a worker died is worked alone from then on: who is to blame shows, and nobody else suffers."""

from concurrent.futures import wait
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers.models import Provider, Recovery
from runs import lifecycle
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import download, poll
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun, only_task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_real_time(machine: Machine) -> None:
    machine.now = timezone.now()


def suspect(run: Run, **values: Any) -> Task:
    """The first task of the run, over which a worker has died once."""
    task = run.tasks.get(segment_index=1)
    Task.objects.filter(pk=task.pk).update(crashes=1, **values)
    return task


def on_the_wire(machine: Machine) -> list[int]:
    """The segments that one turn submits."""
    machine.submitter.turn(machine.now)
    sent = [sending.task.segment_index for sending in machine.submitter.pending.values()]
    wait(machine.submitter.pending)
    return sent


def test_a_suspect_is_submitted_alone(start: MakeRun, machine: Machine, far_end: Simulator) -> None:
    run = start(*["a city"] * 4, concurrency=9)
    suspect(run)
    assert on_the_wire(machine) == [1]
    assert on_the_wire(machine) == [2, 3, 4]
    assert machine.run_to_end(run).completed == 4
    assert set(run.tasks.values_list("crashes", flat=True)) == {0}


def test_a_suspect_waits_until_the_wire_is_free(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city", "a river [[sim:submit=hang:0.3]]", "a road", concurrency=9)
    Task.objects.exclude(segment_index=2).update(due_at=machine.now + timedelta(seconds=1))
    machine.submitter.turn(machine.now)
    suspect(run)
    machine.now += timedelta(seconds=1)
    machine.submitter.turn(machine.now)
    assert [held.task.segment_index for held in machine.submitter.pending.values()] == [2]
    wait(machine.submitter.pending)
    assert on_the_wire(machine) == [1]
    assert on_the_wire(machine) == [3]


def test_a_suspect_that_a_limit_holds_back_holds_back_nobody(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    held, free = start("a city", "a river", concurrency=1), start("a road")
    Task.objects.filter(run=held, segment_index=2).update(due_at=machine.now - timedelta(hours=1))
    Task.objects.filter(run=free).update(due_at=machine.now + timedelta(seconds=1))
    assert on_the_wire(machine) == [2]
    machine.submit()
    suspect(held)
    machine.now += timedelta(seconds=1)
    machine.submit()
    assert (only_task(free).status, held.tasks.get(segment_index=1).step) == (
        Status.RUNNING,
        Step.SUBMIT,
    )


def test_a_suspect_of_a_paused_run_holds_back_nobody(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    paused, other = start("a city"), start("a road")
    suspect(paused)
    lifecycle.set_paused(paused.pk, paused=True, now=machine.now)
    assert not lifecycle.any_suspect(Step.SUBMIT, now=machine.now)
    assert machine.run_to_end(other).status == Status.COMPLETED


def test_a_suspect_is_fetched_alone(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start(*["a city"] * 3, concurrency=9)
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    poll.turn(machine.polls, machine.now)
    suspect(run)
    (alone,) = download.claim(9, now=machine.now)
    assert alone.task.segment_index == 1
    assert download.claim(9, now=machine.now, held=[alone]) == []
    others = download.claim(9, now=machine.now)
    assert [each.task.segment_index for each in others] == [2, 3]
    # Its worker dies: it is suspected still, and it waits until the others are here.
    machine.now += timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS + 1)
    assert download.claim(9, now=machine.now, held=others) == []


@pytest.mark.parametrize(("step", "suspected"), [(Step.POLL, 3), (Step.DOWNLOAD, 1)])
def test_deaths_among_others_only_make_a_suspect(
    start: MakeRun,
    machine: Machine,
    far_end: Simulator,
    settings: Any,
    step: Step,
    suspected: int,
) -> None:
    start("a city")
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    if step == Step.DOWNLOAD:
        poll.turn(machine.polls, machine.now)
    for _ in range(5):
        (task,) = lifecycle.claim([step], limit=9, lease=30, now=machine.now)
        machine.now += timedelta(seconds=31)
    assert task.crashes == suspected


def test_of_two_suspects_the_one_that_died_alone_comes_last(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city", "a river", concurrency=9)
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    poll.turn(machine.polls, machine.now)
    run.tasks.update(crashes=1)
    (first,) = download.claim(9, now=machine.now)
    machine.now += timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS + 1)
    (second,) = download.claim(9, now=machine.now)
    assert (first.task.segment_index, second.task.segment_index) == (1, 2)


def test_a_re_send_over_which_workers_die_waits_for_a_person(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city [[sim:submit=drop_before_create]]")
    Provider.objects.filter(pk="openai").update(recovery=Recovery.TOKEN)
    machine.submit()
    machine.now += timedelta(seconds=settings.RESEND_DELAYS[0] + 1)
    Task.objects.update(crashes=2, alone=True, lease_until=machine.now)
    posts = far_end.summary()["posts"]
    machine.submit()
    task = only_task(run)
    assert (task.status, task.possibly_billed) == (Status.FAILED, True)
    assert task.error_msg.startswith("Worker after worker died over this submit.")
    assert Attempt.objects.get().phase == Phase.AMBIGUOUS
    assert far_end.summary()["posts"] == posts
