"""From a finished job to a file that is checked, hashed and in its place. Nothing here touches the database."""

import errno
import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from django.conf import settings

from cineflow.core.faults import fault
from providers import registry
from providers.base import HttpCall, RenderLocally
from providers.http import Downloaded, DownloadError, Order, Transport
from providers.preview.render import RenderError, render_clip
from runs import mp4, outputs
from runs.models import Attempt, Task

logger = logging.getLogger(__name__)

MAX_VIDEO_BYTES = 4 << 30
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


@dataclass(frozen=True)
class Fetching:
    """One claimed download."""

    task: Task
    attempt: Attempt
    folder: str

    @cached_property
    def scratch(self) -> Path:
        return outputs.scratch(self.attempt.pk, self.task.fence)


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


class Fetchers:
    """Fetches, or renders, side by side."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        # Drawing is work for the processor, unlike fetching: more at once would only take turns.
        self.painters = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="painter")

    def fetch(self, fetchings: Sequence[Fetching]) -> list[Future[Stored]]:
        """Of each, in their order, a future for `result_of`."""
        found: dict[int, Future[Stored]] = {}
        orders: dict[int, Order[Stored]] = {}
        for place, fetching in enumerate(fetchings):
            try:
                outputs.scratch_folder().mkdir(parents=True, exist_ok=True)
                match _source(fetching):
                    case HttpCall() as call:
                        orders[place] = _order(fetching, call)
                    case RenderLocally():
                        found[place] = self.painters.submit(_drawn, fetching)
            except Exception as error:  # noqa: BLE001 - what is wrong with one must not stop the others
                found[place] = Future()
                found[place].set_exception(error)
        found |= zip(orders, self.transport.download_all(list(orders.values())), strict=True)
        return [found[place] for place in range(len(fetchings))]

    def close(self) -> None:
        """Drop what has not begun."""
        self.painters.shutdown(wait=False, cancel_futures=True)


def bring(transport: Transport, fetching: Fetching) -> Stored | NotStored:
    """One, and wait for it."""
    fetchers = Fetchers(transport)
    (future,) = fetchers.fetch([fetching])
    try:
        return result_of(fetching, future)
    finally:
        fetchers.close()


def result_of(fetching: Fetching, future: Future[Stored]) -> Stored | NotStored:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - a bug in one must not stop the others
        fetching.scratch.unlink(missing_ok=True)
        return _why_not(fetching, error)


def _why_not(fetching: Fetching, error: Exception) -> NotStored:
    match error:
        case DownloadError():
            return NotStored(str(error), stale=error.failure.http_status in _STALE)
        case mp4.NotAVideo():
            return NotStored(f"What came is no video: {error}.")
        case RenderError():
            return NotStored(str(error))
        case OSError():
            words = f"The file cannot be written on this machine: {error.strerror or error}."
            return NotStored(words, local=error.errno in _LOCAL)
    logger.error("attempt %s could not be stored", fetching.attempt.pk, exc_info=error)
    return NotStored(f"The video could not be stored: {type(error).__name__}.")


def _source(fetching: Fetching) -> HttpCall | RenderLocally:
    attempt = fetching.attempt
    account, adapter = registry.account(attempt.provider_id), registry.adapter(attempt.provider_id)
    return adapter.fetch(account, attempt.job, attempt.output or {})


def _order(fetching: Fetching, call: HttpCall) -> Order[Stored]:
    def store(downloaded: Downloaded) -> Stored:
        return _stored(fetching, downloaded.sha256, downloaded.bytes)

    timeout: float = settings.DOWNLOAD_TIMEOUT_SECONDS
    return Order(call, fetching.scratch, timeout, MAX_VIDEO_BYTES, store)


def _drawn(fetching: Fetching) -> Stored:
    render_clip(
        prompt=fetching.attempt.prompt,
        segment_index=fetching.task.segment_index,
        take=fetching.task.take,
        resolution=fetching.task.snapshot["resolution"],
        seconds=fetching.attempt.seconds,
        target=fetching.scratch,
        timeout=settings.DOWNLOAD_TIMEOUT_SECONDS,
    )
    outputs.sync(fetching.scratch)
    with fetching.scratch.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _stored(fetching, digest, fetching.scratch.stat().st_size)


def _stored(fetching: Fetching, digest: str, size: int) -> Stored:
    """What was written and synced, checked and put in its place."""
    scratch = fetching.scratch
    facts = mp4.read(scratch)
    name = outputs.file_name(fetching.task, fetching.attempt.number)
    fault("downloaded_before_rename", fetching.attempt.prompt)
    path = outputs.place(scratch, fetching.folder, name)
    fault("renamed_before_commit")
    return Stored(path, size, digest, facts)
