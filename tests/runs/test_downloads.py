"""Bringing a finished video home: whatever happens here, it is not paid again."""

import errno
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from providers.base import HttpAnswer, HttpCall, NoAnswer
from providers.http import PollClient
from runs import launch, lifecycle, outputs
from runs.models import Attempt, Phase, Status, Step, Task
from runs.steps import download, poll
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun, only_task

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_full_disk_waits_with_a_reason_and_loses_no_clip(
    start: MakeRun, machine: Machine, far_end: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start("a city")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for _ in range(12):
            machine.turn(60)
    task = only_task(run)
    assert (task.status, task.errors_in_a_row) == (Status.RUNNING, 0)
    assert "No space left" in task.waiting_reason
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 1


def test_an_expired_address_is_asked_for_anew(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city [[sim:fetch=403*1]]")
    run = machine.run_to_end(run)
    assert run.status == Status.COMPLETED
    assert far_end.summary()["polls"] == 2


def test_an_address_that_stays_gone_ends_in_a_failed_download(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:fetch=404]]"))
    task = only_task(run)
    assert (task.status, Attempt.objects.get().phase) == (
        Status.DOWNLOAD_FAILED,
        Phase.DOWNLOADING,
    )


def test_a_file_that_a_crash_left_in_place_is_taken_for_what_it_is(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city"))
    task = only_task(run)
    assert task.video is not None
    path = outputs.absolute(task.video.path)
    # As if the row had not been written: the file is there, the task still downloads.
    task.video.delete()
    Attempt.objects.update(phase=Phase.DOWNLOADING)
    Task.objects.filter(pk=task.pk).update(
        status=Status.DOWNLOAD_FAILED, error_code="download_failed"
    )
    run.__class__.objects.update(completed=0, download_failed=1, status=Status.FAILED)
    launch.retry_task(task.pk, now=machine.now)
    machine.run_to_end(run)
    again = only_task(run).video
    assert again is not None
    assert outputs.absolute(again.path) == path
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_scratch_file_is_gone_whatever_happens(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    machine.run_to_end(start("a city [[sim:fetch=html]]", "a river"))
    assert list(Path(settings.DATA_DIR, "tmp").iterdir()) == []


# ---- handed over by the poll that found them finished ----------------------------------------------


def find_finished(machine: Machine, settings: Any) -> None:
    machine.submit()
    machine.now += timedelta(seconds=settings.POLL_INITIAL_WAIT_SECONDS)
    poll.turn(machine.polls, machine.now, downloader=machine.downloader)


def test_a_finished_job_is_fetched_under_the_claim_of_its_poll(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    machine.downloader.turn(machine.now)
    run = start("a city")
    find_finished(machine, settings)
    held = only_task(run)
    assert held.step == Step.DOWNLOAD
    assert download.claim(9, now=machine.now) == []
    machine.download()
    task = only_task(run)
    assert (task.status, task.fence) == (Status.COMPLETED, held.fence)
    assert [event.kind for event in run.events.order_by("number")][-2:] == ["finished", "stored"]


class Slow(PollClient):
    def ask(self, calls: Sequence[HttpCall], *, timeout: float) -> list[HttpAnswer | NoAnswer]:
        time.sleep(0.2)
        return super().ask(calls, timeout=timeout)


def test_the_lease_of_what_is_handed_over_begins_after_the_polls(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    machine.downloader.turn(machine.now)
    machine.polls = Slow()
    run = start("a city")
    find_finished(machine, settings)
    until = only_task(run).lease_until
    assert until is not None
    assert until - machine.now >= timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS + 0.2)
    assert machine.run_to_end(run).status == Status.COMPLETED


def test_what_a_downloader_has_no_room_for_is_left_to_be_claimed(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    settings.DOWNLOADERS = 2
    machine.downloader.turn(machine.now)
    run = start(*["a city"] * 5, concurrency=9)
    find_finished(machine, settings)
    held = run.tasks.filter(step=Step.DOWNLOAD, lease_until__isnull=False)
    assert (held.count(), machine.downloader.room()) == (2, 0)
    assert len(download.claim(9, now=machine.now)) == 3


def test_what_was_handed_to_a_worker_that_died_is_claimed_by_another(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    machine.downloader.turn(machine.now)
    run = start("a city")
    find_finished(machine, settings)
    machine.downloader.handed.clear()
    machine.now += timedelta(seconds=2 * settings.DOWNLOAD_LEASE_SECONDS)
    (again,) = download.claim(9, now=machine.now)
    assert again.task.crashes == 1
    machine.now += timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS + 1)
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 1


def test_what_is_handed_over_is_kept_while_it_waits(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    machine.downloader.turn(machine.now)
    run = start("a city")
    find_finished(machine, settings)
    later = machine.now + timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS / 2)
    machine.downloader.turn(later)
    assert only_task(run).lease_until == later + timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS)
    machine.download()
    assert only_task(run).status == Status.COMPLETED


def test_what_was_handed_over_waits_for_a_suspect_that_is_fetched_alone(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    suspected = start("a city [[sim:fetch=slow:0.5]]")
    find_finished(machine, settings)
    machine.downloader.turn(machine.now)  # learns that it has room
    other = start("a river")
    find_finished(machine, settings)
    alone = machine.downloader.pending.values()
    for fetching in alone:
        fetching.task.alone = True
    later = machine.now + timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS / 2)
    machine.downloader.turn(later)
    assert [fetching.task.run_id for fetching in alone] == [suspected.pk]
    lease = timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS)
    assert only_task(other).lease_until == later + lease
    machine.run_to_end(suspected)
    assert machine.run_to_end(other).status == Status.COMPLETED


def test_nothing_is_handed_over_while_a_suspect_waits_for_its_turn(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    suspected = start("a city")
    find_finished(machine, settings)
    suspected.tasks.update(crashes=1)
    machine.downloader.turn(machine.now)
    assert machine.downloader.room() == 0
    machine.download()
    assert only_task(suspected).status == Status.COMPLETED


def test_a_suspect_that_asked_for_a_fresh_address_is_not_handed_over(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city [[sim:fetch=403*1]]")
    find_finished(machine, settings)
    machine.downloader.turn(machine.now)
    machine.download()
    assert only_task(run).step == Step.POLL
    run.tasks.update(crashes=1)
    assert machine.downloader.room() > 0
    machine.now += timedelta(seconds=60)
    poll.turn(machine.polls, machine.now, downloader=machine.downloader)
    task = only_task(run)
    assert (task.step, task.lease_until, task.crashes) == (Step.DOWNLOAD, None, 1)
    assert lifecycle.any_suspect(Step.DOWNLOAD, now=machine.now)
    assert machine.run_to_end(run).status == Status.COMPLETED
