"""`/healthz`: the process answers. `/readyz`: it can do its work."""

from typing import Any

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs.models import Heartbeat
from runs.tasks import broker_answers

SWEEP_IS_LATE_AFTER_SECONDS = 30


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 only without the database or its migrations; a lost broker or a late sweep is `degraded` at 200."""
    try:
        pending = _pending_migrations()
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "checks": {"database": "cannot be reached"}}, status=503)
    if pending:
        checks = {"database": "ok", "migrations": f"{pending} not applied; run manage.py migrate"}
        return JsonResponse({"status": "unavailable", "checks": checks}, status=503)
    sweep_age = _sweep_age()
    checks = {
        "database": "ok",
        "migrations": "ok",
        "broker": "ok" if broker_answers() else "no answer; work goes on by the sweep",
        "sweep_age_seconds": sweep_age,
        "sweep": "ok" if sweep_age is not None and sweep_age <= SWEEP_IS_LATE_AFTER_SECONDS else "no worker is sweeping",
    }
    healthy = checks["broker"] == checks["sweep"] == "ok"
    return JsonResponse({"status": "ok" if healthy else "degraded", "checks": checks})


def _pending_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _sweep_age() -> float | None:
    newest: Any = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    return None if newest is None else round((timezone.now() - newest).total_seconds(), 1)
