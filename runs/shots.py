"""A task, or a segment that will become one, as routing sees it."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from django.conf import settings

from providers.offers import Shot
from runs.models import Task


def shot_of(snapshot: Mapping[str, Any], prompt: str, *, shortest: int | None) -> Shot:
    """Shots that are alike are equal: a prompt within everybody's limit (`shortest`) counts as no length."""
    image_url = snapshot["image_url"]
    too_long = shortest is not None and len(prompt) > shortest
    return Shot(
        seconds=snapshot["duration_seconds"],
        resolution=snapshot["resolution"],
        is_pro=snapshot["is_pro"],
        has_image=bool(image_url),
        image_has_address=not image_url or _has_address(image_url),
        prompt_length=len(prompt) if too_long else 0,
    )


def _has_address(image_url: str) -> bool:
    """Whether a provider could fetch it; what we hold itself only where the world reaches us."""
    return bool(settings.PUBLIC_BASE_URL) or not image_url.startswith("/uploads/")


def draw(task: Task) -> float:
    """A number in [0, 1): random over tasks and their attempts, the same whenever it is asked of one.

    Anew for each attempt: who was drawn and refused would else draw from what that left of the odds.
    """
    seed = task.id.bytes + task.attempt_count.to_bytes(4, "big")
    return int.from_bytes(blake2b(seed, digest_size=6).digest(), "big") / (1 << 48)
