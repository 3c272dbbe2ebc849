"""The OpenAI Videos protocol: `POST /videos`, `GET /videos/{id}`, `GET /videos/{id}/content`.

OpenAI itself ended it on 2026-09-24; relays and self-hosted servers speak it still. Facts: the
files of openai-python 3.54 (`resources/videos.py`, `types/video.py`) and OpenAI's OpenAPI file.
It has no cancel of its own (some relays have `POST /videos/{id}/cancel`), and OpenAI itself took no
idempotency key; a server that does honour the one we send is marked so in the catalogue.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from providers.base import (
    Accepted,
    Account,
    Adapter,
    Ambiguous,
    Canceled,
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
    NotCanceled,
    PollOutcome,
    Rejected,
    Search,
    SeenJob,
    Standing,
    StartImage,
    SubmitOutcome,
    Working,
)
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    REFUSALS,
    ErrorBody,
    error_body,
    failure,
    job_failure,
    json_object,
    named,
    percent,
    retry_after,
)

_SIZES = {"horizontal": (1280, 720), "vertical": (720, 1280)}
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_LONGEST_ID = 512


class OpenAIVideos(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.UPLOAD, ImageInput.INLINE, ImageInput.URL)

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        width, height = _SIZES[request.resolution]
        fields = {
            "prompt": request.prompt,
            "model": request.model,
            "seconds": str(request.seconds),  # a number is refused
            "size": f"{width}x{height}",
        }
        url, secrets = _url(account, "videos"), _secrets(account)
        headers = {"Idempotency-Key": request.token}
        match request.image:
            case StartImage(content=bytes(content), mime_type=kind):
                name = f"start.{_EXTENSIONS.get(kind, 'png')}"
                files = {"input_reference": (name, content, kind)}
                return HttpCall("POST", url, headers, secrets, form=fields, files=files)
            case StartImage(url=link):
                body = fields | {"input_reference": {"image_url": link}}
                return HttpCall("POST", url, headers, secrets, json=body)
        return HttpCall("POST", url, headers, secrets, json=fields)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if _is_success(answer) or _is_video(body):
            return Accepted(_job_id(body))
        error = error_body(body)
        if answer.status in (301, 307, 308):
            text = "The base URL redirects to another one: set that one."
            return Rejected(Failure(Code.DEPENDENCY_ERROR, text, answer.status))
        if answer.status == 408:
            return Ambiguous(failure(Code.TIMEOUT, error, answer))
        if answer.status >= 500:
            return Ambiguous(failure(Code.SERVER_ERROR, error, answer))
        return Rejected(failure(_refusal(answer, error), error, answer))

    def poll(self, account: Account, job: Job) -> HttpCall:
        return HttpCall("GET", _url(account, "videos", job.id), secret_headers=_secrets(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        # Some servers tell of a failed job with an error status around the job itself.
        if body is not None and (_is_success(answer) or _is_video(body)):
            return _progress(body, answer)
        if _is_success(answer):
            raise UnexpectedReply("the answer to a poll is no JSON object")
        code = REFUSALS.get(answer.status, Code.SERVER_ERROR)
        gone = answer.status in (404, 410)
        return NoAnswer(failure(code, error_body(body), answer), gone=gone)

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        return HttpCall(
            "GET",
            _url(account, "videos", job.id, "content"),
            headers={"Accept": "video/mp4, application/octet-stream;q=0.9, */*;q=0.8"},
            secret_headers=_secrets(account),
        )

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall:
        after = f"&after={quote(page, safe='')}" if page else ""
        url = f"{_url(account, 'videos')}?limit=100&order=desc{after}"
        return HttpCall("GET", url, secret_headers=_secrets(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not _is_success(answer) or body is None or not isinstance(body.get("data"), list):
            code = REFUSALS.get(answer.status, Code.SERVER_ERROR)
            return NoAnswer(failure(code, error_body(body), answer))
        jobs = tuple(_seen(video) for video in body["data"] if _is_video(video))
        return Listing(jobs, jobs[-1].job_id if jobs and body.get("has_more") is True else None)

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        width, height = _SIZES[request.resolution]
        wanted = {
            "prompt": request.prompt,
            "model": request.model,
            "seconds": str(request.seconds),
            "size": f"{width}x{height}",
        }
        return all(job.facts[name] == value for name, value in wanted.items())

    def cancel(self, account: Account, job: Job) -> HttpCall:
        url = _url(account, "videos", job.id, "cancel")
        return HttpCall("POST", url, secret_headers=_secrets(account))

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        body = json_object(answer.body)
        ended = body is not None and body.get("status") in ("cancelled", "canceled")
        return Canceled() if _is_success(answer) and ended else NotCanceled()

    def standing(self, account: Account) -> HttpCall:
        """The list of models: no video, no cost, and every server of this protocol has one."""
        return HttpCall("GET", _url(account, "models"), secret_headers=_secrets(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        if not _is_success(answer):
            error = error_body(body)
            code = named(error) or REFUSALS.get(answer.status, Code.SERVER_ERROR)
            return failure(code, error, answer)
        match body:
            case {"data": [*models]}:
                names = tuple(
                    model["id"]
                    for model in models
                    if isinstance(model, dict) and isinstance(model.get("id"), str)
                )
                return Standing(f"lists {len(names)} models", models=names)
        raise UnexpectedReply("the list of models is no list")

    def image_size(self, request: GenerationRequest) -> tuple[int, int]:
        """Any other size is refused; a pro model takes this one as well."""
        return _SIZES[request.resolution]


def _seen(video: Mapping[str, Any]) -> SeenJob:
    facts = {name: str(video.get(name)) for name in ("prompt", "model", "seconds", "size")}
    return SeenJob(_job_id(video), float(video.get("created_at") or 0), facts)


def _url(account: Account, *path: str) -> str:
    quoted = "/".join(quote(part, safe="") for part in path)
    return f"{account.base_url.rstrip('/')}/{quoted}"


def _secrets(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {account.key}"}


def _is_success(answer: HttpAnswer) -> bool:
    return 200 <= answer.status < 300


def _is_video(body: Mapping[str, Any] | None) -> bool:
    return body is not None and body.get("object") == "video"


def _job_id(body: Mapping[str, Any] | None) -> str:
    match body:
        case {"id": str(job_id)} if _is_usable(job_id):
            return job_id
        case None:
            raise UnexpectedReply("the answer to a submit is no JSON object")
    raise UnexpectedReply("the answer to a submit has no usable id")


def _is_usable(job_id: str) -> bool:
    # It is kept in a column and becomes a part of a path, which dots alone would climb up.
    return bool(job_id.strip(".")) and job_id.isprintable() and len(job_id) <= _LONGEST_ID


def _refusal(answer: HttpAnswer, error: ErrorBody) -> Code:
    if answer.status not in REFUSALS:
        raise UnexpectedReply(f"HTTP {answer.status} in answer to a submit")
    return named(error) or REFUSALS[answer.status]


def _progress(video: Mapping[str, Any], answer: HttpAnswer) -> PollOutcome:
    match video.get("status"):
        case "queued" | "in_progress":
            wait = retry_after(answer.headers, "openai-poll-after-ms")
            return Working(percent(video.get("progress")), wait)
        case "completed":
            return Finished()
        case "failed":
            return Failed(job_failure(error_body(video), video.get("prompt")))
        case "cancelled" | "canceled":
            return Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
        case unknown:
            raise UnexpectedReply(f"a job's status is {clean(repr(unknown))[:40]}")
