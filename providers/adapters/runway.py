"""Runway: `POST /v1/text_to_video` or `/v1/image_to_video`, `GET /v1/tasks/{id}`.

Facts: runwayml 5.24.0 (`resources/{text_to_video,image_to_video,tasks}.py`, `types/task_retrieve_response.py`) and
docs.dev.runwayml.com (task failures). No idempotency key, no list, no webhooks: a lost answer is a person's to
decide. A DELETE cancels a task that has not ended and deletes one that has, with its files; after it nothing can be
asked. A prompt is measured in UTF-16 units, of which an emoji takes two.

`options` of a provider model are those of `providers.templates`. Shapes are pixel sizes ("1280:720") for most models.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from providers.base import (
    Accepted,
    Account,
    Adapter,
    Canceled,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    NotCanceled,
    PollOutcome,
    Standing,
    SubmitOutcome,
    Working,
)
from providers.calls import address, bearer, frame, is_same_origin, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    FINISHED_WITHOUT_A_VIDEO,
    ErrorBody,
    error_body,
    is_success,
    job_id,
    json_object,
    percent,
    refused,
    told_failure,
    unanswered,
)
from providers.templates import Template

_VERSION = {"X-Runway-Version": "2024-11-06"}
_RESOLUTION = "720p"
_TEMPLATE = Template(
    prompt_field="promptText",
    image_field="promptImage",
    ratio_field="ratio",
    ratios={"horizontal": "1280:720", "vertical": "720:1280"},
)
# A shape that is a size; "16:9" and "auto_720p" are none.
_PIXELS = re.compile(r"(\d{3,4}):(\d{3,4})")
_CREDITS_A_DOLLAR = 100


class Runway(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.INLINE, ImageInput.URL)

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        body = {"model": vendors_name(request.model)}
        body |= _TEMPLATE.with_options(request.options).input(request)
        kind = "image_to_video" if request.image else "text_to_video"
        url = address(account.base_url, "v1", kind)
        return HttpCall("POST", url, _VERSION, bearer(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            return refused(answer, error_body(body))
        if body is None:
            raise UnexpectedReply("the answer to a submit is no JSON object")
        return Accepted(job_id(body.get("id")))

    def poll(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "v1", "tasks", job.id)
        return HttpCall("GET", url, _VERSION, bearer(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            return unanswered(answer, error_body(body))
        if body is None:
            raise UnexpectedReply("the answer to a poll is no JSON object")
        match body.get("status"):
            case "PENDING" | "THROTTLED":
                return Working()
            case "RUNNING":
                return Working(_share(body.get("progress")))
            case "SUCCEEDED":
                return _finished(body)
            case "FAILED":
                return Failed(_failure(body))
            case "CANCELLED":
                return Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
            case unknown:
                raise UnexpectedReply(f"a task's status is {clean(repr(unknown))[:40]}")

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """For whoever has the address, for a day or two; a poll gives a new one."""
        url = output["url"]
        ours = is_same_origin(url, account.base_url)
        return HttpCall("GET", url, secret_headers=bearer(account) if ours else {})

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """What starts from a picture may keep its shape, so it gets that of the shot."""
        template = _TEMPLATE.with_options(request.options)
        pixels = _PIXELS.fullmatch(template.ratios[request.resolution])
        return (int(pixels[1]), int(pixels[2])) if pixels else frame(request, _RESOLUTION)

    def cancel(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "v1", "tasks", job.id)
        return HttpCall("DELETE", url, _VERSION, bearer(account))

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        return Canceled() if is_success(answer) else NotCanceled()

    def standing(self, account: Account) -> HttpCall:
        url = address(account.base_url, "v1", "organization")
        return HttpCall("GET", url, _VERSION, bearer(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        if not is_success(answer) or body is None:
            return unanswered(answer, error_body(body)).failure
        return Standing("The key works.", _balance(body), "USD", _models(body))


# ---- what is answered ----------------------------------------------------------------------------


def _share(progress: object) -> int | None:
    """From 0 to 1 there."""
    if not isinstance(progress, int | float) or isinstance(progress, bool):
        return None
    return percent(progress * 100)


def _finished(task: Mapping[str, Any]) -> PollOutcome:
    match task.get("output"):
        case [str(url), *_] if url:
            return Finished({"url": url}, _cost(task))
    return Failed(Failure(Code.SERVER_ERROR, FINISHED_WITHOUT_A_VIDEO))


def _failure(task: Mapping[str, Any]) -> Failure:
    text, code = task.get("failure"), task.get("failureCode")
    error = ErrorBody(text if isinstance(text, str) else "", code if isinstance(code, str) else "")
    return told_failure(error)


def _cost(task: Mapping[str, Any]) -> Decimal | None:
    match task.get("cost"):
        case {"credits": int(spent)}:
            return Decimal(spent) / _CREDITS_A_DOLLAR
    return None


def _balance(organization: Mapping[str, Any]) -> Decimal | None:
    match organization.get("creditBalance"):
        case int(left):
            return Decimal(left) / _CREDITS_A_DOLLAR
    return None


def _models(organization: Mapping[str, Any]) -> tuple[str, ...] | None:
    match organization:
        case {"tier": {"models": {**models}}} if models:
            return tuple(sorted(map(str, models)))
    return None
