from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from cineflow.core import ids
from storyboards.models import Segment, Storyboard
from tests.storyboards.conftest import Upload, segments

pytestmark = pytest.mark.django_db

# The same in every process: a test's name is made of it.
NOBODY = UUID("019aa000-0000-7000-8000-000000000000")
NOWHERE = [
    f"/api/v1/storyboards/{ids.show('sb', NOBODY)}",
    f"/api/v1/storyboards/{ids.show('sb', NOBODY)}/segments",
    f"/api/v1/segments/{ids.show('seg', NOBODY)}",
    "/api/v1/storyboards/sb_1",
    "/api/v1/storyboards/sb_" + "z" * 26,
    "/api/v1/storyboards/1/segments",
    f"/api/v1/storyboards/{ids.show('seg', NOBODY)}",
    "/api/v1/segments/%00",
    "/api/v1/segments/seg_🎬",
]


def names(answer: Any) -> list[str]:
    return [item["name"] for item in answer.json()["items"]]


def locs(answer: Any) -> list[list[Any]]:
    assert answer.status_code == 400, answer.content
    return [problem["loc"] for problem in answer.json()["details"]["errors"]]


def test_an_upload_is_answered_with_its_summary(upload: Upload, data_dir: Path) -> None:
    raw = b'\xef\xbb\xbf {"segments": [{"segment_index": 7, "prompt_text": "\xe9\x95\x9c"}]}\n'
    answer = upload(raw, "night ferry.json")
    body = answer.json()
    assert answer.status_code == 201
    assert list(body) == ["id", "name", "created_at", "segment_count"]
    assert (body["name"], body["segment_count"]) == ("night ferry.json", 1)
    assert body["id"].startswith("sb_")
    assert body["created_at"].endswith("Z")
    assert answer["Location"] == f"/api/v1/storyboards/{body['id']}"
    assert (data_dir / "storyboards" / body["id"] / "original.json").read_bytes() == raw


def test_what_was_uploaded_is_found_by_its_id_and_in_the_list(
    upload: Upload, api: APIClient
) -> None:
    summary = upload(segments(2)).json()
    assert api.get(f"/api/v1/storyboards/{summary['id']}").json() == summary
    assert api.get("/api/v1/storyboards").json() == {
        "items": [summary],
        "page": 1,
        "page_size": 20,
        "total": 1,
    }


def test_segments_are_listed_by_their_index(upload: Upload, api: APIClient) -> None:
    value = segments(3, asset={"characters": ["Alice@a1"], "scene": "Room"})
    value["segments"].reverse()
    url = f"/api/v1/storyboards/{upload(value).json()['id']}/segments"
    items = api.get(url).json()["items"]
    assert [item["segment_index"] for item in items] == [1, 2, 3]
    assert items[0] == {
        "id": items[0]["id"],
        "segment_index": 1,
        "prompt_text": "A lighthouse",
        "image_url": None,
        "asset": {"characters": [{"name": "Alice", "id": "@a1"}], "scene": "Room", "props": []},
        "is_pro": False,
        "duration_seconds": 10,
        "resolution": "horizontal",
        "director_intent": None,
    }
    assert api.get(f"/api/v1/segments/{items[0]['id']}").json() == items[0]


def test_a_segment_without_an_asset_has_an_empty_one(upload: Upload, api: APIClient) -> None:
    url = f"/api/v1/storyboards/{upload(segments(1, asset=None)).json()['id']}/segments"
    empty: Any = {"characters": [], "scene": None, "props": []}
    assert api.get(url).json()["items"][0]["asset"] == empty


@pytest.mark.parametrize("url", NOWHERE)
def test_an_id_of_nothing_is_not_found(url: str, api: APIClient) -> None:
    answer = api.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"segments": NaN}',
        b"[" * 100_000,
        b'"\\ud800"',
        b'{"a":"\\u0000"}',
    ],
)
def test_a_bad_file_stores_nothing(raw: bytes, upload: Upload, data_dir: Path) -> None:
    answer = upload(raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "schema_error")
    assert answer.json()["message"] == "Invalid storyboard schema"
    assert answer.json()["details"]["errors"]
    assert (Storyboard.objects.count(), list(data_dir.rglob("*"))) == (0, [])


