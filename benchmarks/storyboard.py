"""A large storyboard from its file to the end of its dry run: upload, POST /runs, and all tasks checked."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import requests

from benchmarks import api, command, content, processes, stack
from benchmarks.command import Options
from benchmarks.report import circumstances, publish, say, spread, table
from benchmarks.stack import Stack

PARTS = ("web", "worker", "database")
PHASES = ("upload", "create", "dry run")
# Seconds of the predecessor, which keeps everything in memory and loses it with its process.
PREDECESSOR = {"upload": 0.63, "create": 1.45, "dry run": 3.5}
PREDECESSOR_SEGMENTS = 10_000
_LOOK_EVERY_SECONDS = 0.05
_PATIENCE_SECONDS = 300


@dataclass
class Cost:
    """Of one phase in one round; CPU seconds and megabytes by part of the stack."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)


Round = Mapping[str, Cost]


def benchmark(made: Stack, options: Options) -> None:
    file = made.folder / "storyboard.json"
    file.write_bytes(content.storyboard(options.segments))
    statements = json.loads(made.python("-m", "benchmarks.statements", str(file)))
    rounds: list[Round] = []
    with stack.at_work(made):
        for number in range(options.rounds + 1):
            costs = one_round(made, file.read_bytes())
            shown = ", ".join(f"{phase} {costs[phase].seconds:.2f} s" for phase in PHASES)
            say(f"{made.database}: {f'round {number}' if number else 'warm-up'}: {shown}")
            rounds.append(costs)
    title = f"{made.database}, {options.segments} segments ({file.stat().st_size / 1e6:.1f} MB)"
    body = _table(rounds[1:], statements, compared=options.segments == PREDECESSOR_SEGMENTS)
    note = circumstances(f"median (least–most) of {options.rounds} rounds after a warm-up")
    publish(f"storyboard {made.database}", title, body, note)


def one_round(made: Stack, raw: bytes) -> dict[str, Cost]:
    costs = {phase: Cost() for phase in PHASES}
    form = requests.Request(
        "POST", made.address + api.STORYBOARDS, files={"file": ("film.json", raw)}
    )
    upload = made.http.prepare_request(form)
    with _measured(made, costs["upload"]):
        storyboard = _answer(made.http.send(upload))
    # The dry run is measured from before the POST that asks for it.
    with _measured(made, costs["dry run"]):
        with _measured(made, costs["create"]):
            wish = api.dry_run_of(storyboard["id"])
            run = _answer(made.http.post(made.address + api.RUNS, json=wish))
        wait_for_end(made, run)
    return costs


def wait_for_end(made: Stack, run: dict[str, Any]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while run["status"] != "completed":
        if time.monotonic() > deadline or run["failed"]:
            raise SystemExit(f"The dry run did not get to its end: {run}")
        time.sleep(_LOOK_EVERY_SECONDS)
        run = _answer(made.http.get(f"{made.address}{api.RUNS}/{run['id']}"))


def _answer(response: requests.Response) -> Any:
    response.raise_for_status()
    return response.json()


@contextmanager
def _measured(made: Stack, cost: Cost) -> Iterator[None]:
    pids = {part: made.pids(part) for part in PARTS}
    for part in PARTS:
        processes.reset_peaks(pids[part])
        cost.cpu[part] = -processes.cpu_seconds(pids[part])
    started = time.perf_counter()
    yield
    cost.seconds = time.perf_counter() - started
    for part in PARTS:
        cost.cpu[part] += processes.cpu_seconds(pids[part])
        cost.peak[part] = processes.peak_megabytes(pids[part])


def _table(rounds: Sequence[Round], statements: Mapping[str, int], *, compared: bool) -> str:
    head = ["phase", "seconds", *(["predecessor", "ratio"] if compared else [])]
    head += ["CPU s web", "worker", "database", "peak MB web", "worker", "statements"]
    return table(head, [_row(phase, rounds, statements, compared) for phase in PHASES])


def _row(
    phase: str, rounds: Sequence[Round], statements: Mapping[str, int], compared: bool
) -> list[str]:
    costs = [costs[phase] for costs in rounds]
    seconds = [cost.seconds for cost in costs]
    before = PREDECESSOR[phase]
    ratio = [f"{before:.2f}", f"{median(seconds) / before:.2f}"] if compared else []
    cpu = [f"{median(cost.cpu[part] for cost in costs):.2f}" for part in PARTS]
    peaks = [f"{median(cost.peak[part] for cost in costs):.0f}" for part in ("web", "worker")]
    return [phase, spread(seconds), *ratio, *cpu, *peaks, str(statements[phase])]


if __name__ == "__main__":
    command.run(benchmark)
