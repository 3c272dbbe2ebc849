"""How holds, ends and prices are shown, and the banner for what ends soon."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.timesince import timeuntil

from providers import liveness
from providers.models import Holdable, ProviderModel


def hold(row: Holdable) -> str | None:
    now = timezone.now()
    until, reason = row.held_until(now), row.reason(now)
    if until is None:
        return f"over; it was: {reason}" if reason else None
    return f"{timeuntil(until, now)} left: {reason or 'no reason was given'}"


def breaker(row: Holdable) -> str:
    return str(row.breaker(timezone.now()).label)


def retirement(model: ProviderModel) -> str | None:
    """The day, and how far away it is: "2026-12-31, in 39 days"."""
    days = liveness.days_left(model, timezone.now().date())
    if days is None:
        return None
    if days <= 0:
        return f"{model.retired_at}, over"
    return f"{model.retired_at}, in {days} day{'s' if days > 1 else ''}"


class SunsetBanner(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tells above the page which models in use are ended by their vendors soon."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        _warn(request)
        return super().changelist_view(request, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        _warn(request)
        return super().changeform_view(request, *args, **kwargs)


def _warn(request: HttpRequest) -> None:
    if request.method != "GET":
        return  # the page that follows says it
    for words in liveness.sunsets_in_use(timezone.now().date()):
        messages.warning(request, f"Ends soon: {words}")
