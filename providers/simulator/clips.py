"""Tiny MP4s that really play: the right pixel size and length in a few kilobytes."""

import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import imageio_ffmpeg

# By width, height and seconds.
_rendered: dict[tuple[int, int, int], bytes] = {}
_rendering = threading.Lock()


def is_rendered(*, width: int, height: int, seconds: int) -> bool:
    """Whether `clip` has nothing to wait for."""
    return (width, height, seconds) in _rendered


def clip(*, width: int, height: int, seconds: int, job_id: str) -> bytes:
    """The MP4 of one job. Blocks while ffmpeg runs: once per size and length in a process."""
    key = width, height, seconds
    if key not in _rendered:
        with _rendering:  # a burst of first downloads starts one ffmpeg, not fifty
            if key not in _rendered:
                _rendered[key] = _render(*key)
    return _rendered[key] + _free_box(job_id.encode())


def _free_box(payload: bytes) -> bytes:
    """Players skip a `free` box; it makes the files of two jobs differ, as real ones do."""
    return struct.pack(">I4s", 8 + len(payload), b"free") + payload


def _render(width: int, height: int, seconds: int) -> bytes:
    colour = f"color=c=0x2f6f8f:s={width}x{height}:r=2:d={seconds}"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "clip.mp4")
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", colour]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
        command += ["-movflags", "+faststart", str(target)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
        return target.read_bytes()
