"""Files that a crash left behind: no row names them, so nobody will ever ask for them again.

Only what is older than a day goes. A file is written, and then named by a row, within one request; and to name an
upload that is there already is to touch it first (`uploads.hold`).
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from cineflow.core import ids
from runs.models import Task
from storyboards import uploads
from storyboards.models import Segment, Storyboard

KEPT_SECONDS = 86_400.0
_BATCH = 500


def sweep(now: float) -> None:
    """`now`: Unix time, as the files have it."""
    before = now - KEPT_SECONDS
    for path in _scratch():
        _remove(path, before)
    for some in _batches(path for path in uploads.stored() if _is_old(path, before)):
        _sweep_uploads(some, before)
    for some in _batches(path for path in _originals() if _is_old(path, before)):
        _sweep_originals(some, before)


def _scratch() -> Iterator[Path]:
    """Of downloads, and of files that were not written to their end."""
    data = Path(settings.DATA_DIR)
    for pattern in ("tmp/*.part", "uploads/.*.part", "storyboards/*/.*.part"):
        yield from data.glob(pattern)


def _originals() -> Iterator[Path]:
    return Path(settings.DATA_DIR).glob("storyboards/sb_*/original.json")


def _sweep_uploads(old: Sequence[Path], before: float) -> None:
    urls = {uploads.URL_PREFIX + path.name for path in old}
    segments = Segment.objects.filter(image_url__in=urls)
    named = set(segments.values_list("image_url", flat=True))
    # A task keeps the picture of a segment that has another one by now, or is gone.
    tasks = Task.objects.filter(snapshot__image_url__in=list(urls - named)).order_by()
    named |= set(tasks.values_list("snapshot__image_url", flat=True).distinct())
    for path in old:
        if uploads.URL_PREFIX + path.name in named:
            uploads.hold(path.name)  # so that it is asked for again in a day, and not in an hour
        else:
            _remove(path, before)


def _sweep_originals(old: Sequence[Path], before: float) -> None:
    owners = {key: path for path in old if (key := ids.parse("sb", path.parent.name))}
    known = set(Storyboard.objects.filter(pk__in=list(owners)).values_list("pk", flat=True))
    for key, path in owners.items():
        if key not in known:
            _remove(path, before)
            with suppress(OSError):  # runs may have written their clips beside it
                path.parent.rmdir()


def _remove(path: Path, before: float) -> None:
    """Looked at once more: somebody may have touched it in order to name it."""
    if _is_old(path, before):
        path.unlink(missing_ok=True)


def _is_old(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:  # whoever wrote it has just ended
        return False


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    paths = iter(paths)
    while some := list(itertools.islice(paths, _BATCH)):
        yield some
