"""A broker that stops answering for a minute: what a client of the API notices."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import requests

from benchmarks import api, command, content, stack
from benchmarks.command import Options
from benchmarks.report import circumstances, publish, say, table
from benchmarks.stack import Stack
from benchmarks.storyboard import wait_for_end
from tests.servers import frozen_redis

SECONDS = float(os.environ.get("FROZEN_SECONDS", "60"))
CLIENTS = 4
SEGMENTS = 20


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    seconds: float


def benchmark(made: Stack, options: Options) -> None:
    with stack.at_work(made):
        file = {"file": ("film.json", content.storyboard(SEGMENTS))}
        storyboard = made.http.post(made.address + api.STORYBOARDS, files=file).json()
        rows = []
        for name in ("running", "frozen"):
            say(f"{made.database}: the broker is {name} for {SECONDS:.0f} s")
            with ExitStack() as ending:
                if name == "frozen":
                    ending.enter_context(frozen_redis(made.env["REDIS_URL"]))
                answers = _ask_for(SECONDS, made.address, storyboard)
            rows.append([name, *_shown(answers), f"{_back(made, storyboard):.1f}"])
    head = ["broker", "answers", "5xx", "s median", "p99", "most", "s back"]
    title = f"{made.database}, {CLIENTS} clients for {SECONDS:.0f} s"
    publish(f"frozen redis {made.database}", title, table(head, rows), circumstances("one round"))


def _ask_for(seconds: float, address: str, storyboard: dict[str, Any]) -> list[Answer]:
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(CLIENTS) as pool:
        asking = [pool.submit(_client, until, address, storyboard) for _ in range(CLIENTS)]
    return [answer for client in asking for answer in client.result()]


def _client(until: float, address: str, storyboard: dict[str, Any]) -> list[Answer]:
    """Everything that sends a hint, and something that does not, over and over."""
    answers: list[Answer] = []
    with requests.Session() as http:
        while time.monotonic() < until:
            run = _ask(http, answers, "POST", address + api.RUNS, api.dry_run_of(storyboard["id"]))
            path = f"{address}{api.RUNS}/{run.get('id')}"
            for word in ("pause", "resume", "cancel"):
                _ask(http, answers, "POST", f"{path}/{word}", {})
            _ask(http, answers, "GET", f"{path}/tasks", None)
            _ask(http, answers, "GET", address + api.RUNS, None)
    return answers


def _ask(http: requests.Session, answers: list[Answer], method: str, url: str, body: Any) -> Any:
    begun = time.perf_counter()
    answer = http.request(method, url, json=body, timeout=60)
    answers.append(Answer(answer.status_code, time.perf_counter() - begun))
    return answer.json()


def _shown(answers: Sequence[Answer]) -> list[str]:
    seconds = [answer.seconds for answer in answers]
    errors = sum(answer.status >= 500 for answer in answers)
    figures = (median(seconds), quantiles(seconds, n=100)[98], max(seconds))
    return [str(len(answers)), str(errors), *(f"{figure:.3f}" for figure in figures)]


def _back(made: Stack, storyboard: dict[str, Any]) -> float:
    begun = time.perf_counter()
    wish = api.dry_run_of(storyboard["id"])
    wait_for_end(made, made.http.post(made.address + api.RUNS, json=wish).json())
    return time.perf_counter() - begun


if __name__ == "__main__":
    command.run(benchmark)
