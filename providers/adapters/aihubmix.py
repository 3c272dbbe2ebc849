"""AIHubMix: one address for many makers' models, in the protocol of `POST …/videos` with a body for each family.

Facts: real calls of January 2026 with sora-2; nexu-io/open-design (its tests of AIHubMix) for the other families.
Ids are opaque and long. A finished video is at an address of the job's or at …/videos/{id}/content; both may
want the key. No list, no cancel. `no_valid_channel_error` comes with HTTP 500, before anybody was asked.

A model's `options`, beside those of `providers.videos`:
- `family`: "sora" (the default), "seedance", "veo" or "wan" (HappyHorse too): which body it takes
- `resolution`, default "720p": not for sora, which has `sizes`
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from providers.base import GenerationRequest
from providers.calls import label, option, ratio, vendors_name
from providers.videos import Profile, Videos

_RESOLUTION = "720p"
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """What the models of one maker are sent. `picture` adds one that is an address or a data URL."""

    body: Callable[[GenerationRequest], Body]
    picture: Callable[[Body, str], Body]


def _seedance(request: GenerationRequest) -> Body:
    return {
        "model": vendors_name(request.model),
        "prompt": request.prompt,
        "duration": request.seconds,
        "ratio": ratio(request),
        "resolution": label(request, _RESOLUTION),
        "content": [{"type": "text", "text": request.prompt}],
    }


def _with_image_url(body: Body, link: str) -> Body:
    image = {"type": "image_url", "image_url": {"url": link}, "role": "first_frame"}
    return {**body, "content": [*body["content"], image]}


def _veo(request: GenerationRequest) -> Body:
    return {
        "model": vendors_name(request.model),
        "prompt": request.prompt,
        "seconds": request.seconds,  # a number here
        "size": label(request, _RESOLUTION),
    }


def _without_picture(body: Body, link: str) -> Body:
    raise ValueError("this model takes no start image here")


def _wan(request: GenerationRequest) -> Body:
    """As Alibaba's own API has it."""
    return {
        "model": vendors_name(request.model),
        "input": {"prompt": request.prompt},
        "parameters": {
            "resolution": label(request, _RESOLUTION).upper(),
            "ratio": ratio(request),
            "duration": request.seconds,
        },
    }


def _with_first_frame(body: Body, link: str) -> Body:
    media = [{"type": "first_frame", "url": link}]
    return {**body, "input": {**body["input"], "media": media}}


_FAMILIES: Mapping[str, Family] = {
    "seedance": Family(_seedance, _with_image_url),
    "veo": Family(_veo, _without_picture),
    "wan": Family(_wan, _with_first_frame),
}
_SORA = "sora"


class AIHubMix(Videos):
    profile: ClassVar = Profile(
        ids=("id", "video_id", "task_id"),
        status_fields=("status", "state"),
        progress_fields=("progress", "percentage"),
        links=(("video_url",), ("url",), ("output_url",)),
        reasons=(("failure_reason",), ("failed_reason",), ("message",), ("status_message",)),
        nothing_made=frozenset({"no_valid_channel_error"}),
        lists=False,
    )

    def fields(self, request: GenerationRequest) -> Body:
        family = _family(request)
        if family is None:
            return super().fields(request)
        return {**option(request.options, "extra", dict, {}), **family.body(request)}

    def with_picture(self, fields: Body, request: GenerationRequest, link: str) -> Body:
        family = _family(request)
        if family is None:
            return super().with_picture(fields, request, link)
        return family.picture(fields, link)

    def takes_files(self, request: GenerationRequest) -> bool:
        return _family(request) is None


def _family(request: GenerationRequest) -> Family | None:
    """None for Sora, which has the protocol's own body. Raises ValueError for a family that is not known."""
    name = option(request.options, "family", str, _SORA)
    if name not in _FAMILIES and name != _SORA:
        raise ValueError(f"option family must be one of: {', '.join([_SORA, *_FAMILIES])}")
    return _FAMILIES.get(name)
