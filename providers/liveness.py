"""Which models can be made today, why the others cannot, and which of them end soon.

Only what stays so until somebody acts: keys, switches, retirements. Holds and full accounts pass by themselves.
"""

import logging
from collections.abc import Iterable
from datetime import date

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from providers import registry
from providers.models import ProviderModel, Route, VideoModel

logger = logging.getLogger(__name__)


def is_retired(model: ProviderModel, today: date) -> bool:
    """Past its end, and asked at its vendor's own address: another base URL brings it back."""
    over = model.retired_at is not None and model.retired_at <= today
    return over and registry.is_vendor_base_url(model.provider_id)


def why_not_live(model: ProviderModel, today: date) -> str:
    """What keeps a provider's model from being asked, with the variable to set; empty when it is live.

    Its provider is expected to be at hand.
    """
    reasons = []
    if not model.provider.enabled:
        reasons.append("switch the provider on")
    if missing := registry.missing(model.provider_id):
        reasons.append(missing)
    if is_retired(model, today):
        variable = registry.base_url_variable(model.provider_id)
        reasons.append(
            f"set {variable} to another server that makes it (its vendor ended it on {model.retired_at})"
        )
    return ", and ".join(reasons)


def why_model_not_live(model: VideoModel, today: date) -> str:
    """The same for a model as users name it: empty when at least one provider's model of it is live.

    Its routes are expected to be at hand, in the order they are asked.
    """
    if not model.enabled:
        return "The model is switched off."
    whys: dict[str, None] = {}
    for offer in provider_models(model):
        why = why_not_live(offer, today)
        if not why:
            return ""
        whys[f"{offer.provider_id}: {why}"] = None
    if not whys:
        return "No provider is mapped to this model."
    return f"Nobody can make it now. {'; '.join(whys)}."


def provider_models(model: VideoModel) -> list[ProviderModel]:
    return [route.provider_model for route in model.routes.all()]


def live_provider_models(today: date) -> QuerySet[ProviderModel]:
    """Those of which `why_not_live` says nothing."""
    ended = Q(retired_at__lte=today, provider__in=registry.at_their_vendors())
    usable = Q(provider__enabled=True, provider__in=registry.configured())
    return ProviderModel.objects.filter(usable & ~ended)


def with_live(models: QuerySet[VideoModel], wanted: bool, today: date) -> QuerySet[VideoModel]:
    """The models that are live, or that are not."""
    routes = Route.objects.filter(
        model=OuterRef("pk"), provider_model__in=live_provider_models(today)
    )
    live = Q(Exists(routes), enabled=True)
    return models.filter(live if wanted else ~live)


# ---- sunsets -----------------------------------------------------------------------------------


def days_left(model: ProviderModel, today: date) -> int | None:
    """Days until its vendor ends it; negative when that is past, None when no end is known."""
    return None if model.retired_at is None else (model.retired_at - today).days


def sunset(model: ProviderModel, today: date) -> str:
    """A warning while the end is near, from `SUNSET_WARNING_DAYS` before it; else empty."""
    days = days_left(model, today)
    if days is None or not 0 < days <= settings.SUNSET_WARNING_DAYS:
        return ""
    when = f"{model.retired_at}, in {days} day{'s' if days > 1 else ''}"
    start = f"{model.provider_id} {model.name} is ended by its vendor on {when}"
    if registry.is_vendor_base_url(model.provider_id):
        return f"{start}: from then on nothing is sent to it."
    return f"{start}; the server behind {registry.base_url_variable(model.provider_id)} may end it too."


def sunsets(models: Iterable[ProviderModel], today: date) -> list[str]:
    return [words for model in models if (words := sunset(model, today))]


def ending_soon(today: date) -> Q:
    """The models that `sunset` warns of."""
    return Q(retired_at__gt=today, retired_at__lte=_horizon(today))


def sunsets_of_run(model_id: str, provider_id: str, today: date) -> list[str]:
    """What a run with this model should know: the ends of those that it may go to now.

    `provider_id` narrows it to the one that was chosen; empty: any.
    """
    live = live_provider_models(today).filter(ending_soon(today), routes__model=model_id)
    chosen = live.filter(provider=provider_id) if provider_id else live
    return sunsets(chosen.order_by("provider__priority", "provider", "name"), today)


def sunsets_in_use(today: date) -> list[str]:
    """The ends of all models that are live and mapped to one of ours, the nearest first."""
    return sunsets(_in_use(today), today)


def log_sunsets(today: date) -> None:
    """Once a day for each, however many processes do this, and however often."""
    for model in _in_use(today):
        untold = ProviderModel.objects.filter(pk=model.pk).exclude(sunset_told_on=today)
        if untold.update(sunset_told_on=today):
            logger.warning("ends soon: %s", sunset(model, today))


def _in_use(today: date) -> QuerySet[ProviderModel]:
    live = live_provider_models(today).filter(ending_soon(today), routes__isnull=False)
    return live.order_by("retired_at", "provider", "name").distinct()


def _horizon(today: date) -> date:
    try:
        return date.fromordinal(today.toordinal() + settings.SUNSET_WARNING_DAYS)
    except (ValueError, OverflowError):
        return date.max
