"""What routing chooses from: the catalogue's rows and the present load, as the pure values of `providers.routing`."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from providers import abilities, liveness, registry
from providers.models import ProviderModel, Route
from providers.offers import Candidate
from runs.models import Attempt, Phase

_MEASURED_JOBS = 200
Key = str | tuple[str, str]


@dataclass(slots=True)
class Load:
    """What accounts and their models carry: unfinished jobs, submits of the last minute, submits on the wire.

    By provider id, and by (provider id, its model).
    """

    in_flight: dict[Key, int] = field(default_factory=dict)
    last_minute: dict[Key, int] = field(default_factory=dict)
    sending: dict[Key, int] = field(default_factory=dict)

    def add(self, provider_id: str, model: str) -> None:
        """One more submit."""
        for counts in (self.in_flight, self.last_minute, self.sending):
            count(counts, provider_id, model, 1)


def count(counts: dict[Key, int], provider_id: str, model: str, number: int) -> None:
    for key in (provider_id, (provider_id, model)):
        counts[key] = counts.get(key, 0) + number


@dataclass(frozen=True, slots=True)
class _Known:
    """A route, and what can be said of it before anybody's load is looked at."""

    model: ProviderModel
    idle: Candidate


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The rows of one pass: every model's routes, with what can be said of each before a task is looked at."""

    routes: Mapping[str, tuple[_Known, ...]]

    def candidates(self, model_id: str, *, load: Load) -> list[Candidate]:
        return [_loaded(known, load) for known in self.routes.get(model_id, ())]

    def limited_by_the_minute(self) -> set[str]:
        """The providers of whom submits are counted."""
        models = [known.model for routes in self.routes.values() for known in routes]
        return {
            model.provider_id
            for model in models
            if model.max_per_minute is not None or model.provider.max_per_minute is not None
        }

    def shortest_prompt(self, model_id: str) -> int | None:
        """The length that every candidate takes; None where there is no limit."""
        limits = [known.idle.max_prompt_length for known in self.routes.get(model_id, ())]
        return min((limit for limit in limits if limit is not None), default=None)


def catalogue(models: Collection[str], *, now: datetime, with_latency: bool) -> Catalogue:
    """The routes of these models. Read once per pass: one query, and one a route when somebody routes by latency."""
    rows = Route.objects.select_related("provider_model__provider").order_by("position", "pk")
    routes: dict[str, list[_Known]] = {}
    for route in rows.filter(model__in=models):
        model = route.provider_model
        half, most = _latency(model, now) if with_latency else (None, None)
        idle = replace(_idle(model, now, route.position), latency_p50=half, latency_p95=most)
        routes.setdefault(route.model_id, []).append(_Known(model, idle))
    return Catalogue({model: tuple(found) for model, found in routes.items()})


def _idle(model: ProviderModel, now: datetime, position: int) -> Candidate:
    """The candidate as if nobody used its account. A model's own limits go before its provider's."""
    provider = model.provider
    holds = [until for until in (provider.held_until(now), model.held_until(now)) if until]
    return Candidate(
        provider_id=provider.pk,
        provider_model_id=model.name,
        position=position,
        priority=provider.priority,
        weight=provider.weight,
        enabled=provider.enabled,
        configured=registry.is_configured(provider.pk),
        missing=registry.missing(provider.pk),
        retired_at=model.retired_at,
        dead=liveness.is_retired(model, now.date()),
        durations=abilities.durations(model),
        resolutions=abilities.resolutions(model),
        image_inputs=abilities.image_inputs(model),
        needs_image=model.needs_image,
        max_prompt_length=model.max_prompt_length,
        pro=model.pro,
        supports_pro=provider.supports_pro,
        price_per_second=model.price_per_second,
        balance=provider.balance,
        balance_currency=provider.balance_currency,
        options=_options(model),
        held_until=max(holds) if holds else None,
        hold_reason=(provider.hold_reason or model.hold_reason) if holds else "",
    )


def _options(model: ProviderModel) -> dict[str, Any]:
    """What an attempt keeps of its model: what the adapter needs to know, and how it takes a start image."""
    image = {"image_inputs": model.image_inputs, "max_image_bytes": model.max_image_bytes}
    return {**model.options, **{name: value for name, value in image.items() if value is not None}}


def _loaded(known: _Known, load: Load) -> Candidate:
    """The candidate with what its account and its model can still take."""
    model, provider = known.model, known.model.provider
    account, its_model = provider.pk, (provider.pk, model.name)
    minute = [
        _left(account, provider.max_per_minute, load.last_minute, _PER_MINUTE),
        _left(its_model, model.max_per_minute, load.last_minute, _PER_MINUTE),
    ]
    limits = [
        _left(account, provider.max_in_flight, load.in_flight, _IN_FLIGHT),
        _left(its_model, model.max_in_flight, load.in_flight, _IN_FLIGHT),
        *minute,
        # After a failure one submit at a time goes through, until one is accepted.
        _left(account, 1 if provider.trips else None, load.sending, _TRIED_AGAIN),
        _left(its_model, 1 if model.trips else None, load.sending, _TRIED_AGAIN),
    ]
    told = [limit for limit in limits if limit]
    if not told:
        return known.idle
    tightest = min(told, key=lambda limit: limit.free)
    return replace(
        known.idle,
        free_slots=tightest.free,
        free_share=round(min(limit.free / limit.most for limit in told), 4),
        left_this_minute=min((limit.free for limit in minute if limit), default=None),
        hold_reason=known.idle.hold_reason or tightest.words,
    )


@dataclass(frozen=True, slots=True)
class _Limit:
    free: int
    most: int
    words: str


_IN_FLIGHT = "{} has its {} jobs in flight (max_in_flight)"
_PER_MINUTE = "{} takes {} submits a minute (max_per_minute)"
_TRIED_AGAIN = "{} is being tried again"


def _left(key: Key, most: int | None, used: Mapping[Key, int], words: str) -> _Limit | None:
    if most is None:
        return None
    name = key if isinstance(key, str) else " ".join(key)
    # A limit of nothing is taken up by nothing.
    free = max(0, most - used.get(key, 0))
    return _Limit(free, max(most, 1), words.format(name, most))


def _latency(model: ProviderModel, now: datetime) -> tuple[float | None, float | None]:
    """Median and 95th percentile of the seconds from acceptance to the finished job, over the latest jobs."""
    since = now - timedelta(seconds=settings.LATENCY_WINDOW_SECONDS)
    finished = Attempt.objects.filter(
        provider_id=model.provider_id,
        provider_model_id=model.name,
        phase=Phase.DONE,
        accepted_at__isnull=False,
        asked=0,  # a job whose answer was lost was accepted before we knew
        finished_at__gt=since,
    ).order_by("-finished_at")
    times = finished.values_list("accepted_at", "finished_at")[:_MEASURED_JOBS]
    seconds = sorted((end - start).total_seconds() for start, end in times if start and end)
    return _quantile(seconds, 0.5), _quantile(seconds, 0.95)


def _quantile(rising: Sequence[float], share: float) -> float | None:
    """By nearest rank: a time that was measured, and not one between two."""
    return rising[math.ceil(share * len(rising)) - 1] if rising else None


def why_busy(candidate: Candidate) -> str:
    """Why a usable candidate takes nothing right now; empty when it does."""
    if candidate.held_until:
        return (
            candidate.hold_reason
            or f"{candidate.provider_id} is held until {candidate.held_until:%H:%M:%S} UTC"
        )
    if candidate.free_slots == 0:
        return candidate.hold_reason or f"{candidate.provider_id} has no free slot"
    return ""
