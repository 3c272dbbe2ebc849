"""The provider simulator on a free loopback port, for tests that count POSTs over a real socket."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests

from providers.simulator.engine import Engine
from providers.simulator.server import serving
from providers.simulator.settings import Settings

_START_TIMEOUT = 10

Started = Future[tuple[int, Callable[[], object]]]


class Simulator:
    """The running server, spoken to by socket only."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.origin}/openai/v1"
        self._session = requests.Session()
        self._session.trust_env = False

    def ledger(self) -> dict[str, Any]:
        return self._call("GET", "/__sim__/ledger")

    def summary(self) -> dict[str, int]:
        return self._call("GET", "/__sim__/ledger?summary=1")

    def configure(self, **settings: Any) -> None:
        self._call("POST", "/__sim__/settings", settings)

    def reset(self) -> None:
        self._call("POST", "/__sim__/reset")

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._session.request(method, self.origin + path, json=body, timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def simulator(
    seconds: float = 0.2,
    *,
    api_key: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    **settings: Any,
) -> Iterator[Simulator]:
    """Run the server in a thread of its own for the length of the block."""
    chosen = Settings(seconds=seconds, **settings)
    engine = Engine(chosen, api_key=api_key, clock=clock)
    started: Started = Future()
    thread = threading.Thread(target=_thread, args=(engine, started), name="simulator")
    thread.start()
    port, stop = started.result(_START_TIMEOUT)
    running = Simulator(port)
    try:
        yield running
    finally:
        running.close()
        stop()
        thread.join()


def _thread(engine: Engine, started: Started) -> None:
    try:
        asyncio.run(_serve(engine, started))
    except OSError as error:
        started.set_exception(error)


async def _serve(engine: Engine, started: Started) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with serving(engine) as port:
        started.set_result((port, partial(loop.call_soon_threadsafe, stop.set)))
        await stop.wait()
