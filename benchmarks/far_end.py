"""The provider that all peers drive: the simulator, in a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks.peers.load import HEADERS, order
from cineflow.core.child_process import start, stop, wait_until
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent


class FarEnd:
    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"
        self.base_url = f"{self._origin}/openai/v1"

    def summary(self) -> dict[str, int]:
        return dict(self._call("GET", "/__sim__/ledger?summary=1"))

    def prepare(self, *, seconds: float) -> None:
        """Empty, with jobs that take so long, and with the picture drawn that all clips share."""
        self._call("POST", "/__sim__/settings", {"seconds": 0})
        job = self._call("POST", "/openai/v1/videos", order(0))
        requests.get(f"{self.base_url}/videos/{job['id']}/content", headers=HEADERS, timeout=60)
        self._call("POST", "/__sim__/reset")
        self._call("POST", "/__sim__/settings", {"seconds": seconds})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        url = self._origin + path
        answer = requests.request(method, url, json=body, headers=HEADERS, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def is_up(self) -> bool:
        try:
            return bool(self.summary())
        except requests.RequestException:
            return False


@contextmanager
def far_end(folder: Path) -> Iterator[FarEnd]:
    port, log = free_port(), folder / "simulator.log"
    command = [sys.executable, "manage.py", "simulator", "--port", str(port)]
    with log.open("wb") as out:
        process = start(command, cwd=ROOT, stdout=out, stderr=out)
    there = FarEnd(port)
    wait_until(there.is_up, process, log=log, seconds=30)
    try:
        yield there
    finally:
        stop(process)
