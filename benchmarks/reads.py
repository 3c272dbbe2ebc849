"""Lists beside a large run: what a client that shows it asks for."""

import json
import time

from benchmarks import api, command, content, stack
from benchmarks.command import Options
from benchmarks.report import circumstances, publish, spread, table
from benchmarks.stack import Stack
from benchmarks.storyboard import wait_for_end

_REPEATS = 8  # of each request in a round


def benchmark(made: Stack, options: Options) -> None:
    file = made.folder / "storyboard.json"
    file.write_bytes(content.storyboard(options.segments))
    statements = json.loads(made.python("-m", "benchmarks.statements", str(file)))
    with stack.at_work(made):
        with file.open("rb") as opened:
            storyboard = made.http.post(
                made.address + api.STORYBOARDS, files={"file": opened}
            ).json()
        run = made.http.post(made.address + api.RUNS, json=api.dry_run_of(storyboard["id"])).json()
        wait_for_end(made, run)
        reads = api.reads(storyboard, run)
        times = {
            name: [_milliseconds(made, path) for _ in range(options.rounds * _REPEATS)]
            for name, path in reads.items()
        }
    rows = [[name, spread(values, 1), str(statements[name])] for name, values in times.items()]
    body = table(["answer, 100 rows a page", "milliseconds", "queries"], rows)
    title = f"{made.database}, a run of {options.segments} tasks"
    note = circumstances(
        f"median (least–most) of {options.rounds * _REPEATS} requests, one after the other"
    )
    publish(f"reads {made.database}", title, body, note)


def _milliseconds(made: Stack, path: str) -> float:
    started = time.perf_counter()
    made.http.get(made.address + path).raise_for_status()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    command.run(benchmark)
