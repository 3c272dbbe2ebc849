"""Tasks ordered by a list of `content` parts: what Ark (Seedance) and MiniMax (Hailuo 3) have in common.

Facts: `volcenginesdkarkruntime/types/content_generation` of volcengine-python-sdk, and MiniMax's reference
of its video API v2.
"""

from collections.abc import Mapping
from typing import Any

from providers.base import Failed, Finished, GenerationRequest, PollOutcome, Working
from providers.calls import label, picture, ratio, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import FINISHED_WITHOUT_A_VIDEO

PAGE_SIZE = 100
# Unix time in seconds is smaller for the next three thousand years.
_MILLISECONDS = 10**11


def order(request: GenerationRequest, resolution: str) -> dict[str, Any]:
    """The body of a submit; `resolution` is the label of a model that names none."""
    content: list[dict[str, Any]] = [{"type": "text", "text": request.prompt}]
    if request.image:
        address = {"url": picture(request.image)}
        content.append({"type": "image_url", "image_url": address, "role": "first_frame"})
    return {
        "model": vendors_name(request.model),
        "content": content,
        "resolution": label(request, resolution),
        "ratio": ratio(request),
        "duration": request.seconds,
    }


def progress(task: Mapping[str, Any], url: object, failure: Failure) -> PollOutcome:
    """A task's state. `url` is where its video is, if it says; `failure` what its error means. No percent is told."""
    match task.get("status"):
        case "queued":
            return Working()
        case "running":
            return Working(cancelable=False)
        case "succeeded" if isinstance(url, str) and url:
            return Finished({"url": url})
        case "succeeded":
            return Failed(Failure(Code.SERVER_ERROR, FINISHED_WITHOUT_A_VIDEO))
        case "failed":
            return Failed(failure)
        case "cancelled":
            return Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
        case "expired":
            return Failed(Failure(Code.TIMEOUT, "The job expired at the provider."))
        case unknown:
            raise UnexpectedReply(f"a job's status is {clean(repr(unknown))[:40]}")


def created_at(task: Mapping[str, Any]) -> float:
    """Of a listed task. A time that cannot be read must not make it look old: that would prove it absent."""
    moment = task.get("created_at")
    if isinstance(moment, int) and 0 < moment < _MILLISECONDS:
        return float(moment)
    raise UnexpectedReply("a listed task does not say when it was made")


def next_page(listed: Mapping[str, Any], page: str | None) -> str | None:
    """The number of the page after `page`; None when the list told its last item."""
    number, length = int(page or 1), len(listed["items"])
    total = listed.get("total")
    if length == 0 or (isinstance(total, int) and number * length >= total):
        return None
    return str(number + 1)
