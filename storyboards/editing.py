"""Every write to a storyboard and its segments."""

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from cineflow.core import bulk, garbage, ids
from cineflow.core.errors import Conflict, Invalid, NotFound, problem
from cineflow.core.files import write_atomically
from storyboards import schema, uploads
from storyboards.models import Segment, Storyboard, empty_asset

MAX_NAME = 255
FALLBACK_NAME = "storyboard.json"
ACTIVE_RUN = ("queued", "running")

_COLUMNS = (
    "id",
    "storyboard",
    "segment_index",
    "prompt_text",
    "director_intent",
    "image_url",
    "asset",
    "is_pro",
    "duration_seconds",
    "resolution",
)
# Joiners that scripts and emoji need, though they are format characters like the harmful ones.
_JOINERS = "\u200c\u200d"


@garbage.left_alone()
def import_storyboard(
    name: str,
    raw: bytes,
    *,
    host: str = "",
    on_stored: Callable[[Storyboard], None] = lambda _: None,
) -> Storyboard:
    """Stores an uploaded file and its segments; raises `InvalidStoryboard` and stores nothing.

    What `on_stored` writes is committed with the storyboard, or not at all.
    """
    parsed = schema.read(raw, host=host)
    storyboard_id = ids.new_id()
    storyboard = Storyboard(
        id=storyboard_id,
        name=clean_name(name),
        segment_count=len(parsed.segments),
        metadata=parsed.metadata,
        character_bible=parsed.character_bible,
        original=f"storyboards/{ids.show('sb', storyboard_id)}/original.json",
    )
    write_atomically(_original(storyboard), [raw])
    try:
        with transaction.atomic():
            storyboard.save(force_insert=True)
            bulk.insert(Segment, _COLUMNS, _rows(storyboard.id, parsed.segments))
            on_stored(storyboard)
    except BaseException:
        _remove_original(storyboard)
        raise
    return storyboard


def clean_name(name: str) -> str:
    """A file's base name without what confuses a reader or a terminal, at most 255 characters."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    base = " ".join("".join(filter(_is_readable, base)).split())
    stem, dot, suffix = base.rpartition(".")
    if dot and len(suffix) < MAX_NAME:
        base = stem[: MAX_NAME - len(suffix) - 1] + dot + suffix
    return base[:MAX_NAME].strip() or FALLBACK_NAME


def _is_readable(character: str) -> bool:
    """Not a control, a format (such as the marks that turn text around) or half a character."""
    return (
        character.isspace()
        or character in _JOINERS
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )


def _rows(storyboard: UUID, segments: list[schema.NewSegment]) -> Iterator[tuple[object, ...]]:
    for segment in segments:
        yield (
            ids.new_id(),
            storyboard,
            segment.segment_index,
            segment.prompt_text,
            segment.director_intent,
            segment.image_url,
            _asset(segment.asset),
            segment.is_pro,
            segment.duration_seconds,
            segment.resolution,
        )


def _asset(asset: schema.NewAsset | None) -> dict[str, Any]:
    return empty_asset() if asset is None else asset.model_dump()


def _original(storyboard: Storyboard) -> Path:
    return Path(settings.DATA_DIR) / storyboard.original


def _remove_original(storyboard: Storyboard) -> None:
    """The file, and its folder unless runs have written their clips beside it."""
    path = _original(storyboard)
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def edit_segment(segment_id: UUID, changes: schema.SegmentChanges) -> Segment:
    """Writes the fields that were sent and no other, under the rules of the merged segment."""
    sent = {name: getattr(changes, name) for name in changes.model_fields_set}
    if "asset" in sent:
        sent["asset"] = _asset(changes.asset)
    with transaction.atomic():
        # Locked, because a duration and is_pro that arrive apart must not slip past each other.
        segment = _locked_segment(segment_id)
        for name, value in sent.items():
            setattr(segment, name, value)
        _check_merged(segment)
        segment.save(update_fields=list(sent))
    return segment


def _locked_segment(segment_id: UUID) -> Segment:
    segment = Segment.objects.select_for_update().filter(pk=segment_id).first()
    if segment is None:
        raise NotFound("There is no such segment.")
    return segment


def _check_merged(segment: Segment) -> None:
    if wrong := schema.duration_problem(segment.duration_seconds, is_pro=segment.is_pro):
        raise Invalid([problem(["duration_seconds"], wrong)])


def set_start_image(
    segment_id: UUID,
    file: "UploadedFile[Any]",
    *,
    on_stored: Callable[[str], None] = lambda _: None,
) -> str:
    """Stores the image and points the segment at it; returns its URL.

    What `on_stored` writes is committed with the segment, or not at all.
    """
    segments = Segment.objects.filter(pk=segment_id)
    if not segments.exists():
        raise NotFound("There is no such segment.")
    name = uploads.save(file)
    url = uploads.URL_PREFIX + name
    try:
        with transaction.atomic():
            if not segments.update(image_url=url):
                raise NotFound("There is no such segment.")
            on_stored(url)
    except BaseException:
        uploads.remove(name)
        raise
    return url


def delete_storyboard(storyboard_id: UUID) -> None:
    """Raises `Conflict` while a run is active. Ended runs stay, with their files."""
    with transaction.atomic():
        # The launch of a run takes this lock as well, so none can start behind our back.
        storyboard = Storyboard.objects.select_for_update().filter(pk=storyboard_id).first()
        if storyboard is None:
            raise NotFound("There is no such storyboard.")
        if storyboard.runs.filter(status__in=ACTIVE_RUN).exists():
            raise Conflict("A run of this storyboard is active. Cancel it or wait for its end.")
        # Robust: a file that cannot be removed is logged, for the storyboard is gone all the same.
        transaction.on_commit(lambda: _remove_original(storyboard), robust=True)
        storyboard.delete()
