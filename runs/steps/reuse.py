"""A take that was already generated from the same inputs is taken over: linked into the run's folder, not paid for."""

from datetime import datetime

from django.conf import settings

from runs import lifecycle, outputs
from runs.lifecycle import Move
from runs.models import Run, Status, Step, Task, VideoFile

BATCH = 200


def turn(now: datetime) -> int:
    """Take over one batch of earlier takes; returns how many tasks there were."""
    lease = settings.DOWNLOAD_LEASE_SECONDS
    tasks = lifecycle.claim([Step.REUSE], limit=BATCH, lease=lease, now=now, more=["reuse_of"])
    if not tasks:
        return 0
    runs = Run.objects.in_bulk({task.run_id for task in tasks})
    files = VideoFile.objects.in_bulk([task.reuse_of_id for task in tasks if task.reuse_of_id])
    moves = [
        _taken_over(task, runs[task.run_id], files.get(task.reuse_of_id), now) for task in tasks
    ]
    outputs.sync_run_folders(runs[m.task.run_id].output_folder for m in moves if m.new_file)
    lifecycle.apply(moves, now=now)
    return len(tasks)


def _taken_over(task: Task, run: Run, source: VideoFile | None, now: datetime) -> Move:
    path = _linked(task, run, source) if source else None
    if source is None or path is None:
        values = {"step": Step.SUBMIT, "due_at": now, "reuse_of": None}
        return Move(
            task,
            Status.QUEUED,
            "the earlier take is no longer stored",
            kind="reuse_lost",
            values=values,
        )
    file = VideoFile(
        task=task,
        reused_from=source,
        path=path,
        bytes=source.bytes,
        sha256=source.sha256,
        seconds=source.seconds,
        width=source.width,
        height=source.height,
        created_at=now,
    )
    why = "an earlier take from the same inputs is reused; nothing is paid"
    return Move(task, Status.COMPLETED, why, kind="reused", values={"progress": 100}, new_file=file)


def _linked(task: Task, run: Run, source: VideoFile) -> str | None:
    if not outputs.is_stored(source.path, source.bytes):
        return None
    try:
        return outputs.link_copy(source.path, run.output_folder, outputs.file_name(task, 0))
    except OSError:
        return None
