"""Real worker processes, killed and multiplied, against a far end that keeps a ledger."""

import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from django.utils import timezone

from providers.models import Provider, Recovery
from runs import invariants, launch
from runs.models import ACTIVE, Attempt, Event, Phase, Run, Status, Task
from tests.processes import Worker, wait_for, workers
from tests.providers.simulated import Simulator, simulator
from tests.runs.conftest import Machine, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def as_late_as_it_is(machine: Machine) -> None:
    """The workers here live in real time, so the runs must."""
    machine.now = timezone.now()


FAST = {
    "POLL_INITIAL_WAIT_SECONDS": "0.5",
    "POLL_INTERVAL_SECONDS": "0.5",
    "POLL_LEASE_SECONDS": "2",
    "SUBMIT_LEASE_SECONDS": "3",
    "DOWNLOAD_LEASE_SECONDS": "3",
    "RETRY_BACKOFF_SECONDS": "0.5",
    "API_REQUEST_TIMEOUT_SECONDS": "5",
    "SWEEP_INTERVAL_SECONDS": "0.3",
}

# Where nobody dies no lease may run out either, however busy the machine is.
PATIENT = {
    "SUBMIT_LEASE_SECONDS": "120",
    "POLL_LEASE_SECONDS": "60",
    "DOWNLOAD_LEASE_SECONDS": "60",
    "API_REQUEST_TIMEOUT_SECONDS": "60",
    "SEND_WITHIN_SECONDS": "60",
}


