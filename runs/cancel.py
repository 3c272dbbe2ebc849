"""Ending a run early, and saying what it costs all the same."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, Sum

from cineflow.core.errors import Conflict
from runs import lifecycle
from runs.models import ACTIVE, Attempt, Run


def cancel_run(run_id: UUID, *, now: datetime) -> dict[str, Any]:
    """Raises `Conflict` for a run that has ended; asking twice is harmless."""
    with transaction.atomic():
        # Locked before it is looked at, or two cancels would both count the same tasks as theirs.
        before = lifecycle.lock_runs([run_id])[run_id]
        if before.status not in ACTIVE:
            raise Conflict(f"The run has ended ({before.status}); there is nothing to cancel.")
        lifecycle.cancel_run(run_id, now=now)
        run = Run.objects.get(pk=run_id)
    ended = run.canceled - before.canceled
    return {"run": run, "ended": ended, "under_way": run.queued + run.running, **spent(run_id)}


def spent(run_id: UUID) -> dict[str, Any]:
    """By the catalogue's prices at the time of each acceptance."""
    accepted = Q(accepted_at__isnull=False)
    facts = Attempt.objects.filter(run_id=run_id).aggregate(
        spent_usd=Sum("cost", filter=accepted),
        price_unknown=Count("pk", filter=accepted & Q(cost=None)),
        possibly_billed=Count("pk", filter=Q(possibly_billed=True)),
    )
    return {**facts, "spent_usd": float(facts["spent_usd"] or Decimal(0))}
