"""What the API answers about storyboards. Nothing is read with these."""

from typing import Any

from rest_framework import serializers

from storyboards.models import Segment, Storyboard
from storyboards.schema import PRO_DURATIONS


class StoryboardSerializer(serializers.ModelSerializer[Storyboard]):
    id = serializers.CharField(source="public_id", help_text="`sb_…`")

    class Meta:
        model = Storyboard
        fields = ("id", "name", "created_at", "segment_count")
        read_only_fields = fields


class CharacterSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    id = serializers.CharField(allow_null=True)


class AssetSerializer(serializers.Serializer[Any]):
    characters = CharacterSerializer(many=True)
    scene = serializers.CharField(allow_null=True)
    props = serializers.ListField(child=serializers.CharField())


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    id = serializers.CharField(source="public_id", help_text="`seg_…`")
    asset = AssetSerializer()
    duration_seconds = serializers.ChoiceField(PRO_DURATIONS)
    resolution = serializers.ChoiceField(("horizontal", "vertical"))

    class Meta:
        model = Segment
        fields = (
            "id",
            "segment_index",
            "prompt_text",
            "image_url",
            "asset",
            "is_pro",
            "duration_seconds",
            "resolution",
            "director_intent",
        )
        read_only_fields = fields


class StartImageSerializer(serializers.Serializer[Any]):
    image_url = serializers.CharField(help_text="`/uploads/…` of this server.")
