"""A segment as a task keeps it: snapshot, the prompt that is sent, and the key that finds its take again."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from cineflow.core import ids
from runs import outputs
from runs.models import Conform, Run, Task
from runs.prompt import full_prompt
from storyboards import uploads
from storyboards.models import Segment


class Facts(NamedTuple):
    """What a task keeps of a segment. Plain rows: an instance of the model costs more than all that is done with it."""

    id: UUID
    segment_index: int
    prompt_text: str
    image_url: str | None
    asset: dict[str, Any]
    is_pro: bool
    duration_seconds: int
    resolution: str
    director_intent: str | None


def facts_of(segments: QuerySet[Segment]) -> Iterator[Facts]:
    return map(Facts._make, segments.values_list(*Facts._fields))


@dataclass(frozen=True, slots=True)
class Frozen:
    """A segment as a task keeps it."""

    snapshot: dict[str, Any]
    prompt: str
    image: str | None

    def fingerprint(self, run: Run, take: int) -> str:
        """Of everything that decides how the take looks: the key under which it is found again."""
        facts = [
            run.model_id,
            self.prompt,
            self.snapshot["duration_seconds"],
            self.snapshot["resolution"],
            self.snapshot["is_pro"],
            self.image,
            run.provider_id if run.routing_strategy == "manual" else None,
            take,
        ]
        # A take of another length is no take of the exact one; what was made before there was a choice stays.
        if run.conform in (Conform.NEAREST_LONGER, Conform.NEAREST):
            facts.append(run.conform)
        return hashlib.sha256(_as_json(facts).encode()).hexdigest()


# One encoder for ten thousand fingerprints.
_as_json = json.JSONEncoder(ensure_ascii=False).encode


def freeze(segment: Facts) -> Frozen:
    snapshot = {
        "id": ids.show("seg", segment.id),
        "segment_index": segment.segment_index,
        "prompt_text": segment.prompt_text,
        "image_url": segment.image_url,
        "asset": segment.asset,
        "is_pro": segment.is_pro,
        "duration_seconds": segment.duration_seconds,
        "resolution": segment.resolution,
        "director_intent": segment.director_intent,
    }
    prompt = full_prompt(segment.prompt_text, segment.asset, segment.director_intent)
    return Frozen(snapshot, prompt, _image_identity(segment.image_url))


def _image_identity(image_url: str | None) -> str | None:
    """What the picture is: the hash of one that we hold, the address of one that we do not."""
    if image_url is None or not image_url.startswith(uploads.URL_PREFIX):
        return image_url
    # From here on a task names it, whatever becomes of its segment.
    uploads.hold(image_url.removeprefix(uploads.URL_PREFIX))
    try:
        return _upload_hash(str(outputs.absolute(image_url.lstrip("/"))))
    except OSError:
        return image_url


@lru_cache(maxsize=4096)
def _upload_hash(path: str) -> str:
    # An upload never changes under its name, so its hash may be kept.
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def thawed(run: Run, task: Task) -> dict[str, Any]:
    """The columns of a task whose segment is taken as it is now; none when the segment is gone."""
    segment = next(facts_of(Segment.objects.filter(pk=task.segment_uuid)), None)
    if segment is None:
        return {}
    frozen = freeze(segment)
    return {
        "snapshot": frozen.snapshot,
        "full_prompt": frozen.prompt,
        "fingerprint": frozen.fingerprint(run, task.take),
    }
