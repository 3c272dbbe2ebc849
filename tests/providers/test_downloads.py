import hashlib
import socket
import time
from pathlib import Path

import pytest

from providers import downloads
from providers.base import HttpCall
from providers.downloads import redirected
from providers.errors import Code
from providers.http import Downloaded, DownloadError, Order, Transport
from tests.providers.downloading import downloaded
from tests.providers.far_end import (
    Behaviour,
    FarEnd,
    answer,
    far_end,
    hang_up,
    head,
    reset,
    say_nothing,
    send,
    trickle,
)

VIDEO = bytes(range(256)) * 1000
HALF = len(VIDEO) // 2
SHA256 = hashlib.sha256(VIDEO).hexdigest()
WHOLE = Downloaded(len(VIDEO), SHA256, "video/mp4")
TRANSPORT = Transport(timeout=10)


@pytest.fixture(autouse=True, params=[len(VIDEO), 1000], ids=["in memory", "in its file"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the video comes into memory first, or there is soon too much of it for that."""
    monkeypatch.setattr(downloads, "_SMALL_BYTES", request.param)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "take.mp4"


def fetch(
    url: str, target: Path, *, timeout: float = 20, max_bytes: int = 10_000_000
) -> Downloaded:
    secrets = {"Authorization": "Bearer sk-secret-key"}
    call = HttpCall("GET", url, secret_headers=secrets)
    return downloaded(TRANSPORT, call, target, timeout=timeout, max_bytes=max_bytes)


def video(content: bytes = VIDEO, status: str = "200 OK", **headers: str) -> Behaviour:
    return answer(content, status, content_type="video/mp4", **headers)


def cut(content: bytes = VIDEO, at: int = HALF, **headers: str) -> Behaviour:
    """Declares all of it and sends the beginning."""
    length = str(len(content))
    return send(head(content_type="video/mp4", content_length=length, **headers) + content[:at])


def part(start: int, content: bytes = VIDEO) -> Behaviour:
    extent = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return video(content[start:], "206 Partial Content", Content_Range=extent)


def ranges(there: FarEnd) -> list[tuple[str | None, str | None]]:
    return [(sent.headers.get("range"), sent.headers.get("if-range")) for sent in there.requests]


def keys(there: FarEnd) -> list[str | None]:
    return [sent.headers.get("authorization") for sent in there.requests]


# ---- whole or not at all -------------------------------------------------------------------------


def test_a_video_is_written_and_hashed(target: Path) -> None:
    with far_end(video()) as there:
        assert fetch(there.url, target) == WHOLE
    assert target.read_bytes() == VIDEO
    assert ranges(there) == [(None, None)]


def test_a_cut_transfer_goes_on_where_it_was_cut(target: Path) -> None:
    with far_end(cut(ETag='"one"'), part(HALF)) as there:
        assert fetch(there.url, target) == WHOLE
    assert target.read_bytes() == VIDEO
    assert ranges(there) == [(None, None), (f"bytes={HALF}-", '"one"')]


def test_a_date_will_do_where_there_is_no_strong_tag(target: Path) -> None:
    date = "Sun, 22 Nov 2026 10:00:00 GMT"
    with far_end(cut(ETag='W/"one"', Last_Modified=date), part(HALF)) as there:
        assert fetch(there.url, target) == WHOLE
    assert ranges(there)[1] == (f"bytes={HALF}-", date)


def test_without_anything_that_tells_versions_apart_it_begins_anew(target: Path) -> None:
    with far_end(cut(), video()) as there:
        assert fetch(there.url, target) == WHOLE
    assert ranges(there) == [(None, None), (None, None)]


@pytest.mark.parametrize("behaviour", [hang_up, reset], ids=["hung up", "reset"])
def test_a_connection_that_breaks_at_once_is_tried_again(
    behaviour: Behaviour, target: Path
) -> None:
    with far_end(behaviour, video()) as there:
        assert fetch(there.url, target) == WHOLE


def test_a_file_that_changed_meanwhile_is_taken_from_its_beginning(target: Path) -> None:
    longer = VIDEO + b"and more"
    with far_end(cut(longer, ETag='"one"'), video(VIDEO, ETag='"two"')) as there:
        assert fetch(there.url, target) == WHOLE
    assert target.read_bytes() == VIDEO


def test_a_file_that_became_shorter_is_taken_from_its_beginning(target: Path) -> None:
    gone = answer(b"", "416 Range Not Satisfiable", Content_Range="bytes */10")
    with far_end(cut(ETag='"one"'), gone, video()) as there:
        assert fetch(there.url, target) == WHOLE
    assert ranges(there)[2] == (None, None)


def test_a_part_that_was_not_asked_for_is_not_glued_on(target: Path) -> None:
    with far_end(cut(ETag='"one"'), part(HALF + 7), video()) as there:
        assert fetch(there.url, target) == WHOLE
    assert target.read_bytes() == VIDEO


def test_a_transfer_that_is_always_cut_ends(target: Path) -> None:
    with far_end(cut()) as there, pytest.raises(DownloadError, match="after 5 tries") as caught:
        fetch(there.url, target)
    assert caught.value.failure.code is Code.DOWNLOAD_FAILED
    assert not caught.value.gone
    assert len(there.requests) == 5


@pytest.mark.parametrize(
    "behaviour",
    [say_nothing, trickle(head(content_length="1000000")), trickle(head())],
    ids=["silence", "a byte at a time", "a byte at a time without a length"],
)
def test_the_deadline_holds(behaviour: Behaviour, target: Path) -> None:
    with far_end(behaviour) as there, pytest.raises(DownloadError, match="in the time"):
        fetch(there.url, target, timeout=0.4)


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "gone"),
    [("401 No", False), ("403 No", False), ("404 No", True), ("410 No", True), ("500 No", False)],
)
def test_an_error_is_told_and_not_asked_for_again(status: str, gone: bool, target: Path) -> None:
    with far_end(answer(b"{}", status)) as there, pytest.raises(DownloadError) as caught:
        fetch(there.url, target)
    assert caught.value.gone is gone
    assert caught.value.failure.http_status == int(status[:3])
    assert len(there.requests) == 1


def test_a_busy_provider_says_when_to_come_again(target: Path) -> None:
    behaviour = answer(b"", "429 Slow Down", Retry_After="7")
    with far_end(behaviour) as there, pytest.raises(DownloadError) as caught:
        fetch(there.url, target)
    assert caught.value.failure.retry_after == 7


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (answer(b"<html>", content_type="text/html; charset=utf-8"), "page of text"),
        (answer(b"{}", content_type="application/json"), "page of text"),
        (video(b""), "empty file"),
        (video(content_encoding="gzip"), "encoding"),
        (send(head("206 Partial Content")), "did not say which"),
    ],
    ids=["html", "json", "empty", "compressed", "some part"],
)
def test_what_is_no_video_is_refused(behaviour: Behaviour, text: str, target: Path) -> None:
    with far_end(behaviour) as there, pytest.raises(DownloadError, match=text):
        fetch(there.url, target)


@pytest.mark.parametrize(
    "behaviour", [video(), send(head() + VIDEO)], ids=["declared", "not declared"]
)
def test_a_video_that_is_too_long_is_refused(behaviour: Behaviour, target: Path) -> None:
    with far_end(behaviour) as there, pytest.raises(DownloadError, match="longer than the 1000"):
        fetch(there.url, target, max_bytes=1000)


# ---- redirects -----------------------------------------------------------------------------------


def redirect(to: str) -> Behaviour:
    return answer(b"", "302 Found", Location=to)


def test_the_key_stays_at_its_own_origin(target: Path) -> None:
    with far_end(video()) as storage, far_end(redirect(storage.url)) as there:
        assert fetch(there.url, target) == WHOLE
    assert keys(there) == ["Bearer sk-secret-key"]
    assert keys(storage) == [None]


def test_the_key_goes_along_within_its_origin(target: Path) -> None:
    with far_end(redirect("/v2/file"), video()) as there:
        assert fetch(there.url, target) == WHOLE
    assert there.lines == ["GET /v1/videos HTTP/1.1", "GET /v2/file HTTP/1.1"]
    assert keys(there) == ["Bearer sk-secret-key"] * 2


def test_a_stranger_cannot_send_the_key_back_to_where_it_belongs(target: Path) -> None:
    with (
        far_end(lambda connection: back(connection)) as stranger,
        far_end(redirect(stranger.url), video()) as there,
    ):
        back = redirect(there.url + "/of/the/strangers/choice")
        assert fetch(there.url, target) == WHOLE
    assert keys(stranger) == [None]
    assert keys(there) == ["Bearer sk-secret-key", None]


def test_a_resumed_download_asks_the_first_address_with_the_key(target: Path) -> None:
    with far_end(cut(ETag='"one"'), part(HALF)) as storage, far_end(redirect(storage.url)) as there:
        assert fetch(there.url, target) == WHOLE
    assert keys(there) == ["Bearer sk-secret-key"] * 2
    assert keys(storage) == [None, None]


def test_redirects_without_end_are_given_up(target: Path) -> None:
    with far_end(redirect("/again")) as there, pytest.raises(DownloadError, match="too often"):
        fetch(there.url, target)
    assert len(there.requests) == 6


@pytest.mark.parametrize(
    "location",
    ["", "http://cdn.example/v", "ftp://a/v", "file:///etc/passwd", "https://:x/"],
)
def test_a_redirect_that_is_not_followed(location: str) -> None:
    with pytest.raises(DownloadError, match="redirects"):
        redirected("https://api.example/v1", location)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2#part", "https://api.example/v2"),
        ("//cdn.example/v", "https://cdn.example/v"),
        ("https://cdn.example/v?sig=a%2Fb", "https://cdn.example/v?sig=a%2Fb"),
    ],
)
def test_a_redirect_that_is_followed(location: str, url: str) -> None:
    assert redirected("https://api.example/v1", location) == url


# ---- here ----------------------------------------------------------------------------------------


def test_a_full_disk_is_not_taken_for_a_broken_wire(tmp_path: Path) -> None:
    with far_end(video()) as there, pytest.raises(OSError, match="No such file"):
        fetch(there.url, tmp_path / "absent" / "take.mp4")
    assert len(there.requests) == 1


def test_the_time_of_a_download_begins_when_its_turn_has_come(tmp_path: Path) -> None:
    transport = Transport(timeout=10, downloads=1)

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.6)
        video()(connection)

    with far_end(slowly) as there:
        call = HttpCall("GET", there.url)
        orders = [
            Order(call, tmp_path / f"{number}.mp4", 2.5, 10**7, lambda done: done)
            for number in range(5)
        ]
        found = [future.result(10) for future in transport.download_all(orders)]
    transport.close()
    assert found == [WHOLE] * 5
