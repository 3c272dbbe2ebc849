"""What the API answers; nothing is written through these.

`read_only_fields` tells the OpenAPI document that an answer has every field, always.
"""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from providers import catalogue, registry
from providers.models import (
    DURATIONS,
    RESOLUTIONS,
    Breaker,
    ClientEvent,
    Holdable,
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

    class Meta(CapabilitiesSerializer.Meta):
        fields = (
            "id", "display_name", "enabled", "priority", "weight", *_CAPABILITIES, "configured",
            *_HOLD, "provider_models",
        )  # fmt: skip
        read_only_fields = fields

    def get_configured(self, provider: Provider) -> bool:
        return registry.is_configured(provider.pk)


class ModelSerializer(serializers.ModelSerializer[VideoModel]):
    class Meta:
        model = VideoModel
        fields: tuple[str, ...] = ("id", "display_name", "description", "enabled")
        read_only_fields: tuple[str, ...] = fields


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
