"""What must hold at every moment, whatever was killed: each a query that finds the rows for which it does not.

The queries read statuses and events as they were written and share no code with the engine, so that a
mistake there does not hide itself here. They run on both databases and only read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from cineflow.core import ids
from runs import outputs
from runs.models import VideoFile

# On a healthy system nothing that could be worked on has been due for longer.
LATE_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`hashes`: read every stored file whole."""

    now: datetime
    hashes: bool = False


Broken = Iterator[str]  # one name a row, such as "task_01… attempt 2"
Check = Callable[[Options], Broken]


@dataclass(frozen=True, slots=True)
class Invariant:
    """`only_when_asked`: it holds in certain situations, so it is checked when somebody says that this is one."""

    number: str
    says: str
    check: Check
    only_when_asked: bool = False


def _query(sql: str, prefix: str = "task") -> Check:
    """A check whose rows are (id, what more is to be said of it)."""
    return lambda options: _names(sql, prefix)


def _names(sql: str, prefix: str, parameters: Sequence[Any] = ()) -> Broken:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        for key, more in cursor.fetchall():
            yield " ".join(part for part in (_public_id(prefix, key), str(more or "")) if part)


def _public_id(prefix: str, key: UUID | str | None) -> str:
    if key is None:
        return ""
    return ids.show(prefix, key if isinstance(key, UUID) else UUID(key))


# ---- counts and numbers ------------------------------------------------------------------------

# `{some}` narrows a query to the runs that a scrape of the metrics can afford to look at.
COUNTS = """
SELECT run.id, '' FROM runs_run AS run LEFT JOIN runs_task AS task ON task.run_id = run.id
WHERE {some}
GROUP BY run.id
HAVING run.total_tasks <> COUNT(task.status)
    OR run.queued <> COUNT(CASE task.status WHEN 'queued' THEN 1 END)
    OR run.running <> COUNT(CASE task.status WHEN 'running' THEN 1 END)
    OR run.completed <> COUNT(CASE task.status WHEN 'completed' THEN 1 END)
    OR run.failed <> COUNT(CASE task.status WHEN 'failed' THEN 1 END)
    OR run.download_failed <> COUNT(CASE task.status WHEN 'download_failed' THEN 1 END)
    OR run.canceled <> COUNT(CASE task.status WHEN 'canceled' THEN 1 END)
"""

EVENT_NUMBERS = """
SELECT run.id, '' FROM runs_run AS run LEFT JOIN runs_event AS event ON event.run_id = run.id
WHERE {some}
GROUP BY run.id
HAVING run.event_count <> COUNT(event.number)
    OR COALESCE(MAX(event.number), 0) <> COUNT(event.number)
    OR COALESCE(MIN(event.number), 1) <> 1
"""

# A constraint makes the numbers of a task differ; so with these ends there is no gap.
_ATTEMPT_NUMBERS = """
SELECT task.id, '' FROM runs_task AS task LEFT JOIN runs_attempt AS attempt ON attempt.task_id = task.id
GROUP BY task.id
HAVING task.attempt_count <> COUNT(attempt.number)
    OR COALESCE(MAX(attempt.number), 0) <> COUNT(attempt.number)
    OR COALESCE(MIN(attempt.number), 1) <> 1
"""

# ---- the story -------------------------------------------------------------------------------------

_LEAVING_AN_END = """
WITH story AS (
    SELECT task_id, number, kind, "before", "after",
        LAG("after", 1, 'queued') OVER (PARTITION BY task_id ORDER BY number) AS was,
        LEAD(number) OVER (PARTITION BY task_id ORDER BY number) AS next_number
    FROM runs_event WHERE task_id IS NOT NULL
)
SELECT task_id, 'event ' || number FROM story
WHERE "before" <> was OR (
    "before" IN ('completed', 'failed', 'download_failed', 'canceled')
    AND "after" <> "before" AND kind <> 'retry'
)
UNION ALL
SELECT task.id, 'is ' || task.status FROM runs_task AS task
LEFT JOIN story ON story.task_id = task.id AND story.next_number IS NULL
WHERE task.status <> COALESCE(story."after", 'queued')
"""

# Of the moves that matter here, the one before a new submit must not be a lost answer.
_PAID_ON_A_GUESS = """
WITH story AS (
    SELECT task_id, attempt_number, kind,
        LAG(kind) OVER (PARTITION BY task_id ORDER BY number) AS last_kind
    FROM runs_event
    WHERE kind IN ('sending', 'ambiguous', 'undecided', 'retry', 'absent', 'adopted', 'accepted')
        AND task_id IS NOT NULL
)
SELECT task_id, 'attempt ' || attempt_number FROM story
WHERE kind = 'sending' AND last_kind IN ('ambiguous', 'undecided')
UNION
SELECT later.task_id, 'attempt ' || later.number FROM runs_attempt AS lost
JOIN runs_attempt AS later ON later.task_id = lost.task_id AND later.number > lost.number
WHERE lost.phase = 'ambiguous'
"""

