"""What the user edits."""

from typing import Any

from django.db import models
from django.utils import timezone

from cineflow.core import ids


class Storyboard(models.Model):
    """An uploaded storyboard; its original bytes lie in the data folder, untouched."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)
    segment_count = models.PositiveIntegerField()
    metadata = models.JSONField(null=True, blank=True)
    character_bible = models.JSONField(null=True, blank=True)
    original = models.CharField(max_length=255, help_text="Relative to the data folder.")

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["-created_at", "-id"], name="storyboard_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return ids.show("sb", self.id)


def empty_asset() -> dict[str, Any]:
    return {"characters": [], "scene": None, "props": []}


class Segment(models.Model):
    """One shot of a storyboard."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    storyboard = models.ForeignKey(Storyboard, on_delete=models.CASCADE, related_name="segments")
    segment_index = models.PositiveIntegerField()
    prompt_text = models.TextField()
    director_intent = models.TextField(null=True, blank=True)  # noqa: DJ001 - null and "" are told apart by clients
    image_url = models.TextField(null=True, blank=True)  # noqa: DJ001
    asset = models.JSONField(default=empty_asset)
    is_pro = models.BooleanField(default=False)
    duration_seconds = models.PositiveSmallIntegerField(default=10)
    resolution = models.CharField(max_length=16, default="horizontal")

    class Meta:
        ordering = ["segment_index"]
        constraints = [
            models.UniqueConstraint(
                fields=["storyboard", "segment_index"], name="segment_index_is_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.segment_index}"

    @property
    def public_id(self) -> str:
        return ids.show("seg", self.id)
