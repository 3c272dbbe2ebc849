"""What the API answers; nothing is written through these.

`read_only_fields` tells the OpenAPI document that an answer has every field, always.
"""

from datetime import date
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from providers import abilities, catalogue, liveness, registry
from providers.base import ImageInput
from providers.models import (
    DURATIONS,
    RESOLUTIONS,
    Breaker,
    ClientEvent,
    Holdable,
    Pro,
    Provider,
    ProviderModel,
    VideoModel,
)

_CAPABILITIES = (
    "supports_image_to_video",
    "supported_durations",
    "supported_resolutions",
    "supports_pro",
)
_HOLD = ("held_until", "hold_reason", "breaker")


def _today() -> date:
    return timezone.now().date()


class CapabilitiesSerializer(serializers.ModelSerializer[Provider]):
    supported_durations = serializers.ListField(child=serializers.ChoiceField(DURATIONS))
    supported_resolutions = serializers.ListField(child=serializers.ChoiceField(RESOLUTIONS))

    class Meta:
        model = Provider
        fields: tuple[str, ...] = _CAPABILITIES
        read_only_fields: tuple[str, ...] = _CAPABILITIES


class HoldSerializer(serializers.Serializer[Any]):
    held_until = serializers.SerializerMethodField(
        help_text="Until when nothing is submitted there; null when it is not held."
    )
    hold_reason = serializers.SerializerMethodField(
        help_text="Why it is held, or tried one submit at a time; null when it is neither."
    )
    breaker = serializers.SerializerMethodField(
        help_text="`open` and then `half_open` after a refusal that is not about the shot: a wrong key, "
        "an empty balance, an outage, a model that is gone."
    )

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_held_until(self, row: Holdable) -> str | None:
        until = row.held_until(timezone.now())
        return str(serializers.DateTimeField().to_representation(until)) if until else None

    def get_hold_reason(self, row: Holdable) -> str | None:
        return row.reason(timezone.now()) or None

    @extend_schema_field(serializers.ChoiceField(Breaker.choices))
    def get_breaker(self, row: Holdable) -> str:
        return row.breaker(timezone.now()).value


class ProviderModelSerializer(HoldSerializer, serializers.ModelSerializer[ProviderModel]):
    class Meta:
        model = ProviderModel
        fields = ("name", *_HOLD)
        read_only_fields = fields


class ProviderSerializer(HoldSerializer, CapabilitiesSerializer):
    configured = serializers.SerializerMethodField(
        help_text="Whether a key is there and this version speaks the provider's protocol."
    )
    provider_models = ProviderModelSerializer(
        many=True,
        help_text="Its models under its own names; each has a breaker beside the account's.",
    )
    warnings = serializers.SerializerMethodField(
        help_text="Which of its models their vendor ends soon, and when."
    )

    class Meta(CapabilitiesSerializer.Meta):
        fields = (
            "id", "display_name", "enabled", "priority", "weight", *_CAPABILITIES, "configured",
            *_HOLD, "provider_models", "warnings",
        )  # fmt: skip
        read_only_fields = fields

    def get_configured(self, provider: Provider) -> bool:
        return registry.is_configured(provider.pk)

    def get_warnings(self, provider: Provider) -> list[str]:
        return liveness.sunsets(provider.provider_models.all(), _today())


_DURATIONS = {
    "description": "Seconds: those that it makes, or every whole one from `min` to `max`.",
    "oneOf": [
        {"type": "array", "items": {"type": "integer", "minimum": 1}},
        {
            "type": "object",
            "properties": {name: {"type": "integer", "minimum": 1} for name in ("min", "max")},
            "required": ["min", "max"],
            "additionalProperties": False,
        },
    ],
}


class LimitsSerializer(serializers.Serializer[ProviderModel]):
    """The tighter one each of the model's own and its account's, which all its models share."""

    max_in_flight = serializers.SerializerMethodField(
        help_text="Unfinished jobs at once; null: no limit is known."
    )
    max_per_minute = serializers.SerializerMethodField(
        help_text="Submits a minute; null: no limit is known."
    )

    def get_max_in_flight(self, model: ProviderModel) -> int | None:
        return abilities.tightest("max_in_flight", model)

    def get_max_per_minute(self, model: ProviderModel) -> int | None:
        return abilities.tightest("max_per_minute", model)


