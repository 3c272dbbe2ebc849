"""What the requests to many providers have in common: addresses, the bearer key, pictures, options."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from providers.base import Account, GenerationRequest, StartImage

LONGEST_ID = 512

# What vendors mean by a label: width and height of a frame of 16:9, as near as even numbers come.
_FRAMES = {
    "360p": (640, 360),
    "480p": (854, 480),
    "720p": (1280, 720),
    "768p": (1366, 768),
    "1080p": (1920, 1080),
    "1k": (1280, 720),
    "2k": (2560, 1440),
    "4k": (3840, 2160),
}
_RATIOS = {"horizontal": "16:9", "vertical": "9:16"}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def address(base_url: str, *path: str) -> str:
    """Each part of the path is quoted whole: a job's id is the provider's word."""
    return "/".join([base_url.rstrip("/"), *(quote(part, safe="") for part in path)])


def bearer(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}"}


def is_usable_id(job_id: str) -> bool:
    """It is kept in a column and becomes a part of a path, which dots alone would climb up."""
    return bool(job_id.strip(".")) and job_id.isprintable() and len(job_id) <= LONGEST_ID


def is_same_origin(one: str, other: str) -> bool:
    """Scheme, host and port: where a key of the one may go."""
    origin = _origin(one)
    return origin is not None and origin == _origin(other)


def link_below(base_url: str, link: str) -> str:
    """A provider's link, whole, if it leads to where the account's own addresses are; else empty."""
    base = f"{base_url.rstrip('/')}/"
    try:
        whole = urljoin(base, link) if link else ""
    except ValueError:
        return ""
    return whole if whole.startswith(base) else ""


@lru_cache(maxsize=256)
def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return scheme, parts.hostname, port or _DEFAULT_PORTS[scheme]


def iso_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# ---- what a shot becomes -------------------------------------------------------------------------


def ratio(request: GenerationRequest) -> str:
    """The segment's aspect as "16:9" or "9:16"."""
    return _RATIOS[request.resolution]


def vendors_name(model: str) -> str:
    """What the provider calls it. `maker/model#1080p` is `maker/model` with options and a price of its own."""
    return model.partition("#")[0]


def label(request: GenerationRequest, default: str) -> str:
    """The vendor's word for how fine the picture is: the model's option `resolution`."""
    found: str = option(request.options, "resolution", str, default)
    return found


def frame(request: GenerationRequest, default: str) -> tuple[int, int] | None:
    """Width and height of a picture of that label; None where it is not known."""
    size = _FRAMES.get(label(request, default).lower())
    if size is None or request.resolution == "horizontal":
        return size
    return size[1], size[0]


def option(options: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """One of a model's options. Raises ValueError when it is of another kind."""
    value = options.get(name, default)
    if value is not default and type(value) is not kind:
        raise ValueError(f"option {name} must be {kind.__name__}")
    return value


def picture(image: StartImage) -> str:
    """Its address, or itself as a data URL."""
    if image.content is None:
        return image.url
    return f"data:{image.mime_type};base64,{base64.b64encode(image.content).decode()}"
