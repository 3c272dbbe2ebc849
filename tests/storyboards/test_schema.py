import json
from pathlib import Path
from typing import Any

import pytest

from cineflow.core.errors import InvalidStoryboard
from storyboards import schema
from tests.storyboards.conftest import segments

NAME = "0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.png"
EXAMPLES = Path(schema.__file__).parent.parent / "examples"


def read(value: Any, host: str = "studio.test:8000") -> schema.NewStoryboard:
    return schema.read(json.dumps(value).encode(), host=host)


def problems(value: Any) -> list[dict[str, Any]]:
    with pytest.raises(InvalidStoryboard) as caught:
        read(value)
    assert caught.value.details is not None
    found: list[dict[str, Any]] = caught.value.details["errors"]
    return found


def places(value: Any) -> list[str]:
    return [".".join(map(str, problem["loc"])) for problem in problems(value)]


def one(**fields: Any) -> Any:
    """A storyboard of one segment with these fields."""
    return segments(1, **fields)


@pytest.fixture
def stored(data_dir: Path) -> str:
    path = data_dir / "uploads" / NAME
    path.parent.mkdir()
    path.write_bytes(b"x")
    return f"/uploads/{NAME}"


def test_what_is_left_out_gets_its_default() -> None:
    segment = read(one()).segments[0]
    assert segment.model_dump() == {
        "segment_index": 1,
        "prompt_text": "A lighthouse",
        "director_intent": None,
        "image_url": None,
        "asset": None,
        "is_pro": False,
        "duration_seconds": 10,
        "resolution": "horizontal",
    }


@pytest.mark.parametrize("blank", ["", " ", "\n\t\u3000", "\u200b", " \u200d\ufeff "])
def test_a_blank_prompt_is_told_in_the_agreed_words(blank: str) -> None:
    assert problems(one(prompt_text=blank)) == [
        {
            "loc": ["segments", 0, "prompt_text"],
            "msg": "Prompt text cannot be empty.",
            "type": "value_error",
        }
    ]


@pytest.mark.parametrize("seconds", [4, 8, 10, 12, 15])
@pytest.mark.parametrize("is_pro", [True, False])
def test_the_usual_durations_are_for_all(seconds: int, is_pro: bool) -> None:
    found = read(one(duration_seconds=seconds, is_pro=is_pro)).segments[0]
    assert (found.duration_seconds, found.is_pro) == (seconds, is_pro)


def test_25_seconds_are_for_pro_segments_only() -> None:
    assert read(one(duration_seconds=25, is_pro=True)).segments[0].duration_seconds == 25
    (problem,) = problems(one(duration_seconds=25))
    assert problem["loc"] == ["segments", 0, "duration_seconds"]
    assert "4, 8, 10, 12, 15" in problem["msg"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("segment_index", 0),
        ("segment_index", -1),
        ("segment_index", 2_147_483_648),
        ("segment_index", "1"),
        ("segment_index", True),
        ("segment_index", 1.0),
        ("segment_index", None),
        ("prompt_text", None),
        ("prompt_text", 5),
        ("prompt_text", "x" * 32_001),
        ("duration_seconds", 9),
        ("duration_seconds", "4"),
        ("duration_seconds", 4.0),
        ("duration_seconds", True),
        ("duration_seconds", None),
        ("resolution", "Horizontal"),
        ("resolution", None),
        ("is_pro", 1),
        ("is_pro", "true"),
        ("is_pro", None),
        ("director_intent", 3),
        ("director_intent", "x" * 32_001),
        ("image_url", ""),
        ("image_url", 3),
        ("asset", "Alice"),
        ("asset", []),
    ],
)
def test_a_wrong_value_is_told_at_its_place(field: str, value: Any) -> None:
    assert places(one(**{field: value})) == [f"segments.0.{field}"]


