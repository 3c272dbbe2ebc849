"""The books after the storm: what the provider made, what we know of it, and what a person asked for."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.load import Load
from tests.chaos.world import World

_MARKER = re.compile(r"#(\d+)#")
_UNFINISHED = """
SELECT id::text, status, step FROM runs_task
WHERE status IN ('queued', 'running') OR (status = 'completed' AND video_id IS NULL)
"""
# How often each prompt may be paid: once for its task, and once for each retry that submits (not for one that
# fetches or asks again).
_ASKED_FOR = """
SELECT task.full_prompt, 1 + (
    SELECT count(*) FROM runs_event AS event
    WHERE event.task_id = task.id AND event.kind = 'retry' AND event.after = 'queued'
) FROM runs_task AS task
"""


@dataclass
class Verdict:
    jobs: int = 0
    created: int = 0
    lost: list[str] = field(default_factory=list)
    billed_twice: list[str] = field(default_factory=list)
    decisions: int = 0
    invariants: int = 0
    stale_writes: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.billed_twice or self.invariants or self.stale_writes)


def examine(world: World, load: Load) -> Verdict:
    verdict = Verdict()
    ledger = world.ledger()
    verdict.created = len(ledger["jobs"])
    verdict.jobs = world.query("SELECT count(*) FROM runs_task")[0][0]
    _check_tasks(world, verdict)
    _check_jobs(world, ledger, verdict)
    _check_bills(world, ledger, verdict)
    verdict.decisions = load.surely("GET", "/decisions")["total"]
    _check_decisions(world, verdict)
    verdict.invariants = _count_invariants(world, verdict)
    verdict.stale_writes = _stale_writes(world, verdict)
    return verdict


def _check_tasks(world: World, verdict: Verdict) -> None:
    for task, status, step in world.query(_UNFINISHED):
        verdict.lost.append(f"task {task} is {status}/{step}")
    if number := runs_under_way(world):
        verdict.lost.append(f"runs not ended: {number}")


def runs_under_way(world: World) -> int:
    sql = "SELECT count(*) FROM runs_run WHERE status IN ('queued', 'running')"
    found: int = world.query(sql)[0][0]
    return found


def _check_jobs(world: World, ledger: dict[str, Any], verdict: Verdict) -> None:
    """Every job belongs to an attempt, or to one of which nobody knows, which a person is asked about."""
    known = {row[0] for row in world.query("SELECT provider_job_id FROM runs_attempt")}
    unbound = [job for job in ledger["jobs"] if job["id"] not in known]
    sql = "SELECT prompt FROM runs_attempt WHERE phase IN ('ambiguous', 'abandoned')"
    open_ones = Counter(_marker(prompt) for (prompt,) in world.query(sql))
    for job in unbound:
        marker = _marker(job["prompt"])
        if world.recovery == "none" and open_ones[marker]:
            open_ones[marker] -= 1
        else:
            verdict.lost.append(f"job {job['id']} (#{marker}) is known to no attempt")
    strangers = known - {None} - {job["id"] for job in ledger["jobs"]}
    verdict.lost += [f"attempt with a job that was never made: {job}" for job in strangers]
    verdict.notes.append(f"jobs without an attempt that knows them: {len(unbound)}")


def _check_bills(world: World, ledger: dict[str, Any], verdict: Verdict) -> None:
    """For each prompt: no more jobs than tasks and paid retries, and than attempts that may have made one."""
    made = Counter(_marker(job["prompt"]) for job in ledger["jobs"])
    wanted: Counter[str] = Counter()
    for prompt, number in world.query(_ASKED_FOR):
        wanted[_marker(prompt)] += number
    able: Counter[str] = Counter()
    for (prompt,) in world.query(
        "SELECT prompt FROM runs_attempt WHERE phase NOT IN ('rejected', 'absent')"
    ):
        able[_marker(prompt)] += 1
    for marker, number in made.items():
        if number > min(wanted[marker], able[marker]):
            verdict.billed_twice.append(
                f"#{marker}: {number} jobs, {wanted[marker]} asked for, {able[marker]} attempts"
            )


def _check_decisions(world: World, verdict: Verdict) -> None:
    sql = "SELECT count(*) FROM runs_attempt WHERE phase = 'ambiguous'"
    unknown = world.query(sql)[0][0]
    if unknown != verdict.decisions:
        verdict.lost.append(f"{unknown} unknown outcomes, but {verdict.decisions} decisions listed")


def _count_invariants(world: World, verdict: Verdict) -> int:
    done = world.python("manage.py", "invariants", "--ended", "--hash", "--orphans", "--json")
    try:
        said = json.loads(done.stdout)
    except ValueError:
        verdict.notes.append(done.stderr[-2000:])
        return 1
    broken = {number: rows for number, rows in said["broken"].items() if rows}
    verdict.notes += [f"{number} is broken: {rows[:10]}" for number, rows in broken.items()]
    # A killed download leaves its scratch file to housekeeping; anything else that no row names is a stray.
    strays = [file for file in said["orphans"] if not file.endswith(".part")]
    verdict.notes += [f"a file that no row names: {file}" for file in strays[:10]]
    verdict.notes.append(f"scratch files left: {len(said['orphans']) - len(strays)}")
    return len(broken) + bool(strays)


def _stale_writes(world: World, verdict: Verdict) -> int:
    rows = world.query("SELECT who, owner, fence, before, after FROM chaos_stale ORDER BY at")
    verdict.notes += [f"stale write: {json.dumps(row)}" for row in rows[:10]]
    return len(rows)


def _marker(prompt: str) -> str:
    found = _MARKER.search(prompt)
    return found[1] if found else "?"
