"""Start images that stand in a JSON body: an address, or the picture itself as a data URL."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Picture:
    """One of the two, as the ledger keeps it; of what we have, the size in pixels."""

    sha256: str | None = None
    url: str | None = None
    size: tuple[int, int] | None = None


class BadPicture(ValueError):
    """Not a picture, or not said as one."""


def read(url: object) -> Picture:
    """A data URL is looked at; an address is only noted, for we open no connections."""
    if not isinstance(url, str):
        raise BadPicture("the url of an image must be a string")
    if url.startswith(("https://", "http://")):
        return Picture(url=url)
    head, _, payload = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise BadPicture("the url of an image must be an address or a base64 data URL")
    try:
        content = base64.b64decode(payload, validate=True)
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as image:
            return Picture(sha256=hashlib.sha256(content).hexdigest(), size=image.size)
    except (binascii.Error, OSError, ValueError) as error:
        raise BadPicture("this is no JPEG, PNG or WebP picture") from error
