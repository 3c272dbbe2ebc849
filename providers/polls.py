"""Asking hundreds of jobs how they are: one loop thread with one session, for all that poll."""

import asyncio
import atexit
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

import aiohttp

from providers.base import HttpAnswer, HttpCall, NoAnswer
from providers.connections import CHUNK, CONNECT_TIMEOUT, USER_AGENT, trusted
from providers.errors import Code, Failure
from providers.proxies import Proxies

MAX_ANSWER = 4 * 1024 * 1024
# What the loop may need beyond the calls' own time-outs.
_GRACE = 2.0
_CLOSING = 5.0


@dataclass(frozen=True, slots=True)
class _Loop:
    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    stop: asyncio.Event
    thread: threading.Thread


class PollClient:
    """Safe to share between threads. The loop starts with the first question."""

    def __init__(self, *, proxies: Proxies | None = None, limit: int = 100) -> None:
        self._proxies = proxies or Proxies()
        self._limit = limit
        self._lock = threading.Lock()
        self._running: _Loop | None = None

    def ask(self, calls: Sequence[HttpCall], *, timeout: float) -> list[HttpAnswer | NoAnswer]:
        """The answers in the order of the calls, all within `timeout` seconds and a little.

        Redirects are answers. A call that fails is a NoAnswer and disturbs no other one.
        """
        if not calls:
            return []
        running = self._started()
        batch = asyncio.run_coroutine_threadsafe(
            self._ask_all(running.session, calls, timeout), running.loop
        )
        try:
            return batch.result(timeout + _GRACE)
        except (TimeoutError, CancelledError):
            batch.cancel()
            return [_no_answer(Code.TIMEOUT, "No answer in time.") for _ in calls]

    def close(self) -> None:
        """Ends what is under way. The next question starts anew."""
        with self._lock:
            running, self._running = self._running, None
        if running:
            atexit.unregister(self.close)
            running.loop.call_soon_threadsafe(running.stop.set)
            running.thread.join(_CLOSING)

    def _started(self) -> _Loop:
        with self._lock:
            if self._running is None:
                self._running = self._start()
            return self._running

    def _start(self) -> _Loop:
        started: Future[_Loop] = Future()
        # A daemon: a worker that is told to stop does not wait for a poll.
        thread = threading.Thread(target=self._run, args=(started,), name="polls", daemon=True)
        thread.start()
        running = started.result()
        atexit.register(self.close)
        return running

    def _run(self, started: Future[_Loop]) -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: Future[_Loop]) -> None:
        stop = asyncio.Event()
        async with self._session() as session:
            thread = threading.current_thread()
            started.set_result(_Loop(asyncio.get_running_loop(), session, stop, thread))
            await stop.wait()

    def _session(self) -> aiohttp.ClientSession:
        # The same certificates: or a poll may fail where a submit went through.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit, ssl=trusted()),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            trust_env=False,
        )

    async def _ask_all(
        self, session: aiohttp.ClientSession, calls: Sequence[HttpCall], timeout: float
    ) -> list[HttpAnswer | NoAnswer]:
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        return await asyncio.gather(*(self._ask_one(session, call, limit) for call in calls))

    async def _ask_one(
        self, session: aiohttp.ClientSession, call: HttpCall, limit: aiohttp.ClientTimeout
    ) -> HttpAnswer | NoAnswer:
        try:
            async with session.request(
                call.method,
                call.url,
                headers={**call.headers, **call.secret_headers},
                json=call.json,
                allow_redirects=False,
                proxy=self._proxies.choose(call.url),
                timeout=limit,
            ) as answer:
                return await _read(answer)
        except TimeoutError:
            return _no_answer(Code.TIMEOUT, "No answer in time.")
        except (aiohttp.ClientError, OSError, ValueError):
            return _no_answer(Code.DEPENDENCY_ERROR, "The connection failed.")


async def _read(answer: aiohttp.ClientResponse) -> HttpAnswer | NoAnswer:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            return _no_answer(Code.SERVER_ERROR, "The answer is too long to be one.")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return HttpAnswer(answer.status, headers, bytes(body))


def _no_answer(code: Code, message: str) -> NoAnswer:
    return NoAnswer(Failure(code, message))
