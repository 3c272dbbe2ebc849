"""A segment's start image as a provider takes it: bytes of the right size, or an address that it can reach."""

import hashlib
import io
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings
from django.core import signing
from PIL import Image, ImageOps

from cineflow.core.errors import Invalid
from cineflow.core.files import write_atomically
from providers.base import ImageInput, StartImage
from providers.outside import NotFetched, fetch
from providers.proxies import Proxies
from storyboards import uploads

# For the fetch alone; a submit is sent soon after its attempt is made or not at all, and then finds the picture here.
FETCH_SECONDS = 20.0
KEPT_SECONDS = 24 * 3600
PUBLIC_FOR_SECONDS = 48 * 3600
_SALT = "start-image"
_QUALITIES = (95, 85, 75, 60)
_SMALLEST = 64  # pixels; below, a picture is none


class Unusable(Exception):
    """The image cannot be brought to the provider; the text says why, and what to do.

    `temporary`: another try may go well.
    """

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary


def load(
    image_url: str | None,
    *,
    inputs: Sequence[ImageInput],
    size: tuple[int, int] | None = None,
    max_bytes: int | None = None,
) -> StartImage | None:
    """The image in one of the ways of `inputs`, cut to `size` (width, height) where one is asked for.

    An outside address goes to a provider that takes one as it is; for any other its picture is fetched. Raises
    `Unusable`.
    """
    if not image_url:
        return None
    if not inputs:
        raise Unusable("The model takes no start image.")
    ours = image_url.startswith(uploads.URL_PREFIX)
    if ImageInput.URL in inputs and not ours:
        return StartImage(url=image_url)
    path = _path(image_url)
    reachable = ImageInput.URL in inputs and bool(settings.PUBLIC_BASE_URL)
    as_bytes = any(how != ImageInput.URL for how in inputs)
    # What is too large to go along is better fetched than made smaller.
    fits = max_bytes is None or path.stat().st_size <= max_bytes
    if as_bytes and (fits or not reachable):
        return _as_bytes(path, size, max_bytes)
    if reachable:
        return StartImage(url=public_url(path.name, size))
    raise Unusable(
        "The provider fetches start images itself and cannot reach this server. Set PUBLIC_BASE_URL to an "
        "address at which it can, or give the segment the public address of the image."
    )


# ---- where the bytes are -----------------------------------------------------------------------------


def _path(image_url: str) -> Path:
    """The file of an upload, or of a picture that was fetched."""
    if not image_url.startswith(uploads.URL_PREFIX):
        return _fetched(image_url)
    path = uploads.find(image_url.removeprefix(uploads.URL_PREFIX))
    if path is None:
        raise Unusable("The uploaded start image is gone. Upload it again, then retry.")
    return path


def _fetched(url: str) -> Path:
    """Fetched once a day and kept: ten takes of a shot ask its host once."""
    stem = hashlib.sha256(url.encode()).hexdigest()
    kept = next(_folder().glob(f"{stem}.*"), None)
    if kept and _age(kept) < KEPT_SECONDS:
        return kept
    try:
        raw = fetch(
            url,
            timeout=FETCH_SECONDS,
            max_bytes=settings.MAX_UPLOAD_BYTES,
            proxies=Proxies.from_environment(os.environ),
        )
        kind = uploads.extension(raw)
    except NotFetched as error:
        message = f"The start image cannot be fetched: {error}. Upload it, or correct its address."
        raise Unusable(message, temporary=error.temporary) from error
    except Invalid as error:
        message = "What is at the start image's address is not a PNG, JPEG or WebP image."
        raise Unusable(message) from error
    path = _folder() / f"{stem}.{kind}"
    write_atomically(path, [raw])
    return path


def forget_fetched() -> None:
    """Remove what was fetched longer ago than it is kept."""
    for path in _folder().glob("*"):
        if _age(path) > KEPT_SECONDS:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "fetched"


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


# ---- bytes of the right size -------------------------------------------------------------------------


def _as_bytes(path: Path, size: tuple[int, int] | None, max_bytes: int | None) -> StartImage:
    raw = path.read_bytes()
    kind = uploads.CONTENT_TYPES[path.suffix.lstrip(".")]
    if size is None and (max_bytes is None or len(raw) <= max_bytes):
        return StartImage(content=raw, mime_type=kind)
    content = next(
        (made for made in _versions(raw, size) if max_bytes is None or len(made) <= max_bytes), None
    )
    if content is None:
        raise Unusable(
            f"The start image cannot be made as small as the {max_bytes} bytes that the provider takes."
        )
    return StartImage(content=content, mime_type="image/jpeg")


def _versions(raw: bytes, size: tuple[int, int] | None) -> Iterator[bytes]:
    """As JPEG, from the best to the smallest; of exactly `size` where one is given."""
    picture = _upright(raw)
    if size:
        picture = ImageOps.fit(picture, size)
    for quality in _QUALITIES:
        yield _jpeg(picture, quality)
    while not size and min(picture.size) > _SMALLEST:
        picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))
        yield _jpeg(picture, _QUALITIES[-2])


def _upright(raw: bytes) -> Image.Image:
    """As it is meant to be seen: turned as its camera says, and on white where it is transparent."""
    with Image.open(io.BytesIO(raw)) as opened:
        turned = ImageOps.exif_transpose(opened).convert("RGBA")
    background = Image.new("RGBA", turned.size, "white")
    return Image.alpha_composite(background, turned).convert("RGB")


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# ---- an address that a provider can reach --------------------------------------------------------------


def public_url(name: str, size: tuple[int, int] | None) -> str:
    """Where a provider gets this picture for two days; nobody can make such an address, or change its size."""
    token = signing.dumps([name, *(size or ())], salt=_SALT)
    return f"{settings.PUBLIC_BASE_URL.rstrip('/')}/start-images/{token}"


def at_public_url(token: str) -> StartImage | None:
    """The picture of a `public_url`; None where the address is not ours, or has expired."""
    try:
        name, *size = signing.loads(token, salt=_SALT, max_age=PUBLIC_FOR_SECONDS)
    except signing.BadSignature:
        return None
    path = _folder() / name if (_folder() / name).is_file() else uploads.find(name)
    return _as_bytes(path, (size[0], size[1]) if size else None, None) if path else None
