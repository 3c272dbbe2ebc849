import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TypedDict, Unpack

import imageio_ffmpeg
import pytest
from PIL import Image, ImageChops

from providers.preview.card import LAYOUTS, Shot, accent, draw_still
from providers.preview.render import RenderError, render_clip


class Asked(TypedDict, total=False):
    prompt: str
    segment_index: int
    take: int
    resolution: str
    seconds: int
    timeout: float


def render(target: Path, **asked: Unpack[Asked]) -> Path:
    defaults: Asked = {
        "prompt": "A door closes. 门关上了。",
        "segment_index": 12,
        "take": 1,
        "resolution": "horizontal",
        "seconds": 1,
        "timeout": 60,
    }
    render_clip(**(defaults | asked), target=target)
    return target


def describe(clip: Path) -> str:
    """What ffmpeg says of a file; it ends with code 1, because nothing is to be written."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-i", str(clip)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def frames(clip: Path) -> list[Image.Image]:
    """The pictures of a horizontal clip."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", str(clip)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    length = 1280 * 720 * 3
    parts = (shown[start : start + length] for start in range(0, len(shown), length))
    return [Image.frombytes("RGB", (1280, 720), part) for part in parts]


def put_ffmpeg_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    executable = folder / "ffmpeg"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder for clips and nothing else, so that a test can say that nothing is left in it."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("seconds", [1, 3])
def test_a_clip_lasts_exactly_as_long_as_asked(out: Path, seconds: int) -> None:
    described = describe(render(out / "clip.mp4", seconds=seconds))
    assert re.findall(r"Duration: ([\d:.]+), start: ([\d.]+)", described) == [
        (f"00:00:0{seconds}.00", "0.000000")
    ]


@pytest.mark.parametrize(
    ("resolution", "size"), [("horizontal", "1280x720"), ("vertical", "720x1280")]
)
def test_a_clip_is_h264_of_the_size_of_its_resolution(
    out: Path, resolution: str, size: str
) -> None:
    described = describe(render(out / "clip.mp4", resolution=resolution))
    assert re.findall(r"Video: (\w+).*?(\w+)\(tv, bt709\b.*?(\d+x\d+)", described) == [
        ("h264", "yuv420p", size)
    ]


