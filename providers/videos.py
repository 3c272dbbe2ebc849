"""The protocol of `POST …/videos` and `GET …/videos/{id}`, and what sets its speakers apart, as data.

OpenAI brought it up and ended its own service on 2026-09-24; relays and self-hosted servers speak it still,
each with an accent. Facts of the protocol: openai-python 3.54 (`resources/videos.py`, `types/video.py`) and
OpenAI's OpenAPI file. It has no cancel of its own and took no idempotency key; a server that does honour the
one we send is marked so in the catalogue.

A model's `options`, for every speaker:
- `sizes`: pixels by resolution, {"horizontal": "832x480", "vertical": "480x832"}; without it 1280x720 and 720x1280
- `extra`: an object whose fields go along as they are, {"negative_prompt": "…"}
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar
from urllib.parse import quote, urljoin, urlsplit

from providers.base import (
    Accepted,
    Account,
    Adapter,
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
from providers.calls import address, bearer, is_same_origin, option, picture, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    ErrorBody,
    error_body,
    failure,
    is_success,
    job_id,
    json_object,
    percent,
    refused,
    retry_after,
    told_failure,
    unanswered,
)

_SIZES = {"horizontal": "1280x720", "vertical": "720x1280"}
_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})", re.ASCII)
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_WATCHED = "video/mp4, application/octet-stream;q=0.9, */*;q=0.8"

Path = tuple[str, ...]  # from the outside in: ("metadata", "url")


class State(Enum):
    WORKING = 1
    FINISHED = 2
    FAILED = 3
    CANCELED = 4
    EXPIRED = 5


# In lower case. New API's own Sora channel takes these, and so do we.
STATES: Mapping[str, State] = {
    **dict.fromkeys(("queued", "pending", "submitted", "not_start", "preparing"), State.WORKING),
    **dict.fromkeys(("processing", "in_progress", "running", "generating"), State.WORKING),
    **dict.fromkeys(("completed", "complete", "success", "succeeded", "finished"), State.FINISHED),
    **dict.fromkeys(("failed", "failure", "fail", "error"), State.FAILED),
    **dict.fromkeys(("canceled", "cancelled"), State.CANCELED),
    "expired": State.EXPIRED,
}


class Cancel(Enum):
    """How a job is ended before its time."""

    NOT = 1
    POST = 2  # POST …/videos/{id}/cancel
    DELETE = 3  # DELETE …/videos/{id}


@dataclass(frozen=True, slots=True)
class Profile:
    """One speaker of the protocol. What is not said is as OpenAI had it."""

    secrets: Callable[[Account], Mapping[str, str]] = bearer
    seconds: Callable[[int], Any] = str
    form_only: bool = False  # else JSON, and a form where a file goes along
    # Where a picture stands that is no file, and how: its address, or itself as a data URL.
    image_field: str = "input_reference"
    image_value: Callable[[str], Any] = lambda link: {"image_url": link}
    ids: tuple[str, ...] = ("id",)
    status_fields: tuple[str, ...] = ("status",)
    progress_fields: tuple[str, ...] = ("progress",)
    states: Mapping[str, State] = field(default_factory=lambda: STATES)
    # Where the address of a finished video may stand. Without one it is at …/videos/{id}/content.
    links: tuple[Path, ...] = ()
    # Where the reason of a failed job may stand, beside its `error`.
    reasons: tuple[Path, ...] = ()
    unknown_job: frozenset[str] = frozenset()  # error codes of a poll: there is no such job
    nothing_made: frozenset[str] = frozenset()  # error codes of a submit, whatever its status
    lists: bool = True
    facts: tuple[str, ...] = (
        "prompt",
        "model",
        "seconds",
        "size",
    )  # told in the list as we sent them
    cancel: Cancel = Cancel.NOT


class Videos(Adapter):
    """A speaker of the protocol; a subclass names its profile. Has no state."""

    profile: ClassVar[Profile] = Profile()
    image_inputs = (ImageInput.UPLOAD, ImageInput.INLINE, ImageInput.URL)

    # ---- submits ---------------------------------------------------------------------------------

    def fields(self, request: GenerationRequest) -> dict[str, Any]:
        """What is asked for, without the picture."""
        width, height = self.image_size(request)
        asked = {
            "prompt": request.prompt,
            "model": vendors_name(request.model),
            "seconds": self.profile.seconds(request.seconds),
            "size": f"{width}x{height}",
        }
        return {**option(request.options, "extra", dict, {}), **asked}

    def with_picture(
        self, fields: dict[str, Any], request: GenerationRequest, link: str
    ) -> dict[str, Any]:
        """The same with a picture that goes along as a text: its address, or itself."""
        return {**fields, self.profile.image_field: self.profile.image_value(link)}

    def takes_files(self, request: GenerationRequest) -> bool:
        return ImageInput.UPLOAD in self.image_inputs

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        fields, files = self.fields(request), {}
        match request.image:
            case StartImage(content=bytes(content), mime_type=kind) if self.takes_files(request):
                name = f"start.{_EXTENSIONS.get(kind, 'png')}"
                files = {"input_reference": (name, content, kind)}
            case StartImage() as image:
                fields = self.with_picture(fields, request, picture(image))
        url, secrets = address(account.base_url, "videos"), self.profile.secrets(account)
        headers = {"Idempotency-Key": request.token}
        if files or self.profile.form_only:
            texts = {name: _text(value) for name, value in fields.items()}
            return HttpCall("POST", url, headers, secrets, form=texts, files=files)
        return HttpCall("POST", url, headers, secrets, json=fields)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if is_success(answer) or _is_video(body):
            return Accepted(self._job_id(body))
        error = error_body(body)
        if self._made_nothing(error):
            told = failure(Code.DEPENDENCY_ERROR, error, answer)
            return Rejected(replace(told, gone=True))
        return refused(answer, error)

    def _made_nothing(self, error: ErrorBody) -> bool:
        """Some refuse with a 5xx before anything is made, and say so in a code or where one should stand."""
        said = {error.code.lower(), error.kind.lower(), error.message.partition(" ")[0].lower()}
        return not said.isdisjoint(self.profile.nothing_made)

    def _job_id(self, body: Mapping[str, Any] | None) -> str:
        if body is None:
            raise UnexpectedReply("the answer to a submit is no JSON object")
        places = (body, _unwrapped(body))
        found = (place.get(name) for place in places for name in self.profile.ids)
        return job_id(next((value for value in found if value), None))

    # ---- polls -----------------------------------------------------------------------------------

    def poll(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "videos", job.id)
        return HttpCall("GET", url, secret_headers=self.profile.secrets(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        # Some servers tell of a failed job with an error status around the job itself.
        if body is not None and (is_success(answer) or _is_video(body)):
            return self._progress(account, _unwrapped(body), answer)
        if is_success(answer):
            raise UnexpectedReply("the answer to a poll is no JSON object")
        error = error_body(body)
        told = unanswered(answer, error)
        return replace(told, gone=told.gone or error.code in self.profile.unknown_job)

    def _progress(
        self, account: Account, video: Mapping[str, Any], answer: HttpAnswer
    ) -> PollOutcome:
        word = _first(video, self.profile.status_fields)
        match self.profile.states.get(word.lower() if isinstance(word, str) else ""):
            case State.WORKING:
                wait = retry_after(answer.headers, "openai-poll-after-ms")
                return Working(percent(_first(video, self.profile.progress_fields)), wait)
            case State.FINISHED:
                link = self._link(account, video)
                return Finished({"url": link} if link else {})
            case State.FAILED:
                return Failed(told_failure(self._reason(video), prompt=video.get("prompt")))
            case State.CANCELED:
                return Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
            case State.EXPIRED:
                return Failed(Failure(Code.TIMEOUT, "The job expired at the provider."))
        raise UnexpectedReply(f"a job's status is {clean(repr(word))[:40]}")

    def _link(self, account: Account, video: Mapping[str, Any]) -> str:
        """The address of the video, whole; empty where it names none that could be fetched."""
        named = (_at(video, path) for path in self.profile.links)
        link = next((text for text in named if isinstance(text, str) and text), "")
        try:
            whole = urljoin(f"{account.base_url}/", link) if link else ""
            parts = urlsplit(whole)
        except ValueError:
            return ""
        return whole if parts.scheme in ("http", "https") and parts.hostname else ""

    def _reason(self, video: Mapping[str, Any]) -> ErrorBody:
        error = error_body({"error": video.get("error")})
        texts = (_at(video, path) for path in self.profile.reasons)
        said = next((text for text in texts if isinstance(text, str) and text), "")
        return replace(error, message=error.message or said)

    # ---- the file --------------------------------------------------------------------------------

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """A link may lead anywhere; the key goes only to where the account's own address is."""
        url = output.get("url") or address(account.base_url, "videos", job.id, "content")
        secrets = self.profile.secrets(account) if is_same_origin(account.base_url, url) else {}
        return HttpCall("GET", url, headers={"Accept": _WATCHED}, secret_headers=secrets)

    # ---- lost jobs -------------------------------------------------------------------------------

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall | None:
        if not self.profile.lists:
            return None
        after = f"&after={quote(page, safe='')}" if page else ""
        url = f"{address(account.base_url, 'videos')}?limit=100&order=desc{after}"
        return HttpCall("GET", url, secret_headers=self.profile.secrets(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not is_success(answer) or body is None or not isinstance(body.get("data"), list):
            return unanswered(answer, error_body(body))
        videos = [video for video in body["data"] if _is_video(video)]
        if any(video.get(name) is None for video in videos for name in self.profile.facts):
            # A list that does not tell what was asked for proves nothing.
            return CannotLookUp()
        jobs = tuple(self._seen(video) for video in videos)
        return Listing(jobs, jobs[-1].job_id if jobs and body.get("has_more") is True else None)

    def _seen(self, video: Mapping[str, Any]) -> SeenJob:
        created_at = video.get("created_at")
        if not isinstance(created_at, int | float) or created_at <= 0:
            # Taken for an old one it would prove that nothing was made.
            raise UnexpectedReply("a listed job does not say when it was made")
        facts = {name: str(video[name]) for name in self.profile.facts}
        return SeenJob(self._job_id(video), float(created_at), facts)

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        wanted = self.fields(request)
        return all(job.facts[name] == str(wanted[name]) for name in self.profile.facts)

    # ---- cancels, the account --------------------------------------------------------------------

    def cancel(self, account: Account, job: Job) -> HttpCall | None:
        url, secrets = (
            address(account.base_url, "videos", job.id),
            self.profile.secrets(account),
        )
        match self.profile.cancel:
            case Cancel.POST:
                return HttpCall("POST", f"{url}/cancel", secret_headers=secrets)
            case Cancel.DELETE:
                return HttpCall("DELETE", url, secret_headers=secrets)
        return None

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        body = json_object(answer.body) or {}
        word = str(body.get("status")).lower()
        ended = body.get("deleted") is True or STATES.get(word) is State.CANCELED
        return Canceled() if is_success(answer) and ended else NotCanceled()

    def standing(self, account: Account) -> HttpCall:
        """The list of models: no video, no cost, and every server of this protocol has one."""
        url = address(account.base_url, "models")
        return HttpCall("GET", url, secret_headers=self.profile.secrets(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        if not is_success(answer):
            return failure(None, error_body(body), answer)
        match body:
            case {"data": [*models]}:
                named = (model.get("id") for model in models if isinstance(model, dict))
                names = tuple(name for name in named if isinstance(name, str))
                return Standing(f"lists {len(names)} models", models=names)
        raise UnexpectedReply("the list of models is no list")

    def image_size(self, request: GenerationRequest) -> tuple[int, int]:
        """Where a start image may have any size, this one is the best; raises ValueError for a wrong option."""
        sizes = option(request.options, "sizes", dict, _SIZES)
        size = _SIZE.fullmatch(str(sizes.get(request.resolution, _SIZES[request.resolution])))
        if size is None:
            raise ValueError('option sizes must be like {"horizontal": "1280x720"}')
        return int(size[1]), int(size[2])


def _is_video(body: object) -> bool:
    return isinstance(body, Mapping) and body.get("object") == "video"


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job inside `{"code": …, "data": {…}}`, as some relays send it."""
    inner = body.get("data")
    return inner if isinstance(inner, Mapping) and not _is_video(body) else body


def _first(video: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((video[name] for name in names if video.get(name) is not None), None)


def _at(video: Mapping[str, Any], path: Path) -> object:
    found: object = video
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: object) -> str:
    """As a form carries it."""
    return value if isinstance(value, str) else json.dumps(value)
