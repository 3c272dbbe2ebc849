"""MiniMax's video API v2 (Hailuo 3): `POST /v2/video_generation`, `GET /v2/query/video_generation[/{id}]`.

Facts: MiniMax's reference of it (platform.minimax.io/docs/api-reference/video-generation-v2-create and its
neighbours) and the wheel litellm 1.109.1, `llms/minimax/videos/transformation.py`. It takes no idempotency key. Its
list tells of each task the model and the length, but not the prompt: it can prove that a lost submit made
nothing, and leaves all else to a person. Its callbacks are not signed and want a challenge
answered, so it is given no address for them.

A model's `options`:
- `resolution`, default "768P": "768P" or "2K"; MiniMax-H3-Max has "480P" and "768P"
- `aigc_watermark`: true or false
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers import tasks
from providers.base import (
    Accepted,
    Account,
    Adapter,
    Ambiguous,
    Canceled,
    CannotLookUp,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    Listing,
    LookUpOutcome,
    NoAnswer,
    NotCanceled,
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    Standing,
    SubmitOutcome,
)
from providers.calls import address, bearer, frame, option, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.replies import (
    ErrorBody,
    error_body,
    is_success,
    job_id,
    json_object,
    refused,
    told_failure,
    unanswered,
)

_RESOLUTION = "768P"
# MiniMax's own numbers, the same in all its APIs: those that refuse, and what a task may fail with besides.
_REFUSALS = {
    "1002": Code.RATE_LIMITED,
    "1004": Code.UNAUTHORIZED,
    "1008": Code.QUOTA_EXCEEDED,
    "1026": Code.CONTENT_POLICY,
    "1027": Code.CONTENT_POLICY,
    "2013": Code.VALIDATION_ERROR,
    "2049": Code.UNAUTHORIZED,
}
_FAILURES = _REFUSALS | {"1000": Code.SERVER_ERROR}
_OUTPUT_REFUSED = "1027"
# Version 2 writes the number behind the message: "insufficient balance (1008)".
_NUMBER = re.compile(r"\((\d{4})\)\s*$")
# An id that it does not know is told so, with status 500.
_UNKNOWN_TASK = "record not found"


class MiniMax(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.INLINE, ImageInput.URL)
    tells_apart = False

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        body = tasks.order(request, _RESOLUTION)
        if (mark := option(request.options, "aigc_watermark", bool)) is not None:
            body["aigc_watermark"] = mark
        url = address(account.base_url, "v2", "video_generation")
        return HttpCall("POST", url, secret_headers=bearer(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        error = _error(body)
        if not is_success(answer):
            return refused(answer, error, _meaning(answer, error))
        if body is None:
            raise UnexpectedReply("the answer to a submit is no JSON object")
        if error.code and not body.get("task_id"):
            return _refused_inside(error)
        return Accepted(job_id(body.get("task_id")))

    def poll(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "v2", "query", "video_generation", job.id)
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        error = _error(body)
        task = body.get("task") if body else None
        if is_success(answer) and isinstance(task, dict):
            content = task.get("content")
            url = content.get("url") if isinstance(content, dict) else None
            return tasks.progress(task, url, _failure(_error(task)))
        if is_success(answer) and not error.code:
            raise UnexpectedReply("the answer to a poll has no task")
        return _unanswered(answer, error)

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """A public address for a while; another poll gives a fresh one. No key goes along."""
        return HttpCall("GET", output["url"])

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """With a first frame the video takes the frame's aspect, whatever is asked for."""
        return frame(request, _RESOLUTION)

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall:
        url = address(account.base_url, "v2", "query", "video_generation")
        query = f"page_num={page or 1}&page_size={tasks.PAGE_SIZE}"
        return HttpCall("GET", f"{url}?{query}", secret_headers=bearer(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not is_success(answer) or body is None or not isinstance(body.get("items"), list):
            return _unanswered(answer, _error(body))
        jobs = tuple(_seen(task) for task in body["items"] if isinstance(task, dict))
        return Listing(jobs, tasks.next_page(body, page))

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        """Rather one too many: what is compared is what a task surely tells as it was asked for."""
        if job.facts["model"].lower() not in ("", vendors_name(request.model).lower()):
            return False
        return job.facts["duration"] in ("", str(request.seconds))

    def cancel(self, account: Account, job: Job) -> HttpCall:
        """Takes a queued task out; one that has ended it would forget, file and all."""
        url = address(account.base_url, "v2", "video_generation", job.id)
        return HttpCall("DELETE", url, secret_headers=bearer(account))

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        match json_object(answer.body):
            case {"status": "cancelled"} if is_success(answer):
                return Canceled()
        return NotCanceled()

    def standing(self, account: Account) -> HttpCall:
        url = address(account.base_url, "v2", "query", "video_generation")
        return HttpCall("GET", f"{url}?page_num=1&page_size=1", secret_headers=bearer(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        error = _error(body)
        if not is_success(answer) or error.code:
            return _unanswered(answer, error).failure
        match body:
            case {"items": [*_], **more}:
                total = more.get("total", "some")
                return Standing(f"The key is good; {total} tasks in the last seven days.")
        raise UnexpectedReply("the answer lists no tasks")


def _error(body: Mapping[str, Any] | None) -> ErrorBody:
    """Of either form, with MiniMax's number as its code: `{"error": {…}}`, or `base_resp` with a number but 0."""
    match body:
        case {"base_resp": {"status_code": int(number), **more}} if number:
            return ErrorBody(str(more.get("status_msg") or ""), str(number))
    error = error_body(body)
    told = _NUMBER.search(error.message)
    return ErrorBody(error.message, told[1]) if told else error


def _meaning(answer: HttpAnswer, error: ErrorBody) -> Code | None:
    """Its 422 is for sensitive content, and a bad request is a 400."""
    return _REFUSALS.get(error.code) or (Code.CONTENT_POLICY if answer.status == 422 else None)


def _refused_inside(error: ErrorBody) -> Rejected | Ambiguous:
    """HTTP 200 around an error, as version 1 has it: with a number that refuses, nothing was made."""
    code = _REFUSALS.get(error.code)
    told = told_failure(error, code or Code.SERVER_ERROR)
    return Rejected(told) if code else Ambiguous(told)


def _unanswered(answer: HttpAnswer, error: ErrorBody) -> NoAnswer:
    told = unanswered(answer, error, _REFUSALS.get(error.code))
    return replace(told, gone=told.gone or _UNKNOWN_TASK in error.message)


def _failure(error: ErrorBody) -> Failure:
    """Of a task that failed."""
    return told_failure(
        error, _FAILURES.get(error.code), output_refused=error.code == _OUTPUT_REFUSED
    )


def _seen(task: Mapping[str, Any]) -> SeenJob:
    duration = task.get("duration")
    facts = {
        "model": str(task.get("model") or ""),
        "duration": str(round(duration)) if isinstance(duration, int | float) else "",
    }
    return SeenJob(job_id(task.get("id")), tasks.created_at(task), facts)
