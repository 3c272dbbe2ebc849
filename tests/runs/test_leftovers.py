"""What a crash between a file and its commit has left goes after a day; what a row names stays."""

import os
import time
from pathlib import Path
from uuid import UUID

import pytest

from cineflow.core import ids
from runs import leftovers
from storyboards import schema, uploads
from storyboards.models import Segment
from tests.runs.conftest import MakeBoard, MakeRun

pytestmark = pytest.mark.django_db

A_DAY = 86_400.0
NAME = "0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.png"


def put(path: Path, *, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bytes")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


@pytest.fixture
def upload(data_dir: Path) -> Path:
    """The start image of a request that died before its commit, two days ago."""
    return put(data_dir / "uploads" / NAME, age=2 * A_DAY)


def original(data_dir: Path, storyboard: UUID) -> Path:
    return data_dir / "storyboards" / ids.show("sb", storyboard) / "original.json"


def test_an_upload_that_no_row_names_goes_after_a_day(upload: Path) -> None:
    fresh = put(upload.with_name(NAME.replace("0f", "1f")), age=A_DAY - 60)
    leftovers.sweep(time.time())
    assert (upload.exists(), fresh.exists()) == (False, True)


def test_the_start_image_of_a_segment_stays(board: MakeBoard, upload: Path) -> None:
    board("a city", image_url=uploads.URL_PREFIX + NAME)
    leftovers.sweep(time.time())
    assert upload.exists()


def test_the_start_image_of_a_task_stays_when_its_segment_has_another(
    start: MakeRun, upload: Path
) -> None:
    start("a city", fields={"image_url": uploads.URL_PREFIX + NAME})
    Segment.objects.update(image_url=None)
    os.utime(upload, (0, 0))
    leftovers.sweep(time.time())
    assert upload.exists()


def test_an_upload_that_somebody_is_about_to_name_stays(upload: Path) -> None:
    changes = schema.SegmentChanges.model_validate({"image_url": uploads.URL_PREFIX + NAME})
    assert changes.image_url == uploads.URL_PREFIX + NAME
    leftovers.sweep(time.time())
    assert upload.exists()


def test_an_image_that_a_launch_is_about_to_name_stays(start: MakeRun, upload: Path) -> None:
    run = start("a city", fields={"image_url": uploads.URL_PREFIX + NAME})
    Segment.objects.update(image_url=None)
    run.delete()  # as it is before its commit
    leftovers.sweep(time.time())
    assert upload.exists()


def test_an_original_without_its_storyboard_goes_with_its_folder(data_dir: Path) -> None:
    old = put(original(data_dir, ids.new_id()), age=2 * A_DAY)
    fresh = put(original(data_dir, ids.new_id()), age=60)
    leftovers.sweep(time.time())
    assert (old.parent.exists(), fresh.exists()) == (False, True)


def test_clips_beside_an_original_stay(data_dir: Path) -> None:
    old = put(original(data_dir, ids.new_id()), age=2 * A_DAY)
    clip = put(old.parent / "run_1" / "00001-t1-a1.mp4", age=2 * A_DAY)
    leftovers.sweep(time.time())
    assert (old.exists(), clip.exists()) == (False, True)


def test_the_original_of_a_storyboard_stays(board: MakeBoard, data_dir: Path) -> None:
    kept = put(original(data_dir, board("a city").pk), age=2 * A_DAY)
    leftovers.sweep(time.time())
    assert kept.exists()


@pytest.mark.parametrize("folder", ["tmp", "uploads", "storyboards/sb_1"])
def test_what_was_not_written_to_its_end_goes_after_a_day(folder: str, data_dir: Path) -> None:
    old = put(data_dir / folder / ".a.png.1f.part", age=2 * A_DAY)
    fresh = put(data_dir / folder / ".b.png.1f.part", age=60)
    leftovers.sweep(time.time())
    assert (old.exists(), fresh.exists()) == (False, True)


def test_files_that_are_not_ours_stay(data_dir: Path) -> None:
    theirs = [
        put(data_dir / "uploads" / "README", age=2 * A_DAY),
        put(data_dir / "storyboards" / "notes" / "original.json", age=2 * A_DAY),
    ]
    leftovers.sweep(time.time())
    assert all(path.exists() for path in theirs)
