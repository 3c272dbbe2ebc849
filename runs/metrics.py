"""`/metrics` in Prometheus' text format, read from the database when it is scraped.

No process counts anything for itself, so it does not matter which one answers, or when it was started: under
several web workers there is nothing to gather, and the multiprocess mode of Prometheus' client is not needed.
A scrape reads runs, which carry the counts of their tasks, and small partial indexes; never all tasks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from cineflow.core import clock
from providers.models import Breaker, Holdable, Provider, ProviderModel
from runs import invariants
from runs.models import ACTIVE, Attempt, Heartbeat, Phase, Run, Status, Step, Task

_RECENT = timedelta(hours=1)
_MEASURED = timedelta(hours=6)
_MEASURED_JOBS = 1000
_CHECKED_RUNS = 20
_SWEEP_IS_LATE_AFTER = timedelta(seconds=30)

Labels = tuple[str, ...]
Value = tuple[Sequence[str], float]


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    registry.register(FromDatabase(clock.now()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class FromDatabase(Collector):
    """Everything as it stands at `now`."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield from _work()
        yield from _attempts(self.now)
        yield from _engine(self.now)
        yield from _providers(self.now)
        yield from _latency(self.now)
        yield _broken()


def _gauge(name: str, says: str, labels: Labels, values: Iterable[Value]) -> Metric:
    family = GaugeMetricFamily(f"cineflow_{name}", says, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


# ---- work -----------------------------------------------------------------------------------------


def _work() -> Iterator[Metric]:
    counted: Iterable[Any] = Run.objects.order_by().values_list(
        "status", Count("pk"), *(Sum(status) for status in Status.values)
    )
    runs = dict.fromkeys(Status.values, 0)
    tasks = dict.fromkeys(Status.values, 0)
    for status, number, *sums in counted:
        runs[status] = number
        for name, more in zip(Status.values, sums, strict=True):
            tasks[name] += more
    yield _gauge("tasks", "Tasks by status.", ("status",), _each(tasks))
    yield _gauge("runs", "Runs by status.", ("status",), _each(runs))
    paused = Run.objects.filter(paused_at__isnull=False, status__in=ACTIVE)
    yield _gauge("runs_paused", "Active runs that submit nothing new.", (), [((), paused.count())])


def _each(numbers: Mapping[str, float]) -> Iterator[Value]:
    return (((name,), number) for name, number in numbers.items())


# Literals, as in the partial index of live attempts: SQLite uses it only so.
_LIVE = """
SELECT attempt.provider_id, attempt.phase, COUNT(*), COUNT(
    CASE WHEN attempt.phase = 'ambiguous' AND task.status = 'failed' THEN 1 END
)
FROM runs_attempt AS attempt JOIN runs_task AS task ON task.id = attempt.task_id
WHERE attempt.phase IN ('sending', 'accepted', 'ambiguous', 'downloading')
GROUP BY attempt.provider_id, attempt.phase
"""


def _attempts(now: datetime) -> Iterator[Metric]:
    live = _rows(_LIVE)
    says = "Attempts that are not over, by provider and phase."
    values: list[Value] = [((provider, phase), number) for provider, phase, number, _ in live]
    yield _gauge("attempts_live", says, ("provider", "phase"), values)
    says = "Attempts that may be billed and wait for a person's decision."
    yield _gauge("decisions_open", says, (), [((), sum(row[3] for row in live))])
    ended = Attempt.objects.filter(_ended_since(now - _RECENT)).order_by()
    by_outcome = ended.values_list("provider_id", "phase", "error_code").annotate(Count("pk"))
    yield _gauge(
        "attempts_ended_last_hour",
        "Attempts that ended within the last hour, by provider, outcome and error code.",
        ("provider", "outcome", "error_code"),
        [(names, number) for *names, number in by_outcome],
    )


def _ended_since(since: datetime) -> Q:
    # The index begins with the provider, and there are few of them.
    providers = Provider.objects.order_by().values_list("pk", flat=True)
    return Q(provider_id__in=list(providers), finished_at__gt=since) & ~Q(phase=Phase.DOWNLOADING)


# ---- the engine -------------------------------------------------------------------------------------


def _engine(now: datetime) -> Iterator[Metric]:
    yield _gauge(
        "due_age_seconds",
        "For how long the oldest due task that nobody holds has been due, by step. Submits wait for their "
        "limits too; at every other step more than some seconds mean that no worker sweeps.",
        ("step",),
        _each({step: _due_age(step, now) for step in Step.values if step}),
    )
    newest = Heartbeat.objects.aggregate(newest=Max("at"))["newest"]
    if newest:
        age = (now - newest).total_seconds()
        says = "Since the last sign of life of any worker's sweep."
        yield _gauge("heartbeat_age_seconds", says, (), [((), age)])
    beating = Heartbeat.objects.filter(at__gt=now - _SWEEP_IS_LATE_AFTER).count()
    yield _gauge("workers", "Workers whose sweep turned lately.", (), [((), beating)])


def _due_age(step: str, now: datetime) -> float:
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    due = Task.objects.filter(free, step=step, due_at__lte=now).order_by("due_at")
    oldest = due.values_list("due_at", flat=True).first()
    return (now - oldest).total_seconds() if oldest else 0.0


# At every scrape only the newest of the active runs, lest a scrape costs more with more tasks.
_SOME_RUNS = f"""run.id IN (SELECT id FROM runs_run WHERE status IN ('queued', 'running')
ORDER BY created_at DESC LIMIT {_CHECKED_RUNS})"""  # noqa: S608 - a number of ours


def _broken() -> Metric:
    cheap: dict[str, tuple[str, list[Any]]] = {
        "I1": (invariants.COUNTS.format(some=_SOME_RUNS), []),
        "I3": (invariants.LIVE_ATTEMPTS, []),
        "I8": (invariants.EVENT_NUMBERS.format(some=_SOME_RUNS), []),
        "I13": (invariants.OVER_THE_LIMITS, [settings.MAX_CONCURRENT_TASKS]),
        "I15": (invariants.UNATTENDED_JOBS, []),
    }
    return _gauge(
        "invariant_broken",
        f"Rows that break an invariant; I1 and I8 of the newest {_CHECKED_RUNS} active runs, I15 of live "
        "jobs. `manage.py invariants` checks all.",
        ("invariant",),
        _each({number: len(_rows(*query)) for number, query in cheap.items()}),
    )


def _rows(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


# ---- providers --------------------------------------------------------------------------------------


def _providers(now: datetime) -> Iterator[Metric]:
    """An account has the model ""."""
    rows: list[tuple[Labels, Holdable]] = [
        ((provider.pk, ""), provider) for provider in Provider.objects.order_by("pk")
    ]
    models = ProviderModel.objects.filter(Q(trips__gt=0) | Q(not_before__gt=now))
    rows += [((model.provider_id, model.name), model) for model in models.order_by("pk")]
    names = ("provider", "model")
    says = "Seconds until submits to the account, or to one model of it, are allowed again."
    yield _gauge(
        "provider_held_seconds", says, names, [(key, _left(row, now)) for key, row in rows]
    )
    says = "Failures in a row that opened the breaker."
    yield _gauge("provider_trips", says, names, [(key, row.trips) for key, row in rows])
    yield _gauge(
        "provider_breaker",
        "1 for the state that the breaker is in.",
        (*names, "state"),
        [
            ((*key, state), float(row.breaker(now) == state))
            for key, row in rows
            for state in Breaker.values
        ],
    )


def _left(row: Holdable, now: datetime) -> float:
    until = row.held_until(now)
    return (until - now).total_seconds() if until else 0.0


def _latency(now: datetime) -> Iterator[Metric]:
    values: list[Value] = []
    for provider_id in Provider.objects.order_by("pk").values_list("pk", flat=True):
        seconds = _seconds(provider_id, now - _MEASURED)
        if seconds:
            values += [
                ((provider_id, name), value)
                for name, value in zip(("0.5", "0.95"), _p50_p95(seconds), strict=True)
            ]
    says = "Seconds from acceptance to the finished job, over the jobs of the last six hours."
    yield _gauge("provider_latency_seconds", says, ("provider", "quantile"), values)


def _seconds(provider_id: str, since: datetime) -> list[float]:
    times = (
        Attempt.objects.filter(provider_id=provider_id, finished_at__gt=since, phase=Phase.DONE)
        .order_by("-finished_at")
        .values_list("accepted_at", "finished_at")[:_MEASURED_JOBS]
    )
    return [(end - start).total_seconds() for start, end in times if start and end]


def _p50_p95(seconds: Sequence[float]) -> tuple[float, float]:
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]
