"""From a finished job to a file that is checked, hashed and on disk. Nothing here is ever paid again."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from providers.errors import Code, Failure
from providers.http import Transport
from runs import lifecycle, outputs
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Run, Status, Step, Task, VideoFile
from runs.steps import groups
from runs.steps.fetching import Fetchers, Fetching, NotStored, Stored, result_of

TRIES = 4


class Downloader:
    """Fetches or renders a few videos side by side, and keeps their claims alive meanwhile."""

    def __init__(self, transport: Transport) -> None:
        self.fetchers = Fetchers(transport)
        self.pending: dict[Future[Stored], Fetching] = {}
        self.renewed: datetime | None = None
        self.limit = 0
        self.handed: deque[Fetching] = deque()  # the only thing that another thread touches
        self.waiting: list[Fetching] = []

    def turn(self, now: datetime) -> int:
        """One pass: write what is here, keep the rest alive, start what is due. Returns how much was done."""
        arrived = self._arrived()
        write(arrived, now=now)
        self.waiting += [self.handed.popleft() for _ in range(len(self.handed))]
        self._renew(now)
        suspects = lifecycle.any_suspect(Step.DOWNLOAD, now=now)
        # Where they come fast, more than else at once, so that the wire is not idle while rows are written.
        most = settings.DOWNLOADERS + min(2 * len(arrived), 4 * settings.DOWNLOADERS)
        self.limit = 0 if suspects else most
        started = self._start(self._take_waiting())
        held = list(self.pending.values())
        started += self._start(claim(most, now=now, held=held, suspects=suspects))
        return len(arrived) + started + len(self.pending)

    def room(self) -> int:
        """How many finished jobs another lane may hand over, instead of leaving them to be claimed."""
        return max(self.limit - len(self.pending) - len(self.waiting) - len(self.handed), 0)

    def hand_over(self, fetchings: Sequence[Fetching]) -> None:
        """They are claimed already, with the lease of a download. Called by another thread."""
        self.handed.extend(fetchings)

    def _take_waiting(self) -> list[Fetching]:
        if any(fetching.task.alone for fetching in self.pending.values()):
            return []
        taken, self.waiting = self.waiting, []
        return taken

    def _start(self, fetchings: Sequence[Fetching]) -> int:
        self.pending |= zip(self.fetchers.fetch(fetchings), fetchings, strict=True)
        return len(fetchings)

    def _arrived(self) -> list[tuple[Fetching, Stored | NotStored]]:
        return [
            (fetching, result_of(fetching, future))
            for future in groups.arrived(self.pending)
            if (fetching := self.pending.pop(future))
        ]

    def _renew(self, now: datetime) -> None:
        often = timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS / 3)
        if self.renewed and now - self.renewed < often:
            return
        self.renewed = now
        tasks = [fetching.task for fetching in (*self.pending.values(), *self.waiting)]
        lifecycle.renew(tasks, lease=settings.DOWNLOAD_LEASE_SECONDS, now=now)

    def close(self) -> None:
        """Drop what has not begun; what is under way is claimed again by somebody when its lease ends."""
        self.fetchers.close()


def claim(
    limit: int, *, now: datetime, held: Sequence[Fetching] = (), suspects: bool | None = None
) -> list[Fetching]:
    """As many as go beside those already `held`; a suspect waits until there is none, and then goes alone.

    `suspects`: whether there is one, where the caller knows.
    """
    if suspects is None:
        suspects = lifecycle.any_suspect(Step.DOWNLOAD, now=now)
    if held and (suspects or any(fetching.task.alone for fetching in held)):
        return []
    tasks = lifecycle.claim(
        [Step.DOWNLOAD],
        limit=limit - len(held),
        lease=settings.DOWNLOAD_LEASE_SECONDS,
        now=now,
        suspects=suspects,
        more=["snapshot"],
    )
    if not tasks:
        return []
    folders = dict(
        Run.objects.filter(pk__in={task.run_id for task in tasks}).values_list(
            "pk", "output_folder"
        )
    )
    poison = [task for task in tasks if lifecycle.is_poison(task)]
    lifecycle.apply([lifecycle.poisoned(task, None, {}) for task in poison], now=now)
    tasks = [task for task in tasks if not lifecycle.is_poison(task)]
    attempts = {
        found.task_id: found
        for found in Attempt.objects.filter(
            task__in=[task.pk for task in tasks], phase=Phase.DOWNLOADING
        ).defer("routing", "options", "error_msg")
    }
    return [Fetching(task, attempts[task.pk], folders[task.run_id]) for task in tasks]


# ---- write: what came of it ----------------------------------------------------------------------------


def write(arrived: Sequence[tuple[Fetching, Stored | NotStored]], *, now: datetime) -> None:
    outputs.sync_run_folders(f.folder for f, result in arrived if isinstance(result, Stored))
    moves, postponed = [], []
    for fetching, result in arrived:
        if isinstance(result, Stored):
            moves.append(_completed(fetching, result, now))
        elif result.local:
            postponed.append((fetching.task, _when_there_is_room(result, now)))
        elif fetching.task.errors_in_a_row + 1 < TRIES:
            postponed.append((fetching.task, _once_more(fetching.task, result, now)))
        else:
            moves.append(_given_up(fetching, result))
    lifecycle.postpone(postponed)
    lifecycle.apply_apart(moves, now=now)


def _completed(fetching: Fetching, stored: Stored, now: datetime) -> Move:
    task, attempt = fetching.task, fetching.attempt
    file = VideoFile(
        task=task,
        attempt=attempt,
        path=stored.path,
        bytes=stored.bytes,
        sha256=stored.sha256,
        seconds=stored.facts.seconds,
        width=stored.facts.width,
        height=stored.facts.height,
        created_at=now,
    )
    known = {"phase": Phase.DONE, "finished_at": attempt.finished_at or now}
    values = {"progress": 100, "errors_in_a_row": 0}
    return Move(
        task,
        Status.COMPLETED,
        f"stored {stored.bytes} bytes",
        kind="stored",
        values=values,
        attempt=attempt,
        attempt_values=known,
        new_file=file,
    )


def _once_more(task: Task, result: NotStored, now: datetime) -> dict[str, Any]:
    errors = task.errors_in_a_row + 1
    due_at = now + timedelta(seconds=settings.RETRY_BACKOFF_SECONDS * 2 ** (errors - 1))
    return {
        "errors_in_a_row": errors,
        "due_at": due_at,
        "step": Step.POLL if result.stale else Step.DOWNLOAD,
        "waiting_reason": f"download: {result.why}"[:255],
    }


def _when_there_is_room(result: NotStored, now: datetime) -> dict[str, Any]:
    """A paid clip is never given up for want of disk: it waits at its provider, and says so."""
    due_at = now + timedelta(seconds=settings.DISK_FULL_WAIT_SECONDS)
    return {"due_at": due_at, "waiting_reason": result.why[:255]}


def _given_up(fetching: Fetching, result: NotStored) -> Move:
    """The attempt stays in `downloading`: its job is finished and paid, and a retry fetches it again."""
    failure = Failure(
        Code.DOWNLOAD_FAILED, f"The finished video could not be fetched: {result.why}"
    )
    values = {
        "error_code": failure.code,
        "error_msg": failure.message,
        "retryable": failure.retryable,
    }
    return Move(
        fetching.task,
        Status.DOWNLOAD_FAILED,
        failure.message,
        kind="download_failed",
        values=values,
        attempt=fetching.attempt,
    )
