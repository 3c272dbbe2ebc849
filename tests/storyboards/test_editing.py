import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from cineflow.core import ids
from cineflow.core.errors import Invalid
from runs.models import Run
from storyboards import editing
from storyboards.models import Segment, Storyboard
from storyboards.schema import SegmentChanges
from tests.storyboards.conftest import Upload, segments

pytestmark = pytest.mark.django_db


def problems(answer: Any) -> list[tuple[list[Any], str]]:
    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] == "validation_error"
    return [(problem["loc"], problem["type"]) for problem in answer.json()["details"]["errors"]]


def make_run(storyboard_id: UUID, status: str) -> Run:
    return Run.objects.create(
        storyboard_id=storyboard_id,
        storyboard_uuid=storyboard_id,
        storyboard_name="x",
        model_id="sora2",
        output_folder="output/x",
        status=status,
        total_tasks=1,
        finished_at=None if status in ("queued", "running") else timezone.now(),
        **{status: 1},
    )


def test_fields_that_are_not_sent_stay(segment_url: str, api: APIClient) -> None:
    before = api.get(segment_url).json()
    changes = {"prompt_text": "City sunrise", "duration_seconds": 12, "director_intent": "Warm"}
    answer = api.patch(segment_url, changes)
    assert (answer.status_code, answer.json()) == (200, {**before, **changes})
    assert api.get(segment_url).json() == answer.json()


@pytest.mark.parametrize("body", [{}, None])
def test_no_field_is_no_change(body: Any, segment_url: str, api: APIClient) -> None:
    assert api.patch(segment_url, body).json() == api.get(segment_url).json()


def test_null_clears_what_can_be_empty(segment_url: str, api: APIClient) -> None:
    full = {
        "director_intent": "Warm",
        "image_url": "https://example.com/a.png",
        "asset": {"characters": ["Alice@a1"], "scene": "Room", "props": ["lamp"]},
    }
    assert api.patch(segment_url, full).status_code == 200
    cleared = api.patch(segment_url, dict.fromkeys(full)).json()
    assert {name: cleared[name] for name in full} == {
        "director_intent": None,
        "image_url": None,
        "asset": {"characters": [], "scene": None, "props": []},
    }


@pytest.mark.parametrize("field", ["prompt_text", "duration_seconds", "resolution", "is_pro"])
def test_null_clears_nothing_else(field: str, segment_url: str, api: APIClient) -> None:
    ((loc, _),) = problems(api.patch(segment_url, {field: None}))
    assert loc == [field]


def test_an_asset_is_replaced_whole(segment_url: str, api: APIClient) -> None:
    api.patch(segment_url, {"asset": {"scene": "Room", "props": ["lamp"]}})
    answer = api.patch(segment_url, {"asset": {"characters": ["[Bob](@b1)"]}})
    assert answer.json()["asset"] == {
        "characters": [{"name": "Bob", "id": "@b1"}],
        "scene": None,
        "props": [],
    }


def test_an_answered_asset_can_be_sent_back(segment_url: str, api: APIClient) -> None:
    given = ["[Alice@a1]", {"name": "Bob@b", "id": "b1"}, "Eve"]
    first = api.patch(segment_url, {"asset": {"characters": given}}).json()
    assert api.patch(segment_url, {"asset": first["asset"]}).json() == first


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({"prompt_text": " "}, ["prompt_text"], "value_error"),
        ({"duration_seconds": "4"}, ["duration_seconds"], "int_type"),
        ({"duration_seconds": 5}, ["duration_seconds"], "value_error"),
        ({"is_pro": 1}, ["is_pro"], "bool_type"),
        ({"resolution": "4k"}, ["resolution"], "literal_error"),
        ({"segment_index": 2}, ["segment_index"], "extra_forbidden"),
        ({"id": "seg_1"}, ["id"], "extra_forbidden"),
        ({"colour": "red"}, ["colour"], "extra_forbidden"),
        ({"asset": {"mood": "x"}}, ["asset", "mood"], "extra_forbidden"),
        (
            {"asset": {"characters": [{"name": "A", "age": 3}]}},
            ["asset", "characters", 0, "age"],
            "extra_forbidden",
        ),
        ({"image_url": "http://127.0.0.1/a"}, ["image_url"], "value_error"),
        ([], [], "object_type"),
        ("x", [], "object_type"),
    ],
)
def test_a_bad_change_is_told_and_changes_nothing(
    body: Any, loc: list[Any], kind: str, segment_url: str, api: APIClient
) -> None:
    before = api.get(segment_url).json()
    assert problems(api.patch(segment_url, body)) == [(loc, kind)]
    assert api.get(segment_url).json() == before


def test_all_problems_of_a_change_come_in_one_answer(segment_url: str, api: APIClient) -> None:
    body = {"prompt_text": "", "duration_seconds": 25, "is_pro": False, "x": 1, "image_url": "y"}
    places = [loc for loc, _ in problems(api.patch(segment_url, body))]
    assert places == [["prompt_text"], ["image_url"], ["duration_seconds"], ["x"]]


