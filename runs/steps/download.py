"""From a finished job to a file that is checked, hashed and on disk. Nothing here is ever paid again."""

import errno
import hashlib
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from cineflow.core.faults import fault
from providers import registry
from providers.base import HttpCall, RenderLocally
from providers.errors import Code, Failure
from providers.http import DownloadError, Transport
from providers.preview.render import RenderError, render_clip
from runs import lifecycle, mp4, outputs
from runs.lifecycle import Move
from runs.models import Attempt, Phase, Run, Status, Step, Task, VideoFile

logger = logging.getLogger(__name__)

MAX_VIDEO_BYTES = 4 << 30
TRIES = 4
# The disk is full, over quota, read-only or broken: no fault of the video's.
_LOCAL = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.EACCES,
    errno.EMFILE,
    errno.ENFILE,
)
# An address that has expired, or never was: a new one may be had.
_STALE = (401, 403, 404, 410)
_GROUP_SECONDS = 0.05
# Drawing is work for the processor, unlike fetching: more at once would only take turns.
_drawing = threading.BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Fetching:
    """One claimed download."""

    task: Task
    attempt: Attempt
    folder: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in its place."""

    path: str
    bytes: int
    sha256: str
    facts: mp4.Facts


@dataclass(frozen=True, slots=True)
class NotStored:
    """The video could not be brought here this time.

    `local`: this machine is at fault, so it waits and no try is used up. `stale`: the address is no longer
    good, so the provider is asked for a new one first.
    """

    why: str
    local: bool = False
    stale: bool = False


class Downloader:
    """Fetches or renders a few videos side by side, and keeps their claims alive meanwhile."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.fetchers = ThreadPoolExecutor(settings.DOWNLOADERS, thread_name_prefix="fetcher")
        self.pending: dict[Future[Stored | NotStored], Fetching] = {}
        self.renewed: datetime | None = None

    def turn(self, now: datetime) -> int:
        """One pass: write what is here, keep the rest alive, start what is due. Returns how much was done."""
        arrived = self._arrived()
        write(arrived, now=now)
        self._renew(now)
        # More than can be fetched at once, so that no fetcher is idle while rows are written.
        limit = settings.DOWNLOADERS + min(2 * len(arrived), 4 * settings.DOWNLOADERS)
        started = claim(limit, now=now, held=list(self.pending.values()))
        for fetching in started:
            self.pending[self.fetchers.submit(bring, self.transport, fetching)] = fetching
        return len(arrived) + len(started) + len(self.pending)

    def _arrived(self) -> list[tuple[Fetching, Stored | NotStored]]:
        if not self.pending:
            return []
        done, _ = wait(self.pending, timeout=_GROUP_SECONDS)
        return [(self.pending.pop(future), future.result()) for future in done]

    def _renew(self, now: datetime) -> None:
        often = timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS / 3)
        if self.renewed and now - self.renewed < often:
            return
        self.renewed = now
        tasks = [fetching.task for fetching in self.pending.values()]
        lifecycle.renew(tasks, lease=settings.DOWNLOAD_LEASE_SECONDS, now=now)

    def close(self) -> None:
        """Drop what has not begun; what is under way is claimed again by somebody when its lease ends."""
        self.fetchers.shutdown(wait=False, cancel_futures=True)


def claim(limit: int, *, now: datetime, held: Sequence[Fetching] = ()) -> list[Fetching]:
    """As many as go beside those already `held`; a suspect waits until there is none, and then goes alone."""
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
        )
    }
    return [Fetching(task, attempts[task.pk], folders[task.run_id]) for task in tasks]


# ---- bring: in a thread of its own, without the database ---------------------------------------------


def bring(transport: Transport, fetching: Fetching) -> Stored | NotStored:
    """Fetch or render, check, hash, sync and place one video."""
    try:
        scratch = outputs.scratch(fetching.attempt.pk, fetching.task.fence)
    except OSError as error:
        return NotStored(f"The data folder cannot be written: {error.strerror}.", local=True)
    try:
        return _stored(fetching, scratch, _make(transport, fetching, scratch))
    except DownloadError as error:
        return NotStored(str(error), stale=error.failure.http_status in _STALE)
    except mp4.NotAVideo as error:
        return NotStored(f"What came is no video: {error}.")
    except RenderError as error:
        return NotStored(str(error))
    except OSError as error:
        words = f"The file cannot be written on this machine: {error.strerror or error}."
        return NotStored(words, local=error.errno in _LOCAL)
    except Exception as error:
        logger.exception("attempt %s could not be stored", fetching.attempt.pk)
        return NotStored(f"The video could not be stored: {type(error).__name__}.")
    finally:
        scratch.unlink(missing_ok=True)


def _make(transport: Transport, fetching: Fetching, scratch: Path) -> str:
    """Writes and syncs the file; returns its sha256."""
    task, attempt = fetching.task, fetching.attempt
    account, adapter = registry.account(attempt.provider_id), registry.adapter(attempt.provider_id)
    match adapter.fetch(account, attempt.job, attempt.output or {}):
        case HttpCall() as call:
            done = transport.download(
                call, scratch, timeout=settings.DOWNLOAD_TIMEOUT_SECONDS, max_bytes=MAX_VIDEO_BYTES
            )
            return done.sha256
        case RenderLocally():
            with _drawing:
                _draw(task, attempt, scratch)
            outputs.sync(scratch)
            with scratch.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()


def _draw(task: Task, attempt: Attempt, scratch: Path) -> None:
    render_clip(
        prompt=attempt.prompt,
        segment_index=task.segment_index,
        take=task.take,
        resolution=task.snapshot["resolution"],
        seconds=attempt.seconds,
        target=scratch,
        timeout=settings.DOWNLOAD_TIMEOUT_SECONDS,
    )


def _stored(fetching: Fetching, scratch: Path, digest: str) -> Stored:
    facts, size = mp4.read(scratch), scratch.stat().st_size
    name = outputs.file_name(fetching.task, fetching.attempt.number)
    fault("downloaded_before_rename", fetching.attempt.prompt)
    path = outputs.place(scratch, fetching.folder, name)
    fault("renamed_before_commit")
    return Stored(path, size, digest, facts)


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
