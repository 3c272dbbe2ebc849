"""A segment's start image as a provider takes it: bytes of the right size, or the address of somebody else's."""

import io

from PIL import Image, ImageOps

from providers.base import StartImage
from runs import outputs


def load(image_url: str | None, size: tuple[int, int] | None) -> StartImage | None:
    """An upload's bytes, cut to `size` where one is asked for; an outside address is passed on unread."""
    if not image_url:
        return None
    if not image_url.startswith("/uploads/"):
        return StartImage(url=image_url)
    path = outputs.absolute(image_url.lstrip("/"))
    if size is None:
        return StartImage(content=path.read_bytes(), mime_type=f"image/{path.suffix.lstrip('.')}")
    with Image.open(path) as image:
        fitted = ImageOps.fit(image.convert("RGB"), size)
    buffer = io.BytesIO()
    fitted.save(buffer, "JPEG", quality=95)
    return StartImage(content=buffer.getvalue(), mime_type="image/jpeg")