@pytest.mark.parametrize(
    "raw",
    [b"{", b'{"is_pro": true, "is_pro": false}', b"[[" * 50_000, b'{"prompt_text": "\\ud800"}'],
)
def test_what_is_not_strict_json_is_refused(raw: Any, segment_url: str, api: APIClient) -> None:
    assert problems(api.generic("PATCH", segment_url, raw, content_type="application/json"))


def test_25_seconds_and_is_pro_are_checked_as_they_end_up(segment_url: str, api: APIClient) -> None:
    too_long = [(["duration_seconds"], "value_error")]
    assert problems(api.patch(segment_url, {"duration_seconds": 25})) == too_long
    assert api.patch(segment_url, {"duration_seconds": 25, "is_pro": True}).status_code == 200
    assert problems(api.patch(segment_url, {"is_pro": False})) == too_long
    assert api.patch(segment_url, {"is_pro": False, "duration_seconds": 15}).status_code == 200


def test_a_change_of_nothing_is_not_found(api: APIClient) -> None:
    answer = api.patch(f"/api/v1/segments/{ids.show('seg', ids.new_id())}", {"is_pro": True})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def in_parallel(*jobs: Any) -> list[Any]:
    """All at once, each with a database connection of its own."""
    barrier = threading.Barrier(len(jobs))

    def work(job: Any) -> Any:
        barrier.wait(10)
        try:
            return job()
        except Invalid as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(work, jobs))


def make_segment(**fields: Any) -> Segment:
    storyboard = Storyboard.objects.create(name="x", segment_count=1, original="x")
    return Segment.objects.create(storyboard=storyboard, segment_index=1, prompt_text="x", **fields)


@pytest.mark.django_db(transaction=True)
def test_parallel_changes_of_different_fields_all_survive() -> None:
    segment = make_segment()
    changes = {
        "prompt_text": "Sunrise",
        "director_intent": "Warm",
        "duration_seconds": 4,
        "resolution": "vertical",
        "is_pro": True,
        "image_url": "https://example.com/a.png",
    }
    for _ in range(5):
        Segment.objects.update(prompt_text="x", director_intent=None, resolution="horizontal")
        in_parallel(
            *(
                lambda name=name, value=value: editing.edit_segment(
                    segment.id, SegmentChanges(**{name: value})
                )
                for name, value in changes.items()
            )
        )
        assert Segment.objects.values(*changes).get() == changes


@pytest.mark.django_db(transaction=True)
def test_parallel_changes_cannot_slip_past_a_rule_together() -> None:
    segment = make_segment(is_pro=True)
    for _ in range(5):
        Segment.objects.update(is_pro=True, duration_seconds=10)
        outcomes = in_parallel(
            lambda: editing.edit_segment(segment.id, SegmentChanges(duration_seconds=25)),
            lambda: editing.edit_segment(segment.id, SegmentChanges(is_pro=False)),
        )
        assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 1


@pytest.mark.django_db(transaction=True)
def test_a_deleted_storyboard_is_gone_with_its_segments_and_its_file(
    upload: Upload, api: APIClient, data_dir: Path
) -> None:
    url = f"/api/v1/storyboards/{upload(segments(3)).json()['id']}"
    answer = api.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (Segment.objects.count(), Storyboard.objects.count()) == (0, 0)
    assert not any((data_dir / "storyboards").iterdir())
    for method in (api.get, api.delete):
        assert method(url).status_code == 404


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_storyboard_with_an_active_run_stays(
    status: str, upload: Upload, api: APIClient, data_dir: Path
) -> None:
    summary = upload(segments(1)).json()
    make_run(Storyboard.objects.get().id, status)
    answer = api.delete(f"/api/v1/storyboards/{summary['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert Segment.objects.count() == 1
    assert (data_dir / "storyboards" / summary["id"] / "original.json").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", ["completed", "failed", "canceled"])
def test_an_ended_run_and_its_clips_outlive_the_storyboard(
    status: str, upload: Upload, api: APIClient, data_dir: Path
) -> None:
    summary = upload(segments(1)).json()
    run = make_run(Storyboard.objects.get().id, status)
    clip = data_dir / "storyboards" / summary["id"] / run.public_id / "00001-t1-a1.mp4"
    clip.parent.mkdir()
    clip.write_bytes(b"x")
    assert api.delete(f"/api/v1/storyboards/{summary['id']}").status_code == 204
    run.refresh_from_db()
    assert (run.storyboard_id, run.storyboard_name, clip.exists()) == (None, "x", True)
    assert not (data_dir / "storyboards" / summary["id"] / "original.json").exists()


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("", "storyboard.json"),
        ("\u202e", "storyboard.json"),
        ("a/b\\c.json", "c.json"),
        ("\ud800x.json", "x.json"),
        ("x" * 300, "x" * 255),
        ("x." + "y" * 300, "x." + "y" * 253),
        ("\u2028a\u2029b", "a b"),
        ("नमस्\u200dते.json", "नमस्\u200dते.json"),
    ],
)
def test_any_text_becomes_a_name(name: str, cleaned: str) -> None:
    assert editing.clean_name(name) == cleaned
