"""OpenRouter's video API: `POST /videos`, `GET /videos/{id}`, `GET /key`. Many vendors' models behind one key.

Facts: the wheel openrouter 1.3.84 (`video_generation.py`, `components/videogeneration*.py`,
`operations/getcurrentkey.py`) and openrouter.ai/docs/api_reference/videos. It has no list, no cancel and
no idempotency key, so a lost answer is a person's to decide; `session_id` finds the job in its activity log.

A model's `options`:
- `resolution`, default "720p": one of the labels in its `supported_resolutions`
- `generate_audio`: true or false; without it the model does as it likes
- `provider`: an object, passed on as it is
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from providers.base import (
    Accepted,
    Account,
    Adapter,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    Notice,
    PollOutcome,
    Standing,
    SubmitOutcome,
    Unverified,
    Working,
)
from providers.calls import (
    address,
    bearer,
    frame,
    is_same_origin,
    is_usable_id,
    label,
    link_below,
    option,
    picture,
    ratio,
    vendors_name,
)
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    FINISHED_WITHOUT_A_VIDEO,
    dollars,
    error_body,
    is_success,
    job_id,
    json_object,
    refused,
    retry_after,
    told_failure,
    unanswered,
)

_RESOLUTION = "720p"
# A notice older than this is somebody's recording of one.
_TOLERANCE_SECONDS = 300
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),\s*v1=([0-9a-f]{64})")


class OpenRouter(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.INLINE, ImageInput.URL)

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        body: dict[str, Any] = {
            "model": vendors_name(request.model),
            "prompt": request.prompt,
            "duration": request.seconds,
            "resolution": label(request, _RESOLUTION),
            "aspect_ratio": ratio(request),
            "session_id": request.token,
        }
        if request.image:
            url = {"url": picture(request.image)}
            first = {"type": "image_url", "image_url": url, "frame_type": "first_frame"}
            body["frame_images"] = [first]
        if request.callback_url:
            body["callback_url"] = request.callback_url
        for name, kind in (("generate_audio", bool), ("provider", dict)):
            if (value := option(request.options, name, kind)) is not None:
                body[name] = value
        url_ = address(account.base_url, "videos")
        return HttpCall("POST", url_, secret_headers=bearer(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            return refused(answer, error_body(body), _meaning(answer, body))
        if body is None:
            raise UnexpectedReply("the answer to a submit is no JSON object")
        polling = body.get("polling_url")
        links = {"polling_url": polling} if isinstance(polling, str) else {}
        return Accepted(job_id(body.get("id")), links=links)

    def poll(self, account: Account, job: Job) -> HttpCall:
        """At the address that the acceptance named, if that is the account's own; it may be a bare path."""
        named = link_below(account.base_url, job.links.get("polling_url", ""))
        url = named or address(account.base_url, "videos", job.id)
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            return unanswered(answer, error_body(body))
        if body is None:
            raise UnexpectedReply("the answer to a poll is no JSON object")
        match body.get("status"):
            case "pending" | "in_progress":
                return Working(retry_after=retry_after(answer.headers))
            case "completed":
                return _finished(account, body)
            case "failed":
                return Failed(told_failure(error_body(body)))
            case "cancelled":
                return Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
            case "expired":
                return Failed(Failure(Code.TIMEOUT, "The job expired at the provider."))
            case unknown:
                raise UnexpectedReply(f"a job's status is {clean(repr(unknown))[:40]}")

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """A content address of its own needs the key, a signed one anywhere needs none."""
        url = output["url"]
        own = is_same_origin(account.base_url, url)
        return HttpCall("GET", url, secret_headers=bearer(account) if own else {})

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """So that the picture has the aspect that is asked for."""
        return frame(request, _RESOLUTION)

    def read_notice(
        self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        """`X-OpenRouter-Signature: t=<unix>,v1=<hex>`: HMAC-SHA256 of "<t>,<body>"."""
        _verify(secret, headers.get("x-openrouter-signature", ""), body, now)
        match json_object(body):
            # Its reference has the job under `data`, its examples read it from the top.
            case {"data": {"id": str(found), "status": str(status)}} | {
                "id": str(found),
                "status": str(status),
            } if is_usable_id(found):
                event = headers.get("x-openrouter-idempotency-key")
                return Notice(found, event or f"{found}-{status}")
        raise Unverified("the notice names no job")

    def standing(self, account: Account) -> HttpCall:
        url = address(account.base_url, "key")
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        if not is_success(answer):
            return unanswered(answer, error_body(body)).failure
        match body:
            case {"data": {"usage": int() | float() as usage, **key}}:
                left = dollars(key.get("limit_remaining"))
                limit = "has no limit of its own" if left is None else f"may spend {left:.2f} more"
                words = f"The key has spent {usage:.2f} US dollars and {limit}."
                return Standing(words, balance=left, currency="USD")
        raise UnexpectedReply("the answer tells nothing of the key")


def _finished(account: Account, video: Mapping[str, Any]) -> PollOutcome:
    """Its own content address is preferred: a signed one opens to whoever reads it where we keep it."""
    content, signed = _first(video.get("unsigned_urls")), _first(video.get("urls"))
    own = content if is_same_origin(account.base_url, content) else ""
    url = own or signed or content
    if not url:
        return Failed(Failure(Code.SERVER_ERROR, FINISHED_WITHOUT_A_VIDEO))
    usage = video.get("usage")
    return Finished({"url": url}, dollars(usage.get("cost")) if isinstance(usage, dict) else None)


def _first(urls: object) -> str:
    match urls:
        case [str(url), *_]:
            return url
    return ""


def _meaning(answer: HttpAnswer, body: Mapping[str, Any] | None) -> Code | None:
    """Its codes are the HTTP statuses once more, but a 403 of its moderation tells what it flagged."""
    match body:
        case {"error": {"metadata": {"flagged_input": _} | {"reasons": [*_]}}} if (
            answer.status == 403
        ):
            return Code.CONTENT_POLICY
    return None


def _verify(secret: str, header: str, body: bytes, now: datetime) -> None:
    if not secret:
        raise Unverified("no secret is set for these notices")
    signed = _SIGNATURE.fullmatch(header)
    if signed is None:
        raise Unverified("the notice is not signed")
    time, signature = signed.groups()
    right = hmac.new(secret.encode(), f"{time},".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right, signature):
        raise Unverified("the signature is wrong")
    if abs(now.timestamp() - int(time)) > _TOLERANCE_SECONDS:
        raise Unverified("the notice is too old or from the future")