def test_a_clip_can_be_played_before_it_is_loaded_to_its_end(out: Path) -> None:
    content = render(out / "clip.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_only_the_clip_is_left_in_its_folder(out: Path) -> None:
    render(out / "clip.mp4")
    assert [path.name for path in out.iterdir()] == ["clip.mp4"]


def test_a_folder_whose_name_means_something_to_ffmpeg_is_only_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "-i %03d:'pipe"
    folder.mkdir()
    assert render(folder / "clip.mp4").stat().st_size > 0


def test_the_bar_grows_from_empty_to_full(out: Path) -> None:
    layout = LAYOUTS["horizontal"]
    x, y = layout.bar_at
    ends = [(x + 8, y + 6), (x + layout.inner_width - 8, y + 6)]
    shown = frames(render(out / "clip.mp4", segment_index=12))
    filled = [[near(frame.getpixel(end), accent(12)) for end in ends] for frame in shown]
    assert (filled[0], filled[len(shown) // 2], filled[-1]) == (
        [False, False],
        [True, False],
        [True, True],
    )


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 16 for a, b in zip(pixel, colour, strict=True))


def test_the_timecode_differs_in_every_frame(out: Path) -> None:
    layout = LAYOUTS["horizontal"]
    (x, y), (width, height) = layout.timecode_at, layout.timecode_size
    box = (x, y, x + width, y + height)
    timecodes = [frame.crop(box) for frame in frames(render(out / "clip.mp4"))]
    assert [is_same_picture(*pair) for pair in pairwise(timecodes)] == [False] * 9


def is_same_picture(one: Image.Image, other: Image.Image) -> bool:
    """The same but for what the encoder lost, which is far less than a stroke of a digit."""
    _, most = ImageChops.difference(one, other).convert("L").getextrema()
    assert isinstance(most, int | float)
    return most < 60


@pytest.mark.parametrize("resolution", LAYOUTS)
@pytest.mark.parametrize("text", ["word ", "unbroken", "一个长镜头。", "line\n"])
def test_the_longest_prompt_stays_inside_its_card(resolution: str, text: str) -> None:
    layout = LAYOUTS[resolution]
    prompt = (text * 32_000)[:32_000]
    empty, full = (draw_still(Shot(words, 1, 1, 4), layout) for words in ("", prompt))
    changed = ImageChops.difference(empty, full).getbbox()
    left, top, right, bottom = layout.card_box
    assert changed
    assert left + 40 <= changed[0] < changed[2] <= right - 40
    assert top + 16 <= changed[1] < changed[3] <= bottom - 16


def test_the_longest_prompt_and_the_largest_numbers_render(out: Path) -> None:
    clip = render(out / "clip.mp4", prompt="长 long " * 4000, segment_index=2**31 - 1, take=99)
    assert len(frames(clip)) == 10


@pytest.mark.parametrize(
    "prompt", ["", " \n ", "👨‍👩‍👧 ❤️ 한국어 عربي", "\x00\ud800\u202e\ufeff", "\U0010ffff"]
)
def test_what_the_font_cannot_draw_does_no_harm(prompt: str) -> None:
    assert draw_still(Shot(prompt, 1, 1, 4), LAYOUTS["vertical"]).size == (720, 1280)


@pytest.mark.parametrize("changed", [Shot("", 2, 1, 4), Shot("", 1, 2, 4), Shot("", 1, 1, 5)])
def test_the_card_shows_the_shot_the_take_and_the_length(changed: Shot) -> None:
    layout = LAYOUTS["horizontal"]
    assert draw_still(changed, layout) != draw_still(Shot("", 1, 1, 4), layout)


def test_a_stuck_ffmpeg_is_killed_at_the_timeout_and_leaves_nothing(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_ffmpeg_on_path(monkeypatch, tmp_path, f"echo $$ > '{tmp_path}/pid'; exec sleep 60")
    with pytest.raises(RenderError, match=r"ffmpeg was stopped after 1 s: .* allow more time"):
        render(out / "clip.mp4", timeout=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert list(out.iterdir()) == []


def test_a_failed_ffmpeg_is_quoted_and_leaves_nothing(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_ffmpeg_on_path(monkeypatch, tmp_path, "echo half > clip.mp4; echo no libx264 >&2; exit 3")
    with pytest.raises(RenderError, match=r"ended with code 3; .* last words: no libx264$"):
        render(out / "clip.mp4")
    assert list(out.iterdir()) == []


def test_an_ffmpeg_that_is_not_there_is_an_error_that_says_what_to_do(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(out))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(out / "missing"))
    with pytest.raises(RenderError, match=r"could not be started .*: install one"):
        render(out / "clip.mp4")
    assert list(out.iterdir()) == []


def test_a_library_without_its_ffmpeg_is_an_error_that_says_what_to_do(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_none() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setenv("PATH", str(out))
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", find_none)
    with pytest.raises(RenderError, match="No ffmpeg was found: install one"):
        render(out / "clip.mp4")


def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_do(out: Path) -> None:
    with pytest.raises(RenderError, match="check that its folder exists"):
        render(out / "missing" / "clip.mp4")


@pytest.mark.parametrize("seconds", [0, 26])
def test_a_length_out_of_range_is_refused(out: Path, seconds: int) -> None:
    with pytest.raises(RenderError, match="ask for 1 to 25 s"):
        render(out / "clip.mp4", seconds=seconds)


def test_an_unknown_resolution_is_refused(out: Path) -> None:
    with pytest.raises(RenderError, match="ask for one of horizontal, vertical"):
        render(out / "clip.mp4", resolution="square")
