"""An event loop in a thread of its own, with one HTTP session, for the threads that wait for answers."""

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

T = TypeVar("T")

Work = Callable[[aiohttp.ClientSession], Coroutine[Any, Any, T]]

_CLOSING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    stop: asyncio.Event
    thread: threading.Thread


class Loop:
    """Safe to share between threads. It starts with the first work, and again after `close`."""

    def __init__(self, name: str, open_session: Callable[[], aiohttp.ClientSession]) -> None:
        self._name = name
        self._open_session = open_session
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, works: Sequence[Work[T]]) -> list[Future[T]]:
        """Begin them all at once; each future has what its work returns or raises.

        Handed over together: waking another thread costs more than a request does.
        """
        if not works:
            return []
        running = self._started()
        promises: list[Future[T]] = [Future() for _ in works]

        def begin() -> None:
            for work, promise in zip(works, promises, strict=True):
                task = running.loop.create_task(_keep(work(running.session), promise))
                # The loop itself holds no task alive.
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        running.loop.call_soon_threadsafe(begin)
        return promises

    def run(self, work: Work[T], *, timeout: float) -> T:
        """What `work` returns or raises. Raises TimeoutError after `timeout` seconds, or when closed meanwhile."""
        (promise,) = self.start([work])
        try:
            return promise.result(timeout)
        except CancelledError:
            raise TimeoutError from None

    def close(self) -> None:
        """Ends what is under way."""
        with self._lock:
            running, self._running = self._running, None
        if running:
            atexit.unregister(self.close)
            running.loop.call_soon_threadsafe(running.stop.set)
            running.thread.join(_CLOSING_SECONDS)

    def _started(self) -> _Running:
        with self._lock:
            if self._running is None:
                self._running = self._start()
            return self._running

    def _start(self) -> _Running:
        started: Future[_Running] = Future()
        # A daemon: a worker that is told to stop does not wait for an answer.
        thread = threading.Thread(target=self._run, args=(started,), name=self._name, daemon=True)
        thread.start()
        running = started.result()
        atexit.register(self.close)
        return running

    def _run(self, started: Future[_Running]) -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: Future[_Running]) -> None:
        stop = asyncio.Event()
        async with self._open_session() as session:
            thread = threading.current_thread()
            started.set_result(_Running(asyncio.get_running_loop(), session, stop, thread))
            await stop.wait()


async def _keep(work: Coroutine[Any, Any, T], promise: Future[T]) -> None:
    try:
        promise.set_result(await work)
    except asyncio.CancelledError:
        promise.cancel()
    except BaseException as error:  # noqa: BLE001 - it belongs to who asked for the work
        promise.set_exception(error)
