"""Sora.hk: `POST /create`, `GET /tasks/{id}`, `GET /tasks`, `GET /balance`.

Facts: its API documentation of October 2025 and real calls of January 2026. Every answer is an envelope
`{"code", "message", "data"}`, and most errors come with HTTP 200. A failed job says why in Chinese, and in no
other way. No upload: a start image must have an address on the public internet. The video's address needs no
key; its escaped slashes are signed, so it is asked for exactly as it is written. No cancel.

A model's `options`:
- `quality`: "normal" or "high"; a pro model makes "high" anyway
- `remove_watermark`: true or false; the provider removes it unless told otherwise
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from providers.base import (
    Accepted,
    Account,
    Adapter,
    Ambiguous,
    CannotLookUp,
    Failed,
    Finished,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Job,
    Listing,
    LookUpOutcome,
    NoAnswer,
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    Standing,
    SubmitOutcome,
    Working,
)
from providers.calls import address, bearer, option, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    FINISHED_WITHOUT_A_VIDEO,
    REFUSALS,
    ErrorBody,
    error_body,
    failure,
    is_success,
    job_id,
    json_object,
    percent,
    refused,
    told_failure,
    unanswered,
)

_PRO_MODEL = "sora2-pro"
_PAGE_SIZE = 100
_OK = 200
# In the body. The others that it has are HTTP's.
_CODES: Mapping[int, Code] = {
    **REFUSALS,
    1001: Code.VALIDATION_ERROR,
    1012: Code.QUOTA_EXCEEDED,
}
# Under one of these a list of jobs stands in `data`, unless `data` is that list.
_LISTS = ("list", "items", "tasks", "records")


class SoraHK(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.URL,)

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        body: dict[str, Any] = {
            "prompt": request.prompt,
            "is_pro": _is_pro(request),
            "duration": request.seconds,
            "resolution": request.resolution,
        }
        for name, kind in (("quality", str), ("remove_watermark", bool)):
            if (value := option(request.options, name, kind)) is not None:
                body[name] = value
        if request.image:
            if not request.image.url:
                raise ValueError("it takes the address of a start image, and not its bytes")
            body["image_url"] = request.image.url
        url = address(account.base_url, "create")
        return HttpCall("POST", url, secret_headers=bearer(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        error = error_body(body)
        code = _CODES.get(_code(body))
        if not is_success(answer):
            return refused(answer, error, code if error.code != str(answer.status) else None)
        if _code(body) == _OK:
            return Accepted(job_id(_data(body).get("task_id")))
        if code:
            return Rejected(told_failure(error, code))
        if _code(body) in (408, *range(500, 600)):
            return Ambiguous(told_failure(error, Code.SERVER_ERROR))
        raise UnexpectedReply("the answer to a submit has no code that is known")

    def poll(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "tasks", job.id)
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        if not is_success(answer):
            return unanswered(answer, error_body(body))
        if _code(body) != _OK:
            return _not_told(body)
        task = _data(body)
        match task.get("status"):
            case "pending" | "processing":
                return Working(percent(task.get("progress")))
            case "completed":
                return _finished(task)
            case "failed":
                said = ErrorBody(str(task.get("error_msg") or ""))
                return Failed(told_failure(said, prompt=task.get("prompt")))
            case unknown:
                raise UnexpectedReply(f"a job's status is {clean(repr(unknown))[:40]}")

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        return HttpCall("GET", output["url"])

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall:
        url = f"{address(account.base_url, 'tasks')}?page={page or 1}&page_size={_PAGE_SIZE}"
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not is_success(answer):
            return unanswered(answer, error_body(body))
        if _code(body) != _OK:
            return _not_told(body)
        tasks = _listed(body)
        if any(not isinstance(task.get("prompt"), str) for task in tasks):
            # A list that does not tell what was asked for proves nothing.
            return CannotLookUp()
        more = str(int(page or 1) + 1) if len(tasks) == _PAGE_SIZE else None
        return Listing(tuple(_seen(task) for task in tasks), more)

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        """By the prompt, and by as much of the rest as the list tells."""
        wanted = {
            "prompt": request.prompt,
            "duration": str(request.seconds),
            "resolution": request.resolution,
            "is_pro": str(_is_pro(request)),
        }
        return all(wanted[name] == value for name, value in job.facts.items())

    def standing(self, account: Account) -> HttpCall:
        url = address(account.base_url, "balance")
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        error = error_body(body)
        if not is_success(answer):
            return failure(None, error, answer)
        if _code(body) != _OK:
            return told_failure(error, _CODES.get(_code(body), Code.SERVER_ERROR))
        cents = _data(body).get("balance")
        if not isinstance(cents, int | float) or isinstance(cents, bool):
            raise UnexpectedReply("the answer names no balance")
        dollars = Decimal(str(cents)) / 100
        return Standing(f"has {dollars:.2f} USD", balance=dollars, currency="USD")


def _is_pro(request: GenerationRequest) -> bool:
    return request.is_pro or vendors_name(request.model) == _PRO_MODEL


def _code(body: Mapping[str, Any] | None) -> int:
    """The envelope's own code; 0 where there is none."""
    code = body.get("code") if body else None
    return code if isinstance(code, int) else 0


def _data(body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    data = body.get("data") if body else None
    return data if isinstance(data, Mapping) else {}


def _not_told(body: Mapping[str, Any] | None) -> NoAnswer:
    """An error with HTTP 200 in answer to a question."""
    if _code(body) == 0:
        raise UnexpectedReply("the answer is no envelope with a code")
    told = told_failure(error_body(body), _CODES.get(_code(body), Code.SERVER_ERROR))
    return NoAnswer(told, gone=_code(body) in (404, 410))


def _finished(task: Mapping[str, Any]) -> PollOutcome:
    url = task.get("video_url")
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return Finished({"url": url})
    return Failed(Failure(Code.SERVER_ERROR, FINISHED_WITHOUT_A_VIDEO))


def _listed(body: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    data = body.get("data") if body else None
    places = (data.get(name) for name in _LISTS) if isinstance(data, Mapping) else (data,)
    found = next((place for place in places if isinstance(place, list)), None)
    if found is None:
        raise UnexpectedReply("the list of jobs is no list")
    return [task for task in found if isinstance(task, Mapping)]


def _seen(task: Mapping[str, Any]) -> SeenJob:
    facts = {
        name: str(task[name])
        for name in ("prompt", "duration", "resolution", "is_pro")
        if task.get(name) is not None
    }
    try:
        created_at = datetime.fromisoformat(str(task.get("created_at"))).timestamp()
    except ValueError as error:
        # Taken for an old one it would prove that nothing was made.
        raise UnexpectedReply("a listed job does not say when it was made") from error
    return SeenJob(job_id(task.get("task_id")), created_at, facts)
