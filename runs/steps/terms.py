"""On which terms a job runs once it is known: until when it may take, and what it costs."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from providers.models import ProviderModel
from runs.models import Attempt


def of_job(attempt: Attempt, model: ProviderModel | None, now: datetime) -> dict[str, Any]:
    """The columns of an attempt that is accepted, or adopted, now; `model` is None when it left the catalogue."""
    give_up = model.max_poll_seconds if model else None
    price = model.price_per_second if model else None
    seconds = settings.MAX_POLL_TIME if give_up is None else give_up
    return {
        "accepted_at": now,
        "deadline_at": now + timedelta(seconds=seconds),
        "cost": None if price is None else price * attempt.seconds,
    }


def model_of(attempt: Attempt) -> ProviderModel | None:
    return ProviderModel.objects.filter(
        provider_id=attempt.provider_id, name=attempt.provider_model_id
    ).first()
