"""Real worker processes, killed and multiplied, against a far end that keeps a ledger."""

import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from django.utils import timezone

from runs.models import ACTIVE, Attempt, Phase, Run, Status, Task
from tests.processes import wait_for, workers
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


def provider(far_end: Simulator) -> dict[str, str]:
    return {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": far_end.base_url, **FAST}


def has_ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.status not in ACTIVE


def has_created(far_end: Simulator, jobs: int) -> bool:
    return far_end.summary()["created"] >= jobs


def test_four_hundred_jobs_with_fifty_in_flight(start: MakeRun, tmp_path: Path) -> None:
    # Nobody dies here, so no lease may run out either, however busy the machine is.
    patient = {
        "SUBMIT_LEASE_SECONDS": "120",
        "POLL_LEASE_SECONDS": "60",
        "DOWNLOAD_LEASE_SECONDS": "60",
    }
    with (
        simulator(seconds=0.5) as far_end,
        workers(
            2, tmp_path, **{**provider(far_end), **patient, "API_REQUEST_TIMEOUT_SECONDS": "60"}
        ),
    ):
        run = start(*["a city"] * 200, gen_count=2, concurrency=50)
        wait_for(lambda: has_ended(run), seconds=400)
        ledger = far_end.summary()
    assert (run.status, run.completed) == (Status.COMPLETED, 400)
    assert (ledger["posts"], ledger["created"]) == (400, 400)
    assert ledger["max_in_flight"] <= 50
    assert Attempt.objects.filter(phase=Phase.DONE).count() == 400


def test_a_worker_killed_five_times_bills_no_job_twice(start: MakeRun, tmp_path: Path) -> None:
    dice = random.Random(22)
    with simulator(seconds=0.5) as far_end, workers(1, tmp_path, **provider(far_end)) as (worker,):
        run = start(*["a city"] * 200, gen_count=2, concurrency=50)
        for kill in range(5):
            wait_for(partial(has_created, far_end, 40 * (kill + 1)), every=0.01)
            time.sleep(dice.random() * 0.3)
            worker.kill()
            worker.start()
        wait_for(lambda: has_ended(run), seconds=240)
        jobs = [post["job_id"] for post in far_end.ledger()["posts"] if post["job_id"]]
    attempts = Attempt.objects.all()
    assert max(Counter(attempts.values_list("task_id", flat=True)).values()) == 1
    bound = set(attempts.exclude(provider_job_id=None).values_list("provider_job_id", flat=True))
    unanswered = attempts.filter(phase=Phase.AMBIGUOUS)
    assert len(set(jobs) - bound) <= unanswered.count()
    assert run.completed + run.failed == run.total_tasks == 400
    caught = Task.objects.filter(run=run, status=Status.FAILED)
    assert {(task.error_code, task.possibly_billed) for task in caught} <= {("unknown_error", True)}
    assert caught.count() == unanswered.count()


def test_a_worker_that_is_asked_to_stop_does_so_in_order(start: MakeRun, tmp_path: Path) -> None:
    with simulator(seconds=0.2) as far_end, workers(1, tmp_path, **provider(far_end)) as (worker,):
        run = start(*["a city [[sim:submit=hang:1]]"] * 8, concurrency=8)
        wait_for(lambda: far_end.summary()["posts"] >= 8, every=0.02)
        assert worker.stop() == 0
    assert Attempt.objects.filter(phase=Phase.SENDING).count() == 0
    run.refresh_from_db()
    assert (run.failed, Attempt.objects.filter(phase=Phase.AMBIGUOUS).count()) == (0, 0)
