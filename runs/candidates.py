"""What routing chooses from: the catalogue's rows and the present load, as the pure values of `providers.routing`."""

import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from providers import registry
from providers.models import ProviderModel, Route
from providers.routing import Candidate
from runs.models import Attempt, Phase

_MEASURED_JOBS = 200


@dataclass(slots=True)
class Load:
    """What accounts carry: unfinished jobs and submits of the last minute by provider; submits on the wire
    by provider and by (provider, model)."""

    in_flight: dict[str, int] = field(default_factory=dict)
    last_minute: dict[str, int] = field(default_factory=dict)
    sending: dict[str | tuple[str, str], int] = field(default_factory=dict)

    def add(self, provider_id: str, model: str) -> None:
        """One more submit."""
        self.in_flight[provider_id] = self.in_flight.get(provider_id, 0) + 1
        self.last_minute[provider_id] = self.last_minute.get(provider_id, 0) + 1
        for key in (provider_id, (provider_id, model)):
            self.sending[key] = self.sending.get(key, 0) + 1


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The rows of one pass: every model's routes, with what can be said of each before a task is looked at."""

    routes: Mapping[str, tuple[Route, ...]]
    latencies: Mapping[tuple[str, str], float]

    def candidates(self, model_id: str, *, now: datetime, load: Load) -> list[Candidate]:
        routes = self.routes.get(model_id, ())
        return [
            self._candidate(route.provider_model, now, load, route.position) for route in routes
        ]

    def limited_by_the_minute(self) -> set[str]:
        """The providers that take only so many submits a minute."""
        models = [route.provider_model for routes in self.routes.values() for route in routes]
        return {model.provider_id for model in models if model.provider.max_per_minute is not None}

    def _candidate(
        self, model: ProviderModel, now: datetime, load: Load, position: int
    ) -> Candidate:
        provider = model.provider
        holds = [
            moment for moment in (provider.not_before, model.not_before) if moment and moment > now
        ]
        free_slots, why = _free_slots(model, load)
        reason = (provider.hold_reason or model.hold_reason) if holds else why
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
            dead=_is_dead(model, now.date()),
            durations=provider.supported_durations,
            resolutions=provider.supported_resolutions,
            image=provider.supports_image_to_video and model.image_inputs != [],
            needs_image=model.needs_image,
            pro=model.pro,
            supports_pro=provider.supports_pro,
            price_per_second=model.price_per_second,
            latency_p50=self.latencies.get((provider.pk, model.name)),
            free_slots=free_slots,
            options=_options(model),
            held_until=max(holds) if holds else None,
            hold_reason=reason,
        )


def catalogue(models: Collection[str], *, with_latency: bool) -> Catalogue:
    """The routes of these models. Read once per pass: one query, and one a route when somebody routes by latency."""
    routes: dict[str, list[Route]] = {}
    rows = Route.objects.select_related("provider_model__provider").order_by("position", "pk")
    rows = rows.filter(model__in=models)
    for route in rows:
        routes.setdefault(route.model_id, []).append(route)
    measured = _latencies(route.provider_model for route in rows) if with_latency else {}
    return Catalogue({model: tuple(found) for model, found in routes.items()}, measured)


def _options(model: ProviderModel) -> dict[str, Any]:
    """What an attempt keeps of its model: what the adapter needs to know, and how it takes a start image."""
    image = {"image_inputs": model.image_inputs, "max_image_bytes": model.max_image_bytes}
    return {**model.options, **{name: value for name, value in image.items() if value is not None}}


def _is_dead(model: ProviderModel, today: date) -> bool:
    """Past its retirement, at its vendor's own address; another base URL brings it back."""
    gone = model.retired_at is not None and model.retired_at <= today
    return gone and registry.is_vendor_base_url(model.provider_id)


def _free_slots(model: ProviderModel, load: Load) -> tuple[int | None, str]:
    """How many submits the account takes now (None: no limit), and what limits it most."""
    provider = model.provider
    limits = []
    if provider.max_in_flight is not None:
        used = load.in_flight.get(provider.pk, 0)
        words = f"{provider.pk} has its {provider.max_in_flight} jobs in flight (max_in_flight)"
        limits.append((provider.max_in_flight - used, words))
    if provider.max_per_minute is not None:
        used = load.last_minute.get(provider.pk, 0)
        words = f"{provider.pk} takes {provider.max_per_minute} submits a minute (max_per_minute)"
        limits.append((provider.max_per_minute - used, words))
    # After a failure one submit at a time goes through, until one is accepted.
    if provider.trips:
        limits.append((1 - load.sending.get(provider.pk, 0), f"{provider.pk} is being tried again"))
    if model.trips:
        key = (provider.pk, model.name)
        limits.append((1 - load.sending.get(key, 0), f"{model.name} is being tried again"))
    if not limits:
        return None, ""
    free, words = min(limits)
    return max(0, free), words


def _latencies(models: Iterable[ProviderModel]) -> dict[tuple[str, str], float]:
    """Median seconds from acceptance to the finished job, over each model's latest jobs."""
    return {
        (model.provider_id, model.name): seconds
        for model in models
        if (seconds := _latency(model.provider_id, model.name)) is not None
    }


def _latency(provider_id: str, name: str) -> float | None:
    times = (
        Attempt.objects.filter(provider_id=provider_id, provider_model_id=name, phase=Phase.DONE)
        .exclude(accepted_at=None)
        .order_by("-finished_at")
        .values_list("accepted_at", "finished_at")[:_MEASURED_JOBS]
    )
    seconds = [
        (finished - accepted).total_seconds()
        for accepted, finished in times
        if finished and accepted
    ]
    return statistics.median(seconds) if seconds else None


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