@pytest.mark.parametrize(
    ("place", "asset"),
    [
        ("characters", {"characters": None}),
        ("characters", {"characters": "Alice"}),
        ("characters", {"characters": ["A"] * 201}),
        ("scene", {"scene": 1}),
        ("scene", {"scene": "x" * 2_001}),
        ("props", {"props": None}),
        ("props", {"props": ["a"] * 201}),
        ("props.0", {"props": [3]}),
        ("props.0", {"props": [None]}),
    ],
)
def test_a_wrong_value_in_an_asset_is_told_at_its_place(place: str, asset: Any) -> None:
    assert places(one(asset=asset)) == [f"segments.0.asset.{place}"]


@pytest.mark.parametrize(
    ("place", "character"),
    [
        ("", 3),
        ("", None),
        ("", []),
        (".name", {}),
        (".name", {"name": " "}),
        (".name", {"name": "[]"}),
        (".name", {"name": None}),
        (".name", "[ ]"),
        (".name", "@a1"),
        (".name", ""),
        (".name", "x" * 2_001),
        (".id", {"name": "A", "id": ""}),
        (".id", {"name": "A", "id": "@"}),
        (".id", {"name": "A", "id": "a b"}),
        (".id", {"name": "A", "id": "@@a"}),
        (".id", {"name": "A", "id": "@a\n"}),
        (".id", {"name": "A", "id": "é"}),
        (".id", {"name": "A", "id": 1}),
    ],
)
def test_a_wrong_character_is_told_at_its_place(place: str, character: Any) -> None:
    value = one(asset={"characters": [character]})
    assert places(value) == [f"segments.0.asset.characters.0{place}"]


def test_all_problems_come_in_one_answer() -> None:
    value = {
        "segments": [
            {"segment_index": 1, "prompt_text": " ", "duration_seconds": 25},
            {"segment_index": 1, "is_pro": "yes", "duration_seconds": 25},
            {"segment_index": 1, "prompt_text": "x"},
            3,
        ],
        "metadata": [],
        "character_bible": [3],
    }
    assert places(value) == [
        "segments.0.prompt_text",
        "segments.0.duration_seconds",
        "segments.1.prompt_text",
        "segments.1.is_pro",
        "segments.3",
        "metadata",
        "character_bible.0",
        "segments.1.segment_index",
        "segments.2.segment_index",
    ]


def test_a_repeated_index_is_told_where_it_stands_again() -> None:
    value = segments(2)
    value["segments"].append(value["segments"][0])
    (problem,) = problems(value)
    assert problem["loc"] == ["segments", 2, "segment_index"]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], ""),
        ("x", ""),
        (None, ""),
        ({}, "segments"),
        ({"segments": []}, "segments"),
        ({"segments": {}}, "segments"),
        ({"segments": None}, "segments"),
        (segments(20_001), "segments"),
    ],
)
def test_a_file_without_a_list_of_segments_is_refused(value: Any, place: str) -> None:
    assert places(value) == [place]


def test_no_message_names_our_classes() -> None:
    value = {"segments": [3, one()["segments"][0] | {"asset": 3}], "metadata": 3}
    assert {problem["msg"] for problem in problems(value)} == {"Input should be an object"}


def test_unknown_keys_are_ignored_at_every_level() -> None:
    asset = {"characters": [{"name": "A", "_comment": 1}], "x": 1}
    found = read({**one(asset=asset, note="x"), "_comment": "x"})
    assert found.segments[0].asset is not None
    assert found.segments[0].asset.model_dump() == {
        "characters": [{"name": "A", "id": None}],
        "scene": None,
        "props": [],
    }