def test_a_database_that_fails_leaves_no_file(
    upload: Upload, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two segments with one id: the database refuses the second.
    taken = ids.new_id()
    monkeypatch.setattr("cineflow.core.ids.new_id", lambda: taken)
    assert upload(segments(2)).status_code == 500
    assert not list((data_dir / "storyboards").rglob("*"))


def test_problems_past_a_thousand_are_counted(upload: Upload) -> None:
    errors = upload(segments(1_500, prompt_text="")).json()["details"]["errors"]
    assert len(errors) == 1_001
    assert (errors[-1]["loc"], errors[-1]["type"]) == ([], "too_many_errors")
    assert "1500" in errors[-1]["msg"]


def test_a_form_without_the_file_is_refused(api: APIClient) -> None:
    for form in ({}, {"file": "text"}, {"other": SimpleUploadedFile("a.json", b"{}")}):
        answer = api.post("/api/v1/storyboards", form, format="multipart")
        assert locs(answer) == [["file"]]
        assert answer.json()["code"] == "validation_error"


def test_an_upload_that_is_no_form_is_refused(api: APIClient) -> None:
    answer = api.post("/api/v1/storyboards", segments(1), format="json")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_file_past_the_limit_is_too_large(upload: Upload, settings: Settings) -> None:
    settings.MAX_UPLOAD_BYTES = 1_000
    for size in (1_001, 100_000):
        answer = upload(b" " * size)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/x.json", "x.json"),
        ("C:\\boards\\x.json", "x.json"),
        ("a\u202eb\u200b\x07 \t c.json", "ab c.json"),
        ("x" * 900 + ".json", "x" * 250 + ".json"),
        ("镜头 🎬.json", "镜头 🎬.json"),
        ("e\u0301.json", "é.json"),
        (".json", ".json"),
    ],
)
def test_the_name_of_a_file_is_cleaned(name: str, kept: str, api: APIClient) -> None:
    assert post_raw(api, f'filename="{name}"'.encode()).json()["name"] == kept


@pytest.mark.parametrize(
    "disposition",
    [
        b'filename="a\x00b.json"',
        b'filename="\xed\xa0\x80\xff.json"',
        b'filename="' + b"\xff" * 5_000 + b'"',
        b"filename*=UTF-8''a%ED%A0%80b.json",
        b"filename*=UTF-8''%00.json",
        b"filename*=bogus''%ff.json",
        b"filename*=utf-16''%d8%00.json",
        b"filename*=utf-7''+2AA-.json",
        b"filename*=''.json",
        b"filename*=x",
        b'filename="&#55296;.json"',
        b'filename="&#0;.json"',
        b'filename=""',
        b'filename=".."',
        b'filename="/"',
        b'filename="' + b"\\" * 100 + b'"',
        b"filename",
        b'filename="a\r\n b"',
    ],
)
def test_a_hostile_name_never_breaks_anything(disposition: bytes, api: APIClient) -> None:
    answer = post_raw(api, disposition)
    if answer.status_code == 201:
        name = answer.json()["name"]
        assert 0 < len(name) <= 255
        assert name.isprintable()
        assert "/" not in name
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


