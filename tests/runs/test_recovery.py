"""Answers that got lost, by the provider's class; and what a person may decide."""

import time
from concurrent.futures import wait
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from cineflow.core.errors import Conflict, Invalid
from providers.models import Provider, Recovery
from runs import decisions, launch, lifecycle
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import dispatch, poll, recover
from runs.steps.sending import TooLate, send
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun, only_task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def look_up(catalogue: None) -> None:
    Provider.objects.filter(pk="openai").update(recovery=Recovery.LOOK_UP)


@pytest.fixture
def token(catalogue: None) -> None:
    Provider.objects.filter(pk="openai").update(recovery=Recovery.TOKEN)


@pytest.fixture(autouse=True)
def in_real_time(machine: Machine) -> None:
    """A look-up compares with the far end's clock."""
    machine.now = timezone.now()


def phases() -> list[str]:
    return list(Attempt.objects.order_by("sent_at", "number").values_list("phase", flat=True))


@pytest.mark.parametrize(
    "fault", ["drop_after_create", "500_after_create", "bad_json", "no_id", "hang:0.1"]
)
def test_a_lost_job_is_found_and_adopted(
    fault: str, look_up: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start(f"a city [[sim:submit={fault}]]"))
    assert (run.status, phases()) == (Status.COMPLETED, [Phase.DONE])
    assert far_end.summary()["posts"] == 1


def test_what_was_never_made_is_submitted_again_after_the_last_look_up(
    look_up: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city [[sim:submit=drop_before_create*1]]")
    machine.turn(1)
    assert phases() == [Phase.AMBIGUOUS]
    assert only_task(run).status == Status.RUNNING
    machine.turn(60)
    assert phases() == [Phase.AMBIGUOUS]
    run = machine.run_to_end(run, seconds=250)
    assert (run.status, phases()) == (Status.COMPLETED, [Phase.ABSENT, Phase.DONE])
    assert far_end.summary()["posts"] == 2


def test_a_job_that_shows_late_in_the_list_is_still_found(
    look_up: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create]] [[sim:list=hidden*2]]"))
    assert (run.status, far_end.summary()["posts"]) == (Status.COMPLETED, 1)


def test_two_takes_of_the_same_shot_adopt_a_job_each(
    look_up: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create]]", gen_count=2))
    assert (run.status, far_end.summary()["posts"]) == (Status.COMPLETED, 2)
    assert len(set(Attempt.objects.values_list("provider_job_id", flat=True))) == 2


@pytest.mark.parametrize("status", [404, 405, 501])
def test_without_a_list_a_person_is_asked(
    status: int, look_up: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    far_end.configure(list_status=status)
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create]]"))
    task = only_task(run)
    assert (task.error_code, task.possibly_billed) == ("unknown_error", True)
    assert far_end.summary()["posts"] == 1