@pytest.mark.parametrize(
    ("given", "name", "id_"),
    [
        ("Alice", "Alice", None),
        (" Alice ", "Alice", None),
        ("[Alice]", "Alice", None),
        ("Alice@a1", "Alice", "@a1"),
        ("Alice @a1", "Alice", "@a1"),
        ("Alice (@a1)", "Alice", "@a1"),
        ("Alice(@a1)", "Alice", "@a1"),
        ("[Alice]@a1", "Alice", "@a1"),
        ("[Alice@a1]", "Alice", "@a1"),
        ("[Alice (@a1)]", "Alice", "@a1"),
        ("[Alice](@a1)", "Alice", "@a1"),
        ("林小满@lin_1", "林小满", "@lin_1"),
        ("Alice@", "Alice@", None),
        ("Alice@a b", "Alice@a b", None),
        ("Alice (@a1", "Alice (@a1", None),
        ("Alice (the older)", "Alice (the older)", None),
        ({"name": "[Alice]"}, "Alice", None),
        ({"name": "Alice@a1"}, "Alice@a1", None),
        ({"name": "[Alice@a1]", "id": "b"}, "Alice@a1", "b"),
        ({"name": "Alice", "id": "@a1"}, "Alice", "@a1"),
        ({"name": "Alice", "id": None}, "Alice", None),
        ({"name": "[[Alice]]"}, "[[Alice]]", None),
    ],
)
def test_a_character_may_be_written_in_many_ways(given: Any, name: str, id_: str | None) -> None:
    asset = read(one(asset={"characters": [given]})).segments[0].asset
    assert asset is not None
    character = asset.characters[0]
    assert (character.name, character.id) == (name, id_)
    # What is answered can be sent back: nothing changes the second time.
    assert schema.NewCharacter.model_validate(character.model_dump()) == character


GOOD_URLS = """
http://example.com https://example.com/a.png?x=1#y HTTPS://EXAMPLE.COM/A https://example.com:8443/
https://8.8.8.8/a.png https://[2606:4700:4700::1111]/a https://例え.jp/画像.png
"""
BAD_URLS = r"""
ftp://example.com/a file:///etc/passwd javascript:alert(1) data:image/png;base64,AA example.com/a
//example.com/a http:// http:///a https:example.com https:/example.com http://[::1 a http://a:b/
http://a:99999/ http://user@example.com/ http://user:pw@example.com/ http://:@example.com/
http://localhost/ http://a.localhost:8000/ http://127.0.0.1/ http://127.1/ http://2130706433/
http://0x7f000001/ http://0177.0.0.1/ http://127.0.0.1./ http://[::1]/ http://[::ffff:7f00:1]/
http://[fe80::1%25eth0]/ http://169.254.169.254/latest http://10.0.0.1/ http://100.64.0.1/
http://127。0。0。1/ http://%31%32%37.0.0.1/ http://example.com\@127.0.0.1/
http://example.com@127.0.0.1/ http://127.0.0.1#@example.com/ http://127.0.0.1?@example.com/
/uploads/ /uploads/x.png /uploads/../x /uploads/0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.png/x
/etc/passwd /uploads/0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.svg ../uploads/x
/uploads/ffffffffffffffffffffffffffffffffffffffff.png
//studio.test:8000/uploads/0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.png
ftp://studio.test:8000/uploads/0f4c2a9b7d6e58310f4c2a9b7d6e58310f4c2a9b.png
"""
WITH_BLANKS = ["http://a b/", " http://a/", "http://a/\n", "http://a/\t", "http://a/\x00", "\u3000"]


@pytest.mark.parametrize("url", GOOD_URLS.split())
def test_an_image_may_lie_anywhere_on_the_public_internet(url: str) -> None:
    assert read(one(image_url=url)).segments[0].image_url == url


@pytest.mark.parametrize("url", [*BAD_URLS.split(), *WITH_BLANKS, f"http://a.b/{'x' * 2_048}"])
def test_any_other_image_url_is_refused(url: str, stored: str) -> None:
    assert places(one(image_url=url)) == ["segments.0.image_url"]


@pytest.mark.parametrize("host", ["", "http://studio.test:8000", "https://STUDIO.test:8000"])
def test_an_upload_of_this_server_is_stored_as_a_path(host: str, stored: str) -> None:
    assert read(one(image_url=host + stored)).segments[0].image_url == stored


def test_our_own_address_may_be_private(stored: str) -> None:
    url = f"http://127.0.0.1:8000{stored}"
    assert read(one(image_url=url), host="127.0.0.1:8000").segments[0].image_url == stored


@pytest.mark.parametrize("name", ["storyboard_demo.json", "storyboard_zh.json"])
def test_the_examples_are_storyboards(name: str) -> None:
    found = schema.read((EXAMPLES / name).read_bytes())
    assert found.metadata is not None
    assert found.character_bible is not None
    assert len(found.segments) in (2, 6)
