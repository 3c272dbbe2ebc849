import re
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from cineflow.core import ids
from tests.storyboards.conftest import picture

pytestmark = pytest.mark.django_db


def send(api: APIClient, segment_url: str, raw: bytes, name: str = "a.png") -> Any:
    form = {"file": SimpleUploadedFile(name, raw, "text/html")}
    return api.post(f"{segment_url}/assets/start-image", form, format="multipart")


def animated(kind: str) -> bytes:
    file = BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def claims_to_be(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises so many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize(
    ("kind", "suffix", "content_type"),
    [("PNG", "png", "image/png"), ("JPEG", "jpg", "image/jpeg"), ("WEBP", "webp", "image/webp")],
)
def test_an_image_is_known_by_its_content(
    kind: str, suffix: str, content_type: str, api: APIClient, segment_url: str
) -> None:
    raw = picture(kind)
    answer = send(api, segment_url, raw, "evil.html")
    url = answer.json()["image_url"]
    assert (answer.status_code, list(answer.json())) == (200, ["image_url"])
    assert re.fullmatch(rf"/uploads/[0-9a-f]{{40}}\.{suffix}", url)
    assert api.get(segment_url).json()["image_url"] == url
    served: Any = api.get(url)
    assert (served.status_code, served["Content-Type"]) == (200, content_type)
    assert b"".join(served.streaming_content) == raw


def test_an_upload_is_served_for_ever_and_as_nothing_but_an_image(
    api: APIClient, segment_url: str, settings: Settings
) -> None:
    raw = picture()
    url = send(api, segment_url, raw).json()["image_url"]
    settings.AUTH_TOKEN = "secret"
    answer = api.head(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Length"] == str(len(raw))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"


def test_an_upload_can_be_sent_back_as_the_image_of_a_segment(
    api: APIClient, segment_url: str
) -> None:
    url = send(api, segment_url, picture()).json()["image_url"]
    api.patch(segment_url, {"image_url": None})
    for spelling in (url, f"http://testserver{url}"):
        answer = api.patch(segment_url, {"image_url": spelling})
        assert answer.json()["image_url"] == url


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GIF89a",
        b"<svg/>",
        picture("GIF"),
        picture("BMP"),
        picture("TIFF"),
        picture("PNG")[:-20],
        picture("JPEG", (64, 64))[:-200],
        picture("WEBP", (64, 64))[:-20],
        picture("PNG")[:33],
        b"\xff\xd8\xff",
        b"RIFF\x04\x00\x00\x00WEBP",
        animated("PNG"),
        animated("WEBP"),
        claims_to_be(10_000, 6_000),
        claims_to_be(0, 10),
    ],
)
def test_what_is_no_single_picture_is_refused(
    raw: bytes, api: APIClient, segment_url: str, data_dir: Path
) -> None:
    answer = send(api, segment_url, raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert answer.json()["details"]["errors"][0]["loc"] == ["file"]
    assert api.get(segment_url).json()["image_url"] is None
    assert not (data_dir / "uploads").exists()


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(12_000, 12_000), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_that_would_fill_the_memory_is_refused(
    size: tuple[int, int], api: APIClient, segment_url: str
) -> None:
    assert send(api, segment_url, claims_to_be(*size)).status_code == 400


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_no_damage_to_an_image_breaks_anything(kind: str, api: APIClient, segment_url: str) -> None:
    raw = picture(kind, (16, 16))
    for place in range(0, len(raw), max(1, len(raw) // 60)):
        for damage in (b"\x00", b"\xff", b"\x80\x80\x80\x80"):
            broken = raw[:place] + damage + raw[place + len(damage) :]
            assert send(api, segment_url, broken).status_code in (200, 400), (place, damage)


def test_a_picture_of_a_phone_with_a_second_one_inside_is_a_jpeg(
    api: APIClient, segment_url: str
) -> None:
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(
        file, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))]
    )
    assert send(api, segment_url, file.getvalue()).json()["image_url"].endswith(".jpg")


def test_an_image_for_no_segment_is_not_stored(api: APIClient, db: None, data_dir: Path) -> None:
    for name in (ids.show("seg", ids.new_id()), "seg_1"):
        answer = send(api, f"/api/v1/segments/{name}", picture())
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not (data_dir / "uploads").exists()


def test_an_image_past_the_limit_is_too_large(
    api: APIClient, segment_url: str, settings: Settings
) -> None:
    settings.MAX_UPLOAD_BYTES = 50
    answer = send(api, segment_url, picture())
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "name", ["x", "x.png", "f" * 40 + ".png", "%2e%2e%2fsecret-key", "..%2f..%2fx", "%00", "é"]
)
def test_no_other_file_is_served(name: str, api: APIClient, data_dir: Path) -> None:
    (data_dir / "secret-key").write_text("x")
    answer = api.get(f"/uploads/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_upload_that_a_browser_has_is_not_sent_again(api: APIClient, segment_url: str) -> None:
    url = send(api, segment_url, picture()).json()["image_url"]
    etag = api.head(url)["ETag"]
    answer = api.get(url, HTTP_IF_NONE_MATCH=etag)
    assert (answer.status_code, answer.content) == (304, b"")