def provider(far_end: Simulator) -> dict[str, str]:
    return {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": far_end.base_url, **FAST}


def has_ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.status not in ACTIVE


def assert_nothing_is_broken() -> None:
    found = invariants.check(invariants.Options(now=timezone.now(), hashes=True))
    assert [rows for rows in found.values() if rows] == []


def has_created(far_end: Simulator, jobs: int) -> bool:
    return far_end.summary()["created"] >= jobs


def test_four_hundred_jobs_with_fifty_in_flight(start: MakeRun, tmp_path: Path) -> None:
    with (
        simulator(seconds=0.5) as far_end,
        workers(2, tmp_path, **{**provider(far_end), **PATIENT}),
    ):
        run = start(*["a city"] * 200, gen_count=2, concurrency=50)
        wait_for(lambda: has_ended(run), seconds=400)
        ledger = far_end.summary()
    assert (run.status, run.completed) == (Status.COMPLETED, 400)
    assert (ledger["posts"], ledger["created"]) == (400, 400)
    assert ledger["max_in_flight"] <= 50
    assert Attempt.objects.filter(phase=Phase.DONE).count() == 400
    assert_nothing_is_broken()


KILLS = 5


def test_a_worker_killed_five_times_bills_no_job_twice(start: MakeRun, tmp_path: Path) -> None:
    dice = random.Random(22)
    with simulator(seconds=0.5) as far_end, workers(1, tmp_path, **provider(far_end)) as (worker,):
        run = start(*["a city"] * 200, gen_count=2, concurrency=50)
        for kill in range(KILLS):
            wait_for(partial(has_created, far_end, 40 * (kill + 1)), every=0.01)
            time.sleep(dice.random() * 0.3)
            worker.kill()
            worker.start()
        wait_for(lambda: has_ended(run), seconds=240)
        jobs = [post["job_id"] for post in far_end.ledger()["posts"] if post["job_id"]]
    # What was surely not sent goes back to the queue, and is no second call.
    attempts = Attempt.objects.exclude(phase=Phase.REJECTED)
    assert max(Counter(attempts.values_list("task_id", flat=True)).values()) == 1
    bound = set(attempts.exclude(provider_job_id=None).values_list("provider_job_id", flat=True))
    unanswered = attempts.filter(phase=Phase.AMBIGUOUS)
    assert len(set(jobs) - bound) <= unanswered.count()
    assert run.completed + run.failed + run.download_failed == run.total_tasks == 400
    caught = Task.objects.filter(run=run, status=Status.FAILED)
    assert {(task.error_code, task.possibly_billed) for task in caught} <= {("unknown_error", True)}
    assert caught.count() == unanswered.count()
    assert_nothing_is_broken()
    # The first kill only makes suspects, a later one meets one of them at the most, and twice it must be the same.
    assert run.download_failed <= (KILLS - 1) // 2


def deaths_until_the_end(run: Run, worker: Worker) -> int:
    """How often the worker had to be started again."""
    deaths = 0

    def has_ended_or_goes_on() -> bool:
        nonlocal deaths
        if has_ended(run):
            return True
        assert worker.process is not None
        if worker.process.poll() is not None:
            deaths += 1
            worker.start()
        return False

    wait_for(has_ended_or_goes_on, seconds=240)
    return deaths


def test_only_the_download_that_kills_its_workers_is_set_aside(
    start: MakeRun, machine: Machine, far_end: Simulator, tmp_path: Path
) -> None:
    run = start("poison", *["a city"] * 12, concurrency=50)
    fault = {"CINEFLOW_FAULT": "downloaded_before_rename@poison:1"}
    with workers(1, tmp_path, **provider(far_end), **fault) as (worker,):
        assert deaths_until_the_end(run, worker) == 3
    run.refresh_from_db()
    assert (run.completed, run.download_failed) == (12, 1)
    task = Task.objects.get(run=run, status=Status.DOWNLOAD_FAILED)
    assert (task.full_prompt, task.retryable) == ("poison", True)
    assert task.error_msg.startswith("Set aside: 3 workers died one after the other")
    # Its clip is paid and still there: a retry, once the fault is mended, only fetches it.
    launch.retry_task(task.pk, now=timezone.now())
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 13


def test_only_the_poll_that_kills_its_workers_is_set_aside(
    start: MakeRun, machine: Machine, far_end: Simulator, tmp_path: Path
) -> None:
    run = start("poison", *["a city"] * 12, concurrency=50)
    fault = {"CINEFLOW_FAULT": "polled_before_write@poison:1"}
    with workers(1, tmp_path, **provider(far_end), **fault) as (worker,):
        assert deaths_until_the_end(run, worker) == 5
    run.refresh_from_db()
    assert (run.completed, run.failed) == (12, 1)
    task = Task.objects.get(run=run, status=Status.FAILED)
    assert (task.full_prompt, task.error_code, task.retryable) == ("poison", "timeout", True)
    assert task.error_msg.startswith("Set aside: 5 workers died one after the other")
    assert task.attempts.get().error_code == "timeout"
    # Its job is paid: a retry, once the fault is mended, asks for it before it pays again.
    launch.retry_task(task.pk, now=timezone.now())
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 13
    assert_nothing_is_broken()


def test_only_the_submit_that_kills_its_workers_is_set_aside(
    start: MakeRun, far_end: Simulator, tmp_path: Path
) -> None:
    run = start("poison", *["a city"] * 12, concurrency=50)
    Provider.objects.filter(pk="openai").update(recovery=Recovery.LOOK_UP)
    fault = {"CINEFLOW_FAULT": "committed_before_send@poison:1", "LOOK_UP_DELAYS": "1,2"}
    with workers(1, tmp_path, **provider(far_end), **fault) as (worker,):
        assert deaths_until_the_end(run, worker) == 3
    assert (run.completed, run.failed) == (12, 1)
    task = Task.objects.get(run=run, status=Status.FAILED)
    assert (task.full_prompt, task.possibly_billed) == ("poison", False)
    assert Event.objects.filter(task=task, kind="poisoned").count() == 1
    assert far_end.summary()["created"] == 12
    assert_nothing_is_broken()


def test_a_worker_that_is_asked_to_stop_does_so_in_order(start: MakeRun, tmp_path: Path) -> None:
    with simulator(seconds=0.2) as far_end, workers(1, tmp_path, **provider(far_end)) as (worker,):
        run = start(*["a city [[sim:submit=hang:1]]"] * 8, concurrency=8)
        wait_for(lambda: far_end.summary()["posts"] >= 8, every=0.02)
        assert worker.stop() == 0
    assert Attempt.objects.filter(phase=Phase.SENDING).count() == 0
    run.refresh_from_db()
    assert (run.failed, Attempt.objects.filter(phase=Phase.AMBIGUOUS).count()) == (0, 0)
    assert_nothing_is_broken()
