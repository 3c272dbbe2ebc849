"""Reading a list of models as OpenRouter publishes it; its entries are as public clients recorded them in 2026."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cineflow.core.errors import Invalid
from providers import model_lists
from providers.model_lists import ListedModel

RECORDED = (Path(__file__).parent.parent / "wire/model_lists/openrouter.json").read_bytes()


def listed(name: str, **changes: Any) -> ListedModel:
    """A model of the recorded list, with some of its fields changed."""
    (entry,) = [each for each in json.loads(RECORDED)["data"] if each["id"] == name]
    (model,) = model_lists.read(json.dumps({"data": [entry | changes]}).encode())
    return model


def problems(data: Any) -> list[tuple[str, str]]:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(Invalid) as refused:
        model_lists.read(raw)
    assert refused.value.details
    return [
        (".".join(map(str, error["loc"])), error["msg"])
        for error in refused.value.details["errors"]
    ]


def test_a_model_is_read_into_our_words() -> None:
    assert listed("google/veo-3.1-lite") == ListedModel(
        name="google/veo-3.1-lite",
        durations=(4, 6, 8),
        resolutions=("horizontal", "vertical"),
        takes_image=True,
        labels=("720p", "1080p"),
        makes_audio=True,
        skus={
            "duration_seconds_with_audio": Decimal("0.08"),
            "duration_seconds_without_audio": Decimal("0.05"),
            "duration_seconds_with_audio_720p": Decimal("0.05"),
            "duration_seconds_without_audio_720p": Decimal("0.03"),
        },
    )


def test_sizes_tell_the_shapes_where_the_list_names_none() -> None:
    assert listed("alibaba/wan-2.6").resolutions == ("horizontal",)
    sizes = {"supported_sizes": ["720x1280", "auto"]}
    assert listed("alibaba/wan-2.6", **sizes).resolutions == ("vertical",)
    assert listed("alibaba/wan-2.6", supported_sizes=None).resolutions is None


def test_what_makes_no_shot_says_why() -> None:
    found = {model.name: model.why_unusable for model in model_lists.read(RECORDED)}
    assert {name: why for name, why in found.items() if why} == {
        "runway/aleph-2": "takes no length: it edits or upscales",
        "maker/square": "makes neither 16:9 nor 9:16",
    }


def test_a_picture_needs_a_first_frame() -> None:
    assert not listed("alibaba/wan-2.6").takes_image
    assert not listed("google/veo-3.1", supported_frame_images=["last_frame"]).takes_image
    assert not listed("google/veo-3.1", supported_frame_images=None).takes_image


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("google/veo-3.1", "720p", "720p"),
        ("google/veo-3.1", "4k", "4k"),
        ("minimax/hailuo-3", "720p", "2K"),
        ("x-ai/grok-imagine-video", "1080p", "720p"),
        ("maker/unpriced", "1080p", "1080p"),
    ],
)
def test_the_label_is_the_wanted_one_or_the_next_best(
    name: str, wanted: str, expected: str
) -> None:
    assert listed(name).label(wanted) == expected


def test_labels_that_nobody_knows_are_taken_as_they_come() -> None:
    assert listed("google/veo-3.1", supported_resolutions=["HD+", "8K"]).label("720p") == "HD+"


@pytest.mark.parametrize(
    ("name", "label", "audio", "price"),
    [
        ("google/veo-3.1", "720p", None, "0.40"),
        ("google/veo-3.1", "720p", False, "0.20"),
        ("google/veo-3.1", "4K", None, "0.60"),
        ("google/veo-3.1", "4K", False, "0.40"),
        ("google/veo-3.1-lite", "720p", True, "0.05"),
        ("google/veo-3.1-lite", "720p", False, "0.03"),
        ("google/veo-3.1-lite", "1080p", True, "0.08"),
        ("google/veo-3.1-lite", "1080p", False, "0.05"),
        # 1280 × 720 × 24 / 1024 = 21,600 tokens a second
        ("bytedance/seedance-2.0", "720p", None, "0.1512"),
        ("bytedance/seedance-2.0", "720p", False, "0.1296"),
        ("bytedance/seedance-2.0", "HD+", None, None),
        ("minimax/hailuo-3", "2K", None, "0.13"),
        ("x-ai/grok-imagine-video", "480p", None, "0.05"),
        ("x-ai/grok-imagine-video", "720p", None, "0.07"),
        ("runway/gen-4.5", "720p", None, "0.12"),
        ("alibaba/wan-2.6", "720p", None, "0.10"),
        ("alibaba/wan-2.6", "480p", None, "0.04"),
        ("alibaba/wan-2.6", "1080p", None, None),
        ("maker/unpriced", "720p", None, None),
    ],
)
def test_the_price_of_a_second(
    name: str, label: str, audio: bool | None, price: str | None
) -> None:
    found = listed(name).price_per_second(label, audio)
    assert found == (None if price is None else Decimal(price))


def test_a_price_of_its_own_for_a_picture_is_taken_when_it_is_higher() -> None:
    kling = {
        "duration_seconds": "0.084",
        "duration_seconds_with_audio": "0.126",
        "text_to_video_duration_seconds_720p": "0.084",
        "image_to_video_duration_seconds_720p": "0.09",
    }
    model = listed("google/veo-3.1", pricing_skus=kling)
    assert model.price_per_second("720p", False) == Decimal("0.09")
    assert model.price_per_second("720p", None) == Decimal("0.126")


@pytest.mark.parametrize("price", ["-1", "nan", "Infinity", "free", "", "100000", "1e9", True])
def test_a_price_that_is_none_is_refused(price: Any) -> None:
    where, _ = problems({"data": [entry(pricing_skus={"duration_seconds": price})]})[0]
    assert where.startswith("data.0.pricing_skus.duration_seconds")


def entry(**changes: Any) -> dict[str, Any]:
    return {"id": "a/b", "supported_durations": [5], **changes}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", ""),
        (b"<html>", ""),
        (b'{"data": [], "data": []}', "data"),
        (b'{"data": [{"id": "a", "id": "b"}]}', "data.0.id"),
        (b'{"data": [NaN]}', "data.0"),
        ([], ""),
        ({}, "data"),
        ({"data": {}}, "data"),
        ({"data": []}, "data"),
        ({"data": [1]}, "data.0"),
        ({"data": [{}]}, "data.0.id"),
        ({"data": [entry(id=5)]}, "data.0.id"),
        ({"data": [entry(id="")]}, "data.0.id"),
        ({"data": [entry(id="a\tb")]}, "data.0.id"),
        ({"data": [entry(id=" a")]}, "data.0.id"),
        ({"data": [entry(id="x" * 256)]}, "data.0.id"),
        ({"data": [entry(), entry()]}, "data.1.id"),
        ({"data": [{"id": "a/b"}]}, "data.0.supported_durations"),
        ({"data": [entry(supported_durations=[])]}, "data.0.supported_durations"),
        ({"data": [entry(supported_durations=["5"])]}, "data.0.supported_durations.0"),
        ({"data": [entry(supported_durations=[5.5])]}, "data.0.supported_durations.0"),
        ({"data": [entry(supported_durations=[0])]}, "data.0.supported_durations.0"),
        ({"data": [entry(supported_durations=[3601])]}, "data.0.supported_durations.0"),
        ({"data": [entry(supported_durations="5")]}, "data.0.supported_durations"),
        ({"data": [entry(supported_resolutions=[""])]}, "data.0.supported_resolutions.0"),
        ({"data": [entry(supported_aspect_ratios="16:9")]}, "data.0.supported_aspect_ratios"),
        ({"data": [entry(generate_audio="yes")]}, "data.0.generate_audio"),
        ({"data": [entry(pricing_skus=[])]}, "data.0.pricing_skus"),
        ({"data": [entry(pricing_skus={"a": None})]}, "data.0.pricing_skus.a"),
    ],
)
def test_bad_lists_are_refused_with_the_place(data: Any, where: str) -> None:
    # A value of two kinds is refused once for each, below its own place.
    assert f"{problems(data)[0][0]}.".startswith(f"{where}.")


def test_all_problems_are_told_at_once() -> None:
    data = [entry(supported_durations=["5"]), {"supported_durations": None}, entry(id=None)]
    assert len(problems({"data": data})) == 3


def test_what_the_list_may_grow_is_not_looked_at() -> None:
    (model,) = model_lists.read(
        json.dumps({"data": [entry(new_field={"deep": [1]})], "next": None}).encode()
    )
    assert (model.name, model.durations, model.resolutions) == ("a/b", (5,), None)
