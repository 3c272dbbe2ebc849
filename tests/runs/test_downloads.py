"""Bringing a finished video home: whatever happens here, it is not paid again."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from runs import launch, outputs
from runs.models import Attempt, Phase, Status, Task
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
