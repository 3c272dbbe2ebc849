"""Renders a shot as an animatic: a playable clip to judge timing by, before anything is paid."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg

from providers.preview.card import (
    LAYOUTS,
    Layout,
    Shot,
    draw_bar,
    draw_still,
    draw_timecode,
)

# One frame a tenth of a second: the timecode shows tenths, so none is skipped or shown twice.
FRAME_RATE = 10
LONGEST_SECONDS = 25
KEYFRAME_SECONDS = 5
HOW_TO_GET_FFMPEG = (
    "install one, reinstall the imageio-ffmpeg package, or let IMAGEIO_FFMPEG_EXE name one."
)


class RenderError(Exception):
    """No clip was made; the message tells an operator why and what to do."""


def render_clip(
    *,
    prompt: str,
    segment_index: int,
    take: int,
    resolution: str,
    seconds: int,
    target: Path,
    timeout: float,
) -> None:
    """Writes an H.264 MP4 of exactly `seconds` to `target`, or raises RenderError and writes none.

    `resolution` is "horizontal" (1280x720) or "vertical" (720x1280); `seconds` is 1 to 25;
    `timeout` is in seconds of wall time. The folder of `target` must exist.
    """
    if resolution not in LAYOUTS:
        raise RenderError(f"No resolution {resolution!r}; ask for one of {', '.join(LAYOUTS)}.")
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise RenderError(f"Cannot preview {seconds} s; ask for 1 to {LONGEST_SECONDS} s.")
    shot = Shot(prompt=prompt, number=segment_index, take=take, seconds=seconds)
    executable = _find_ffmpeg()
    try:
        # Next to the target, so that the finished clip appears there in one step.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".preview-") as folder:
            clip = _render_in(Path(folder), executable, shot, LAYOUTS[resolution], timeout)
            clip.replace(target)
    except OSError as error:
        raise RenderError(
            f"The preview could not be written ({error.strerror}): "
            "check that its folder exists, is writable and has space."
        ) from error


def _find_ffmpeg() -> str:
    try:
        return shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise RenderError(f"No ffmpeg was found: {HOW_TO_GET_FFMPEG}") from error


def _render_in(folder: Path, executable: str, shot: Shot, layout: Layout, timeout: float) -> Path:
    draw_still(shot, layout).save(folder / "still.ppm")
    draw_bar(shot, layout).save(folder / "bar.ppm")
    command = [executable, *_arguments(shot, layout)]
    _run(command, folder, b"".join(_timecodes(shot, layout)), timeout)
    return folder / "clip.mp4"


def _timecodes(shot: Shot, layout: Layout) -> Iterator[bytes]:
    for frame in range(shot.seconds * FRAME_RATE):
        yield draw_timecode(frame * 10 // FRAME_RATE, layout).tobytes()


def _run(command: list[str], folder: Path, frames: bytes, timeout: float) -> None:
    try:
        # Inside the folder, so that no path can be read as a pattern, a protocol or an option.
        subprocess.run(
            command, cwd=folder, input=frames, capture_output=True, timeout=timeout, check=True
        )
    except OSError as error:
        raise RenderError(
            f"ffmpeg could not be started ({error.strerror}): {HOW_TO_GET_FFMPEG}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RenderError(
            f"ffmpeg was stopped after {timeout:g} s: let fewer previews render side by side, "
            "or allow more time."
        ) from error
    except subprocess.CalledProcessError as error:
        tail = error.stderr.decode(errors="replace").strip()[-500:]
        raise RenderError(
            f"ffmpeg ended with code {error.returncode}; it must be able to encode with libx264. "
            f"Its last words: {tail}"
        ) from error


def _arguments(shot: Shot, layout: Layout) -> list[str]:
    """Everything is our own numbers and names: a prompt reaches ffmpeg as pixels only."""
    rate, size = str(FRAME_RATE), "{}x{}".format(*layout.timecode_size)
    return [
        *("-nostdin", "-hide_banner", "-loglevel", "error", "-filter_threads", "1"),
        *("-framerate", rate, "-i", "still.ppm"),
        *("-framerate", rate, "-i", "bar.ppm"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-framerate", rate, "-i", "pipe:0"),
        *("-filter_complex", _filters(shot, layout), "-map", "[out]"),
        *("-frames:v", str(shot.seconds * FRAME_RATE)),
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "stillimage", "-crf", "24"),
        *("-g", str(FRAME_RATE * KEYFRAME_SECONDS), "-threads", "1"),
        # As the filters do already: an old ffmpeg (4.2) heeds only these options.
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-movflags", "+faststart", "clip.mp4"),
    ]


def _filters(shot: Shot, layout: Layout) -> str:
    bar_x, bar_y = layout.bar_at
    time_x, time_y = layout.timecode_at
    width, last = layout.inner_width, shot.seconds * FRAME_RATE - 1
    video = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    return (
        f"[0:v]{video},loop=-1:1[still];"
        f"[1:v]loop=-1:1,crop={width}:{layout.bar_height}:{width}-{width}*n/{last}:0,{video}[bar];"
        f"[2:v]{video}[time];"
        f"[still][bar]overlay={bar_x}:{bar_y}[with_bar];"
        f"[with_bar][time]overlay={time_x}:{time_y}:shortest=1,"
        "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709[out]"
    )
