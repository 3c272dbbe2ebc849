"""Asking hundreds of jobs how they are, all at once."""

import asyncio
from collections.abc import Sequence
from functools import partial

import aiohttp

from providers.base import HttpAnswer, HttpCall, NoAnswer
from providers.connections import CONNECT_TIMEOUT, TooLong, prepare, read_whole, session
from providers.errors import Code, Failure
from providers.loop import Loop
from providers.proxies import Proxies

# What the loop may need beyond the calls' own time-outs.
_GRACE = 2.0


class PollClient:
    """Safe to share between threads. Its loop starts with the first question, and again after `close`."""

    def __init__(self, *, proxies: Proxies | None = None, limit: int = 100) -> None:
        self._proxies = proxies or Proxies()
        self._loop = Loop("polls", partial(session, limit=limit))

    def ask(self, calls: Sequence[HttpCall], *, timeout: float) -> list[HttpAnswer | NoAnswer]:
        """The answers in the order of the calls, all within `timeout` seconds and a little.

        Redirects are answers. A call that fails is a NoAnswer and disturbs no other one.
        """
        if not calls:
            return []
        try:
            return self._loop.run(
                lambda session: self._ask_all(session, calls, timeout), timeout=timeout + _GRACE
            )
        except TimeoutError:
            return [_no_answer(Code.TIMEOUT, "No answer in time.") for _ in calls]

    def close(self) -> None:
        self._loop.close()

    async def _ask_all(
        self, session: aiohttp.ClientSession, calls: Sequence[HttpCall], timeout: float
    ) -> list[HttpAnswer | NoAnswer]:
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        return await asyncio.gather(*(self._ask_one(session, call, limit) for call in calls))

    async def _ask_one(
        self, session: aiohttp.ClientSession, call: HttpCall, limit: aiohttp.ClientTimeout
    ) -> HttpAnswer | NoAnswer:
        try:
            request = prepare(call)
            async with session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                proxy=self._proxies.choose(call.url),
                timeout=limit,
            ) as answer:
                return await read_whole(answer)
        except TooLong as error:
            return _no_answer(Code.SERVER_ERROR, str(error))
        except TimeoutError:
            return _no_answer(Code.TIMEOUT, "No answer in time.")
        except (aiohttp.ClientError, OSError, ValueError):
            return _no_answer(Code.DEPENDENCY_ERROR, "The connection failed.")


def _no_answer(code: Code, message: str) -> NoAnswer:
    return NoAnswer(Failure(code, message))
