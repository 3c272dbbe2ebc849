"""`/healthz`: the process answers. `/readyz`: it can do its work."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs.models import Heartbeat
from runs.tasks import broker_answers

SWEEP_IS_LATE_AFTER_SECONDS = 30


class HealthMiddleware:
    """Before anything looks at the host: a probe asks by address, which ALLOWED_HOSTS need not name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        match request.path_info:
            case "/healthz":
                return healthz(request)
            case "/readyz":
                return readyz(request)
            case _:
                return self.get_response(request)


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 only without the database or its migrations; a lost broker or a late sweep is `degraded` at 200."""
    try:
        _connect_anew()
        pending = _pending_migrations()
    except DatabaseError:
        return JsonResponse(
            {"status": "unavailable", "checks": {"database": "cannot be reached"}}, status=503
        )
    if pending:
        checks = {"database": "ok", "migrations": f"{pending} not applied; run manage.py migrate"}
        return JsonResponse({"status": "unavailable", "checks": checks}, status=503)
    age = _sweep_age()
    broker = "ok" if broker_answers() else "no answer; work goes on by the sweep"
    late = age is None or age > SWEEP_IS_LATE_AFTER_SECONDS
    sweep = "no worker is sweeping" if late else "ok"
    checks = {"database": "ok", "migrations": "ok", "broker": broker, "sweep": sweep}
    status = "ok" if broker == sweep == "ok" else "degraded"
    return JsonResponse({"status": status, "checks": {**checks, "sweep_age_seconds": age}})


def _connect_anew() -> None:
    """A server that has frozen keeps old connections open and silent; only a new one has a time-out."""
    probe = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        probe.ensure_connection()
    finally:
        probe.close()


def _pending_migrations() -> int:
    return len(_known_migrations() - set(MigrationRecorder(connection).applied_migrations()))


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.nodes)


def _sweep_age() -> float | None:
    newest: Any = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    return None if newest is None else round((timezone.now() - newest).total_seconds(), 1)