class OfferSerializer(serializers.Serializer[ProviderModel]):
    """A provider's model that a model of ours maps to; its provider is expected to be at hand."""

    provider_id = serializers.CharField()
    provider_model_id = serializers.CharField(source="name")
    configured = serializers.SerializerMethodField(help_text="Whether the provider's key is there.")
    live = serializers.SerializerMethodField(
        help_text="Whether it can be routed to: switched on, with a key, not ended by its vendor."
    )
    why_not_live = serializers.SerializerMethodField(
        help_text="What to do about it, with the variable to set; null when it is live."
    )
    retired_at = serializers.DateField(
        allow_null=True, help_text="The day on which its vendor ends it."
    )
    retires_in_days = serializers.SerializerMethodField(
        help_text="Days until then; 0 or less when it is over, null when no end is known."
    )
    durations = serializers.SerializerMethodField()
    resolutions = serializers.SerializerMethodField()
    image_inputs = serializers.SerializerMethodField(
        help_text="How it takes a start image, the best way first; empty: it takes none."
    )
    pro = serializers.ChoiceField(Pro.choices)
    max_prompt_length = serializers.IntegerField(
        allow_null=True, help_text="In characters; null: no limit is known."
    )
    price_per_second = serializers.FloatField(
        allow_null=True, help_text="US dollars; null: not known."
    )
    price_as_of = serializers.DateField(allow_null=True)
    limits = LimitsSerializer(source="*")
    warnings = serializers.SerializerMethodField(help_text="That its vendor ends it soon.")

    def get_configured(self, model: ProviderModel) -> bool:
        return registry.is_configured(model.provider_id)

    def get_live(self, model: ProviderModel) -> bool:
        return not liveness.why_not_live(model, _today())

    def get_why_not_live(self, model: ProviderModel) -> str | None:
        return liveness.why_not_live(model, _today()) or None

    def get_retires_in_days(self, model: ProviderModel) -> int | None:
        return liveness.days_left(model, _today())

    @extend_schema_field(_DURATIONS)
    def get_durations(self, model: ProviderModel) -> list[int] | dict[str, int]:
        found = abilities.durations(model)
        if isinstance(found, range):
            return {"min": found[0], "max": found[-1]}
        return list(found)

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(RESOLUTIONS)))
    def get_resolutions(self, model: ProviderModel) -> list[str]:
        return list(abilities.resolutions(model))

    @extend_schema_field(
        serializers.ListField(child=serializers.ChoiceField([each.value for each in ImageInput]))
    )
    def get_image_inputs(self, model: ProviderModel) -> list[str]:
        return [each.value for each in abilities.image_inputs(model)]

    def get_warnings(self, model: ProviderModel) -> list[str]:
        return liveness.sunsets([model], _today())


class ModelSerializer(serializers.ModelSerializer[VideoModel]):
    """Its routes are expected to be at hand (`catalogue.with_routes`)."""

    live = serializers.SerializerMethodField(
        help_text="Whether a run with it can be routed: to one of `providers` at least, right now."
    )
    why_not_live = serializers.SerializerMethodField(
        help_text="What to do about it, with the variables to set; null when it is live."
    )
    providers = serializers.SerializerMethodField(
        help_text="Who can make it, in the order they are asked, and within which limits."
    )

    class Meta:
        model = VideoModel
        fields: tuple[str, ...] = (
            "id", "display_name", "description", "enabled", "live", "why_not_live", "providers"
        )  # fmt: skip
        read_only_fields: tuple[str, ...] = fields

    def get_live(self, model: VideoModel) -> bool:
        return not liveness.why_model_not_live(model, _today())

    def get_why_not_live(self, model: VideoModel) -> str | None:
        return liveness.why_model_not_live(model, _today()) or None

    @extend_schema_field(OfferSerializer(many=True))
    def get_providers(self, model: VideoModel) -> Any:
        offers: Any = liveness.provider_models(model)
        return OfferSerializer(offers, many=True).data


class AdminModelSerializer(ModelSerializer):
    provider_map = serializers.SerializerMethodField(
        help_text="Provider ids, each with its own names for the model, in the order of choice."
    )

    class Meta(ModelSerializer.Meta):
        fields = (*ModelSerializer.Meta.fields, "provider_map")
        read_only_fields = fields

    def get_provider_map(self, model: VideoModel) -> dict[str, list[str]]:
        return catalogue.provider_map(model)


class EventReceiptSerializer(serializers.ModelSerializer[ClientEvent]):
    class Meta:
        model = ClientEvent
        fields = ("event_id", "received_at")
        read_only_fields = fields


class EventReceiptsSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    events = EventReceiptSerializer(many=True)