def test_the_worker_s_death_while_sending_is_looked_up_too(
    look_up: None, start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city")
    (sending,) = dispatch.claim(1, now=machine.now)
    send(machine.transport, sending)  # it died before it could write the answer
    run = machine.run_to_end(run, seconds=settings.SUBMIT_LEASE_SECONDS)
    assert (run.status, phases(), far_end.summary()["posts"]) == (Status.COMPLETED, [Phase.DONE], 1)


@pytest.mark.parametrize("fault", ["drop_after_create*1", "500_after_create*1", "bad_json*1"])
def test_a_token_that_is_honoured_is_sent_again(
    fault: str, token: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    far_end.configure(idempotency=True)
    run = machine.run_to_end(start(f"a city [[sim:submit={fault}]]"), seconds=6)
    assert (run.status, phases()) == (Status.COMPLETED, [Phase.DONE])
    assert far_end.summary()["created"] == 1


def test_a_refusal_of_the_re_send_opens_no_new_attempt(
    token: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    far_end.configure(idempotency=True)
    faults = "[[sim:submit=drop_before_create*1]] [[sim:submit=429:1*1]] [[sim:submit=500*1]]"
    run = machine.run_to_end(start(f"a city {faults}"), seconds=20)
    assert (run.status, phases()) == (Status.COMPLETED, [Phase.DONE])
    assert far_end.summary()["created"] == 1


def lost(start: MakeRun, machine: Machine) -> tuple[Run, Task]:
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create*1]]"))
    return run, only_task(run)


def test_a_decision_may_adopt_the_job(start: MakeRun, machine: Machine, far_end: Simulator) -> None:
    run, task = lost(start, machine)
    (post,) = far_end.ledger()["posts"]
    assert [attempt.task_id for attempt in decisions.open_decisions()] == [task.pk]
    decisions.decide(task.pk, "adopt", job_id=post["job_id"], now=machine.now)
    assert decisions.open_decisions().count() == 0
    run = machine.run_to_end(run)
    assert (run.status, phases(), far_end.summary()["posts"]) == (Status.COMPLETED, [Phase.DONE], 1)


def test_a_decision_may_submit_again(start: MakeRun, machine: Machine, far_end: Simulator) -> None:
    run, task = lost(start, machine)
    decisions.decide(task.pk, "submit_again", now=machine.now)
    run = machine.run_to_end(run)
    assert (run.status, phases()) == (Status.COMPLETED, [Phase.ABANDONED, Phase.DONE])


def test_a_decision_may_give_up(start: MakeRun, machine: Machine, far_end: Simulator) -> None:
    run, task = lost(start, machine)
    decisions.decide(task.pk, "give_up", now=machine.now)
    run.refresh_from_db()
    assert (run.status, phases()) == (Status.FAILED, [Phase.ABANDONED])
    with pytest.raises(Conflict):
        decisions.decide(task.pk, "give_up", now=machine.now)


def test_a_job_that_belongs_to_another_attempt_is_not_adopted(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    machine.run_to_end(start("another"))
    theirs = Attempt.objects.get().provider_job_id
    _, task = lost(start, machine)
    with pytest.raises(Conflict):
        decisions.decide(task.pk, "adopt", job_id=theirs, now=machine.now)
    with pytest.raises(Invalid):
        decisions.decide(task.pk, "adopt", now=machine.now)
    assert decisions.open_decisions().count() == 1


def test_a_paused_run_submits_nothing_new(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city", "a river", concurrency=1)
    machine.submit()
    lifecycle.set_paused(run.pk, paused=True, now=machine.now)
    for _ in range(3):
        machine.turn(60)
    run.refresh_from_db()
    assert (run.completed, run.queued, far_end.summary()["posts"]) == (1, 1, 1)
    lifecycle.set_paused(run.pk, paused=False, now=machine.now)
    run = machine.run_to_end(run)
    assert run.status == Status.COMPLETED
    with pytest.raises(Conflict):
        lifecycle.set_paused(run.pk, paused=True, now=machine.now)


def test_a_cancel_reaches_a_provider_that_takes_one(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    Provider.objects.filter(pk="openai").update(can_cancel=True)
    far_end.configure(seconds=3600, cancel=True)
    run = start("a city", "a river")
    machine.submit()
    lifecycle.cancel_run(run.pk, now=machine.now)
    machine.turn(1)
    run.refresh_from_db()
    assert (run.status, run.canceled) == (Status.CANCELED, 2)
    assert phases() == [Phase.CANCELED, Phase.CANCELED]


def test_a_job_that_its_provider_forgot_after_a_cancel_is_canceled(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    """It answered that the cancel came too late, or nothing clear, and dropped the job all the same."""
    far_end.configure(cancel=True)
    Provider.objects.filter(pk="openai").update(can_cancel=True)
    wish = "[[sim:seconds=3600]] [[sim:cancel=too_late]] [[sim:poll=stuck*2]] [[sim:poll=404]]"
    run = start(f"a city {wish}")
    machine.turn()
    lifecycle.cancel_run(run.pk, now=machine.now)
    run = machine.run_to_end(run)
    assert (run.status, phases()) == (Status.CANCELED, [Phase.CANCELED])
    assert far_end.summary()["posts"] == 1


def test_a_wrong_key_makes_everybody_wait_and_nobody_fail(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start(*["a city [[sim:submit=401*5]]"] * 5, concurrency=5)
    machine.turn(1)
    run.refresh_from_db()
    assert (run.queued, run.failed) == (5, 0)
    posts = far_end.summary()["posts"]
    machine.turn(10)
    run.refresh_from_db()
    assert far_end.summary()["posts"] == posts
    assert "401" in run.waiting_reason
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert Provider.objects.get(pk="openai").trips == 0


def test_after_the_breaker_one_submit_goes_first(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    start(*["a city [[sim:submit=402]]"] * 5, concurrency=5)
    machine.turn(1)
    posts = far_end.summary()["posts"]
    machine.turn(settings.BREAKER_SECONDS + 1)
    assert far_end.summary()["posts"] == posts + 1
    machine.turn(settings.BREAKER_SECONDS + 1)
    assert far_end.summary()["posts"] == posts + 1


def test_an_account_takes_so_many_submits_a_minute(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    Provider.objects.filter(pk="openai").update(max_per_minute=3)
    run = start(*["a city"] * 7, concurrency=50)
    for _ in range(5):
        machine.turn(10)
    assert far_end.summary()["posts"] == 3
    run.refresh_from_db()
    assert "a minute" in run.waiting_reason
    machine.turn(30)
    assert far_end.summary()["posts"] == 6
    assert machine.run_to_end(run).status == Status.COMPLETED


def test_a_download_over_which_workers_die_is_set_aside(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city")
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    poll.turn(machine.polls, machine.now)
    Task.objects.update(crashes=2, alone=True, lease_until=machine.now)
    machine.now += timedelta(seconds=1)
    machine.download()
    task = only_task(run)
    assert (task.status, task.retryable) == (Status.DOWNLOAD_FAILED, True)
    launch.retry_task(task.pk, now=machine.now)
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 1


def test_a_process_frozen_in_its_commit_does_not_send_when_it_wakes(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    """Its five seconds begin before the commit: others may have taken the attempt for lost meanwhile."""
    settings.SEND_WITHIN_SECONDS = 0.2
    run = start("a city")

    def freeze_at_the_commit(
        execute: Any, sql: str, parameters: Any, many: bool, context: Any
    ) -> Any:
        if "FROM runs_attempt" in sql:  # in the transaction that is to make one
            transaction.on_commit(lambda: time.sleep(0.4))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(freeze_at_the_commit):
        (sending,) = dispatch.claim(1, now=machine.now)
    assert send(machine.transport, sending) == TooLate()
    assert far_end.summary()["posts"] == 0
    assert only_task(run).attempt_count == 1


def test_what_is_committed_is_sent_although_the_re_sends_cannot_be_claimed(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city")

    def no_re_sends(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "WITH due" in sql and Step.RESEND in (parameters or ()):
            raise OperationalError("the database went away")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(no_re_sends), pytest.raises(OperationalError):
        machine.submitter.turn(machine.now)
    run = machine.run_to_end(run)
    assert (run.status, phases(), far_end.summary()["posts"]) == (Status.COMPLETED, [Phase.DONE], 1)


def test_a_list_that_is_cut_off_proves_no_absence(
    look_up: None, start: MakeRun, machine: Machine, far_end: Simulator, monkeypatch: Any
) -> None:
    monkeypatch.setattr(recover, "MAX_PAGES", 0)
    start("a city [[sim:submit=drop_after_create]]")
    for _ in range(4):
        machine.turn(400)
    assert (phases(), far_end.summary()["posts"]) == ([Phase.AMBIGUOUS], 1)


def test_workers_that_died_over_a_poll_do_not_count_against_the_download(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city")
    machine.submit()
    for _ in range(2):
        machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS + 60)
        (task,) = lifecycle.claim([Step.POLL], limit=1, lease=30, now=machine.now)
    machine.run_to_end(run)
    assert (task.crashes, only_task(run).crashes) == (1, 0)


def test_a_download_is_kept_alive_however_short_its_lease(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    settings.DOWNLOAD_LEASE_SECONDS = 3
    run = start("a city [[sim:fetch=slow:1]]")
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    poll.turn(machine.polls, machine.now)
    machine.downloader.turn(machine.now)
    held = only_task(run)
    machine.downloader.turn(machine.now + timedelta(seconds=2))
    assert held.lease_until is not None
    assert only_task(run).lease_until == held.lease_until + timedelta(seconds=2)
    machine.run_to_end(run)


def test_a_worker_that_won_its_own_download_again_counts_it_once(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    """Asleep past its lease, and the worker that took over has died: its first fetch still goes on."""
    settings.POISON_AFTER = 9  # a suspect would wait until that fetch has ended
    run = start("a city [[sim:fetch=slow:0.5]]")
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    poll.turn(machine.polls, machine.now)
    machine.downloader.turn(machine.now)
    assert lifecycle.claim(
        [Step.DOWNLOAD], limit=1, lease=30, now=machine.now + timedelta(seconds=40)
    )
    machine.downloader.turn(machine.now + timedelta(seconds=80))
    assert len(machine.downloader.pending) == 2
    wait(machine.downloader.pending)
    machine.downloader.turn(machine.now + timedelta(seconds=81))
    run.refresh_from_db()
    assert (run.status, run.running, run.completed) == (Status.COMPLETED, 0, 1)
    assert only_task(run).files.count() == 1
    assert run.events.filter(kind="stored").count() == 1


def test_a_run_whose_counts_are_wrong_holds_up_no_other(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    broken, sound = start("a city"), start("a town")
    machine.submit()
    Run.objects.filter(pk=broken.pk).update(running=0, queued=1)
    run = machine.run_to_end(sound, seconds=30)
    assert (run.status, run.completed) == (Status.COMPLETED, 1)