# A wish reaches all of a run's active tasks, and is told in its story; only a retry takes it back.
_SENT_AFTER_A_CANCEL = """
SELECT sent.task_id, 'attempt ' || sent.attempt_number FROM runs_event AS sent
JOIN (
    SELECT run_id, MAX(number) AS number FROM runs_event WHERE kind = 'cancel' GROUP BY run_id
) AS wish ON wish.run_id = sent.run_id AND wish.number < sent.number
WHERE sent.kind = 'sending' AND NOT EXISTS (
    SELECT 1 FROM runs_event AS retry
    WHERE retry.task_id = sent.task_id AND retry.kind = 'retry'
        AND retry.number > wish.number AND retry.number < sent.number
)
"""

# ---- attempts and their jobs -------------------------------------------------------------------------

# The phases stand in the order of the partial indexes, as literals: SQLite uses those only so.
LIVE_ATTEMPTS = """
SELECT task_id, COUNT(*) || ' live attempts' FROM runs_attempt
WHERE phase IN ('sending', 'accepted', 'ambiguous', 'downloading')
GROUP BY task_id HAVING COUNT(*) > 1
"""

_UNCOMMITTED_POSTS = """
SELECT attempt.task_id, 'attempt ' || attempt.number FROM runs_attempt AS attempt
LEFT JOIN runs_event AS sent ON sent.task_id = attempt.task_id AND sent.kind = 'sending'
    AND sent.attempt_number = attempt.number
WHERE sent.id IS NULL
    OR attempt.accepted_at < attempt.sent_at
    OR (attempt.provider_job_id IS NULL) <> (attempt.accepted_at IS NULL)
"""

_SHARED_JOBS = """
SELECT attempt.task_id, 'attempt ' || attempt.number FROM runs_attempt AS attempt
JOIN (
    SELECT provider_id, provider_job_id FROM runs_attempt WHERE provider_job_id IS NOT NULL
    GROUP BY provider_id, provider_job_id HAVING COUNT(*) > 1
) AS shared USING (provider_id, provider_job_id)
"""

# A job that may live has a task that looks after it, and a finished one has its file.
UNATTENDED_JOBS = """
SELECT attempt.task_id, 'attempt ' || attempt.number FROM runs_attempt AS attempt
JOIN runs_task AS task ON task.id = attempt.task_id
WHERE attempt.phase IN ('sending', 'accepted', 'ambiguous', 'downloading') AND NOT CASE attempt.phase
    WHEN 'sending' THEN task.status = 'running' AND task.step = 'settle'
    WHEN 'accepted' THEN task.status = 'running' AND task.step = 'poll'
    WHEN 'ambiguous' THEN (task.status = 'running' AND task.step IN ('look_up', 'resend'))
        OR (task.status = 'failed' AND task.possibly_billed)
    ELSE (task.status = 'running' AND task.step IN ('download', 'poll'))
        OR task.status = 'download_failed' END
"""

_JOBS_THROWN_AWAY = f"""
{UNATTENDED_JOBS}
UNION ALL
SELECT attempt.task_id, 'attempt ' || attempt.number FROM runs_attempt AS attempt
LEFT JOIN runs_videofile AS file ON file.attempt_id = attempt.id AND file.task_id = attempt.task_id
WHERE attempt.phase = 'done' AND file.id IS NULL
"""  # noqa: S608 - both parts are ours

# A job that a person's decision brought back flies on top of the limits. Not joined with its task: SQLite, once it
# knows how many rows there are, would begin with all tasks.
OVER_THE_LIMITS = """
WITH flying AS (
    SELECT attempt.run_id, attempt.provider_id FROM runs_attempt AS attempt
    WHERE attempt.phase IN ('sending', 'accepted', 'ambiguous')
        AND EXISTS (
            SELECT 1 FROM runs_task AS task
            WHERE task.id = attempt.task_id AND task.status = 'running'
        )
        AND NOT EXISTS (
            SELECT 1 FROM runs_event AS retry WHERE retry.task_id = attempt.task_id
                AND retry.kind = 'retry' AND retry.attempt_number = attempt.number
        )
)
SELECT run.id, COUNT(*) || ' in flight' FROM flying JOIN runs_run AS run ON run.id = flying.run_id
GROUP BY run.id HAVING COUNT(*) > run.concurrency
UNION ALL
SELECT NULL, provider.id || ' ' || COUNT(*) || ' in flight' FROM flying
JOIN providers_provider AS provider ON provider.id = flying.provider_id
GROUP BY provider.id HAVING COUNT(*) > provider.max_in_flight
UNION ALL
SELECT NULL, 'MAX_CONCURRENT_TASKS ' || COUNT(*) || ' in flight' FROM flying HAVING COUNT(*) > %s
"""


