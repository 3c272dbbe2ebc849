"""Volcengine Ark and BytePlus ModelArk, ByteDance's own APIs of Seedance: `…/contents/generations/tasks`.

Facts: volcengine-python-sdk, `volcenginesdkarkruntime/resources/content_generation` and its types. Ark takes no
idempotency key, but it lists each task with the `safety_identifier` that its submit gave: ours is the attempt's
token, so the job of a lost answer is found for certain. Its callbacks are not signed, so it is given no
address for them.

A model's `options`:
- `resolution`, default "720p": "480p", "720p", "1080p" or "4k"
- `generate_audio`, `watermark`: true or false; without them Ark's own defaults hold
- `service_tier`: "default" or "flex" (half the price, within days)

A model is named as BytePlus names it, `dreamina-…`; in Beijing the same one is called `doubao-…`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from providers import tasks
from providers.base import (
    Accepted,
    Account,
    Adapter,
    Canceled,
    CannotLookUp,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    Listing,
    LookUpOutcome,
    NotCanceled,
    PollOutcome,
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

_TASKS = ("contents", "generations", "tasks")
_RESOLUTION = "720p"
_BYTEPLUS, _BEIJING = "dreamina-", "doubao-"
_BEIJING_HOST = ".volces.com"
# By the beginning of an error's code; what stands here says more than the status around it.
_CODES = {
    "AuthenticationError": Code.UNAUTHORIZED,
    "AccountOverdueError": Code.QUOTA_EXCEEDED,
    "ModelNotOpen": Code.FORBIDDEN,
    "RateLimitExceeded": Code.RATE_LIMITED,
    "QuotaExceeded": Code.RATE_LIMITED,
    "ServerOverloaded": Code.RATE_LIMITED,
    "InternalServiceError": Code.SERVER_ERROR,
    "InvalidParameter": Code.VALIDATION_ERROR,
}
_SENSITIVE = "SensitiveContentDetected"
_FLAGS = {"generate_audio": bool, "watermark": bool, "service_tier": str}


class Ark(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.INLINE, ImageInput.URL)

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        body = tasks.order(request, _RESOLUTION)
        body["model"] = _model(account, request.model)
        body["safety_identifier"] = request.token
        for name, kind in _FLAGS.items():
            if (value := option(request.options, name, kind)) is not None:
                body[name] = value
        url = address(account.base_url, *_TASKS)
        headers = {"X-Client-Request-Id": request.token}
        return HttpCall("POST", url, headers, bearer(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            error = error_body(body)
            return refused(answer, error, _meaning(error))
        if body is None:
            raise UnexpectedReply("the answer to a submit is no JSON object")
        return Accepted(job_id(body.get("id")))

    def poll(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, *_TASKS, job.id)
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            error = error_body(body)
            return unanswered(answer, error, _meaning(error))
        if body is None:
            raise UnexpectedReply("the answer to a poll is no JSON object")
        content = body.get("content")
        url = content.get("video_url") if isinstance(content, dict) else None
        return tasks.progress(body, url, _failure(error_body(body)))

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """A public address for 24 hours; no key goes along."""
        return HttpCall("GET", output["url"])

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """So that the picture has the aspect that is asked for."""
        return frame(request, _RESOLUTION)

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall:
        """All of the account's tasks: what `filter.model` compares is an endpoint's id, not always a model's."""
        url = address(account.base_url, *_TASKS)
        query = f"page_num={page or 1}&page_size={tasks.PAGE_SIZE}"
        return HttpCall("GET", f"{url}?{query}", secret_headers=bearer(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not is_success(answer) or body is None or not isinstance(body.get("items"), list):
            return unanswered(answer, error_body(body))
        jobs = tuple(_seen(task) for task in body["items"] if isinstance(task, dict))
        return Listing(jobs, tasks.next_page(body, page))

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        return job.facts["safety_identifier"] == request.token

    def cancel(self, account: Account, job: Job) -> HttpCall:
        """Takes a queued task out; one that has ended it would forget, file and all."""
        url = address(account.base_url, *_TASKS, job.id)
        return HttpCall("DELETE", url, secret_headers=bearer(account))

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        return Canceled() if is_success(answer) else NotCanceled()

    def standing(self, account: Account) -> HttpCall:
        url = address(account.base_url, *_TASKS)
        return HttpCall("GET", f"{url}?page_num=1&page_size=1", secret_headers=bearer(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        if not is_success(answer):
            error = error_body(body)
            return unanswered(answer, error, _meaning(error)).failure
        match body:
            case {"total": int(total)}:
                return Standing(f"The key is good; {total} tasks in the last seven days.")
        raise UnexpectedReply("the answer lists no tasks")


def _model(account: Account, model: str) -> str:
    name = vendors_name(model)
    host = urlsplit(account.base_url).hostname or ""
    beijing = f".{host}".endswith(_BEIJING_HOST)
    return (
        _BEIJING + name.removeprefix(_BYTEPLUS) if beijing and name.startswith(_BYTEPLUS) else name
    )


def _meaning(error: ErrorBody) -> Code | None:
    if _SENSITIVE in error.code:
        return Code.CONTENT_POLICY
    return next((code for start, code in _CODES.items() if error.code.startswith(start)), None)


def _failure(error: ErrorBody) -> Failure:
    """Of a task that failed."""
    refused_output = error.code.startswith("Output") and _SENSITIVE in error.code
    return told_failure(error, _meaning(error), output_refused=refused_output)


def _seen(task: Mapping[str, Any]) -> SeenJob:
    facts = {"safety_identifier": str(task.get("safety_identifier") or "")}
    return SeenJob(job_id(task.get("id")), tasks.created_at(task), facts)
