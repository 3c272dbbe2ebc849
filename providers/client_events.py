"""What clients saw go wrong on their side: kept for a while, never for ever."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from cineflow.core import ids
from providers.models import ClientEvent

KEEP_DAYS = 90
KEEP_ROWS = 100_000


@transaction.atomic
def store(events: Sequence[Mapping[str, Any]], *, now: datetime) -> list[ClientEvent]:
    """One row an event, in the order given; an event without an id gets one."""
    rows = [
        ClientEvent(
            event_id=event.get("event_id") or ids.show("evt", ids.new_id()),
            event_type=event["event_type"],
            received_at=now,
            body=dict(event),
        )
        for event in events
    ]
    stored = ClientEvent.objects.bulk_create(rows)
    # Here too, and not in housekeeping only: anybody may send events, and a disk is finite.
    prune(now=now)
    return stored


def prune(*, now: datetime) -> int:
    """Deletes what is too old, and the oldest beyond `KEEP_ROWS`; returns how many rows went."""
    old, _ = ClientEvent.objects.filter(received_at__lt=now - timedelta(days=KEEP_DAYS)).delete()
    newest = ClientEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    # By key, for speed: it never keeps too many, and a few less only where a number was left out.
    beyond, _ = ClientEvent.objects.filter(pk__lte=newest - KEEP_ROWS).delete()
    return old + beyond