def _over_the_limits(options: Options) -> Broken:
    return _names(OVER_THE_LIMITS, "run", [settings.MAX_CONCURRENT_TASKS])


# ---- time ----------------------------------------------------------------------------------------------

# A queue is not late: a step is stuck when nobody works at it, and a submit when nothing holds its run.
_LATE = """
WITH busy AS (
    SELECT DISTINCT CASE step WHEN 'settle' THEN 'submit' ELSE step END AS step
    FROM runs_task WHERE due_at IS NOT NULL AND lease_until > %s
)
SELECT task.id, task.step FROM runs_task AS task JOIN runs_run AS run ON run.id = task.run_id
WHERE task.due_at <= %s AND (task.lease_until IS NULL OR task.lease_until <= %s)
    AND task.step NOT IN (SELECT step FROM busy)
    AND NOT (task.step = 'submit' AND (run.paused_at IS NOT NULL OR run.waiting_reason <> ''))
"""

_NOT_ENDED = "SELECT id, status FROM runs_run WHERE status IN ('queued', 'running')"


def _late(options: Options) -> Broken:
    late = options.now - timedelta(seconds=LATE_AFTER_SECONDS)
    moments = [connection.ops.adapt_datetimefield_value(moment) for moment in (options.now, late)]
    return _names(_LATE, "task", [moments[0], moments[1], moments[1]])


# ---- files ---------------------------------------------------------------------------------------------

_WITHOUT_A_FILE = """
SELECT task.id, 'has no file' FROM runs_task AS task JOIN runs_run AS run ON run.id = task.run_id
WHERE task.status = 'completed' AND task.video_id IS NULL AND NOT run.dry_run
"""


def _files(options: Options) -> Broken:
    yield from _names(_WITHOUT_A_FILE, "task")
    rows = VideoFile.objects.order_by().values_list("task_id", "path", "bytes", "sha256")
    for task_id, path, size, sha256 in rows.iterator(chunk_size=2000):
        wrong = outputs.what_is_wrong(path, size, sha256 if options.hashes else None)
        if wrong:
            yield f"{ids.show('task', task_id)} {path} {wrong}"


def orphans() -> list[Path]:
    """Files in runs' folders that no row names, and leftovers of downloads. A live system has some for moments."""
    paths = VideoFile.objects.order_by().values_list("path", flat=True).iterator(chunk_size=2000)
    known = {outputs.absolute(path) for path in paths}
    return sorted(set(outputs.all_files()) - known)


# ---- the list --------------------------------------------------------------------------------------------

EVERYWHERE = "1 = 1"
INVARIANTS = (
    Invariant(
        "I1", "a run's counts equal its tasks", _query(COUNTS.format(some=EVERYWHERE), "run")
    ),
    Invariant("I2", "a task leaves an ended state only by a retry", _query(_LEAVING_AN_END)),
    Invariant("I3", "a task has one live attempt at the most", _query(LIVE_ATTEMPTS)),
    Invariant("I4", "attempts are numbered 1 to n", _query(_ATTEMPT_NUMBERS)),
    Invariant("I5", "no submit without a committed attempt", _query(_UNCOMMITTED_POSTS)),
    Invariant("I6", "a job belongs to one attempt", _query(_SHARED_JOBS)),
    Invariant("I7", "nothing is paid again on a guess", _query(_PAID_ON_A_GUESS)),
    Invariant(
        "I8",
        "a run's events are numbered without a gap",
        _query(EVENT_NUMBERS.format(some=EVERYWHERE), "run"),
    ),
    Invariant("I10", "a completed take has its file, as it was stored", _files),
    Invariant("I11", "nothing due is left lying", _late, only_when_asked=True),
    Invariant("I12", "every run has ended", _query(_NOT_ENDED, "run"), only_when_asked=True),
    Invariant("I13", "what is in flight keeps the limits", _over_the_limits),
    Invariant("I14", "nothing is submitted after a cancel", _query(_SENT_AFTER_A_CANCEL)),
    Invariant("I15", "no paid job is thrown away", _query(_JOBS_THROWN_AWAY)),
)
NUMBERS = tuple(invariant.number for invariant in INVARIANTS)


def check(
    options: Options, *, only: Sequence[str] = (), also: Sequence[str] = ()
) -> dict[str, list[str]]:
    """The rows that break each invariant, by its number; `only` these, or all usual ones and `also` those."""
    return {
        found.number: list(found.check(options))
        for found in INVARIANTS
        if (found.number in only if only else not found.only_when_asked or found.number in also)
    }
