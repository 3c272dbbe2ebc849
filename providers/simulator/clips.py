"""Tiny MP4s that really play: the right pixel size and length in a few kilobytes."""

import struct
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path

import imageio_ffmpeg

_rendering = threading.Lock()


def clip(*, width: int, height: int, seconds: int, job_id: str) -> bytes:
    """The MP4 of one job. Blocks while ffmpeg runs: once per size and length in a process."""
    with _rendering:  # a burst of first downloads starts one ffmpeg, not fifty
        plain = _render(width, height, seconds)
    return plain + _free_box(job_id.encode())


def _free_box(payload: bytes) -> bytes:
    """Players skip a `free` box; it makes the files of two jobs differ, as real ones do."""
    return struct.pack(">I4s", 8 + len(payload), b"free") + payload


@cache
def _render(width: int, height: int, seconds: int) -> bytes:
    colour = f"color=c=0x2f6f8f:s={width}x{height}:r=2:d={seconds}"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "clip.mp4")
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", colour]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
        command += ["-movflags", "+faststart", str(target)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
        return target.read_bytes()