def post_raw(api: APIClient, disposition: bytes) -> Any:
    """A form written by hand: the test client would clean the name itself."""
    content = b'{"segments": [{"segment_index": 1, "prompt_text": "x"}]}'
    head = b'--b\r\nContent-Disposition: form-data; name="file"; ' + disposition
    body: Any = head + b"\r\nContent-Type: application/json\r\n\r\n" + content + b"\r\n--b--\r\n"
    return api.generic(
        "POST", "/api/v1/storyboards", body, content_type="multipart/form-data; boundary=b"
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=\xe9", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=b; charset=bogus", b"--b--\r\n"),
    ],
)
def test_a_broken_form_is_a_bad_request(content_type: str, body: Any, api: APIClient) -> None:
    answer = api.generic("POST", "/api/v1/storyboards", body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


@pytest.mark.parametrize("length", ["abc", "-5", ""])
def test_a_content_length_that_is_no_number_is_a_bad_request(length: str, api: APIClient) -> None:
    answer = api.generic(
        "POST",
        "/api/v1/storyboards",
        "--b--",
        content_type="multipart/form-data; boundary=b",
        CONTENT_LENGTH=length,
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


def test_storyboards_are_listed_newest_first_and_page_by_page(
    upload: Upload, api: APIClient
) -> None:
    for name in ("a.json", "b.json", "c.json"):
        upload(segments(1), name)
    assert names(api.get("/api/v1/storyboards")) == ["c.json", "b.json", "a.json"]
    assert names(api.get("/api/v1/storyboards?page_size=2&page=2")) == ["a.json"]
    beyond = api.get("/api/v1/storyboards?page=99999999999999")
    assert (beyond.status_code, beyond.json()["items"], beyond.json()["total"]) == (200, [], 3)


def test_storyboards_are_sorted_as_asked(upload: Upload, api: APIClient) -> None:
    for name, count in (("b.json", 2), ("a.json", 2), ("c.json", 1)):
        upload(segments(count), name)
    for query, expected in {
        "sort=name&order=asc": "abc",
        "sort=name": "cba",
        "sort=segment_count&order=asc": "cba",
        "sort=segment_count&order=desc": "abc",
        "sort=created_at&order=asc": "bac",
    }.items():
        found = names(api.get(f"/api/v1/storyboards?{query}"))
        assert "".join(name[0] for name in found) == expected, query


def test_a_name_is_found_by_a_part_of_it_in_any_case(upload: Upload, api: APIClient) -> None:
    for name in ("Demo_one.json", "demo two.json", "100%.json", "镜头.json"):
        upload(segments(1), name)
    for query, expected in {
        "DEMO": ["demo two.json", "Demo_one.json"],
        "_": ["Demo_one.json"],
        "%25": ["100%.json"],
        "镜": ["镜头.json"],
        "%20": ["demo two.json"],
        "'": [],
        "%5C": [],
    }.items():
        assert names(api.get(f"/api/v1/storyboards?name={query}")) == expected, query
    assert len(names(api.get("/api/v1/storyboards?name="))) == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("name=%00", "name"),
        ("name=" + "x" * 256, "name"),
        ("page=0", "page"),
        ("page=", "page"),
        ("page=1.5", "page"),
        ("page=%EF%BC%91", "page"),
        ("page_size=201", "page_size"),
        ("page_size=0", "page_size"),
        ("sort=id", "sort"),
        ("sort=", "sort"),
        ("order=up", "order"),
        ("sort=name&order=", "order"),
    ],
)
def test_a_bad_query_of_storyboards_is_told(query: str, field: str, api: APIClient) -> None:
    assert locs(api.get(f"/api/v1/storyboards?{query}")) == [[field]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("resolution=", "resolution"),
        ("resolution=square", "resolution"),
        ("is_pro=", "is_pro"),
        ("is_pro=True", "is_pro"),
        ("is_pro=1", "is_pro"),
        ("is_pro=%00", "is_pro"),
        ("sort=prompt_text", "sort"),
    ],
)
def test_a_bad_query_of_segments_is_told(
    query: str, field: str, upload: Upload, api: APIClient
) -> None:
    url = f"/api/v1/storyboards/{upload(segments(1)).json()['id']}/segments"
    assert locs(api.get(f"{url}?{query}")) == [[field]]


def test_unknown_query_parameters_are_ignored(api: APIClient) -> None:
    assert api.get("/api/v1/storyboards?colour=red&format=xml").status_code == 200


def test_segments_are_filtered_and_sorted(upload: Upload, api: APIClient) -> None:
    value = segments(3)
    value["segments"][0] |= {"is_pro": True, "duration_seconds": 25}
    value["segments"][1] |= {"resolution": "vertical", "duration_seconds": 4}
    url = f"/api/v1/storyboards/{upload(value).json()['id']}/segments"
    upload(segments(1))
    for query, expected in {
        "": [1, 2, 3],
        "resolution=vertical": [2],
        "is_pro=true": [1],
        "is_pro=false": [2, 3],
        "is_pro=false&resolution=horizontal": [3],
        "sort=duration_seconds&order=asc": [2, 3, 1],
        "sort=segment_index": [3, 2, 1],
        "page=2&page_size=2": [3],
    }.items():
        items = api.get(f"{url}?{query}").json()["items"]
        assert [item["segment_index"] for item in items] == expected, query


def test_a_list_of_three_takes_as_many_queries_as_a_list_of_one(
    upload: Upload, api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 3):
        storyboard = upload(segments(count)).json()["id"]
        with django_assert_num_queries(3):
            assert api.get(f"/api/v1/storyboards/{storyboard}/segments").json()["total"] == count
    for count in (2, 3):
        with django_assert_num_queries(2):
            assert api.get("/api/v1/storyboards").json()["total"] == count
        upload(segments(1))


def test_the_largest_storyboard_is_taken(upload: Upload) -> None:
    assert upload(segments(20_000)).json()["segment_count"] == 20_000
    assert Segment.objects.count() == 20_000


def test_methods_that_an_address_does_not_have_are_refused(
    api: APIClient, segment_url: str
) -> None:
    for url in ("/api/v1/storyboards", segment_url, f"{segment_url}/assets/start-image"):
        answer = api.put(url, {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
