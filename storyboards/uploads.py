"""Start images: what people send to be the first frame of a shot, and where it lies afterwards."""

import os
import re
import secrets
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from PIL import Image

from cineflow.core.errors import Invalid, problem
from cineflow.core.files import write_atomically

URL_PREFIX = "/uploads/"
MAX_PIXELS = 50_000_000
CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

# MPO is a JPEG with a second picture behind the first, as many phones write it.
_EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "MPO": "jpg", "WEBP": "webp"}
_NAME = re.compile(r"[0-9a-f]{40}\.(?:png|jpg|webp)")
# Pillow's readers raise these for broken files, whatever its documentation says.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
)


def save(file: "UploadedFile[Any]") -> str:
    """Stores an image under a name that nobody can guess; returns that name."""
    raw = file.read()
    name = f"{secrets.token_hex(20)}.{extension(raw)}"
    write_atomically(_folder() / name, [raw])
    return name


def find(name: str) -> Path | None:
    """The stored file of that name, if it is a name that `save` gives and the file is there."""
    if not _NAME.fullmatch(name):
        return None
    path = _folder() / name
    return path if path.is_file() else None


def stored() -> Iterator[Path]:
    """All uploads. A name is of another shape while its file is being written."""
    return (path for path in _folder().glob("*") if _NAME.fullmatch(path.name))


def hold(name: str) -> bool:
    """Whether there is such an upload; if so, it counts as used from now on, and is not swept for a day."""
    path = find(name)
    if path is None:
        return False
    try:
        os.utime(path)
    except FileNotFoundError:  # swept in this very moment
        return False
    return True


def remove(name: str) -> None:
    (_folder() / name).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "uploads"


def extension(raw: bytes) -> str:
    """That of the format which the bytes have. The sender's name and content type say nothing.

    Raises `Invalid` for anything but a sound, still picture of bearable size.
    """
    try:
        with _open(raw) as image:
            _check(image)
            image.verify()  # the checksums of a PNG; decoding does not look at them
        with _open(raw) as image:
            image.load()
            return _EXTENSIONS[str(image.format)]
    except _BROKEN as error:
        raise _refusal("This is not a PNG, JPEG or WebP image, or it is damaged.") from error


def _open(raw: bytes) -> Image.Image:
    return Image.open(BytesIO(raw), formats=["PNG", "JPEG", "WEBP"])


def _check(image: Image.Image) -> None:
    """Before the pixels are decoded: a few kB can hold thousands of megapixels."""
    if image.width * image.height > MAX_PIXELS:
        raise _refusal(
            f"The image is {image.width} × {image.height} pixels; "
            f"at most {MAX_PIXELS // 1_000_000} megapixels are taken."
        )
    if image.format in ("PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
        raise _refusal("The image is animated; a start image is a single picture.")


def _refusal(msg: str) -> Invalid:
    return Invalid([problem(["file"], msg)])
