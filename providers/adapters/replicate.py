"""Replicate: predictions of hosted models, `POST /models/{owner}/{name}/predictions`, `GET /predictions/{id}`.

Facts: replicate 1.0.7 (`prediction.py`, `webhook.py`, `exceptions.py`) and replicate.com/docs (HTTP, error codes).
No idempotency key is honoured; a list by time with every input finds lost predictions, for an hour: then
inputs and outputs are erased. A data URL may have 256 kB: `max_image_bytes` of its models is three quarters of it.

`options` of a provider model are those of `providers.templates`. Its name is `owner/name`, or
`owner/name:version` where the owner is not Replicate's partner and so each version is asked for by its id.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

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
    Notice,
    PollOutcome,
    Search,
    SeenJob,
    Standing,
    SubmitOutcome,
    Unverified,
    Working,
)
from providers.calls import address, bearer, frame, is_same_origin, iso_time, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    FINISHED_WITHOUT_A_VIDEO,
    ErrorBody,
    error_body,
    is_success,
    job_id,
    json_object,
    refused,
    told_failure,
    unanswered,
    unix_time,
)
from providers.signatures import check_standard_webhook
from providers.templates import Template

_RESOLUTION = "720p"
_TEMPLATE = Template(image_field="image")
_ERASED = "The prediction's files are erased, as Replicate does an hour after its end."
# How a prediction's error names its kind: four digits are Replicate's own, three a model's.
_ERROR_CODE = re.compile(r"\bE\d{3,4}\b")
_RESETS_IN = re.compile(r"resets in ~?(\d+)\s*s", re.IGNORECASE)


class Replicate(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.INLINE, ImageInput.URL)

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        given = _TEMPLATE.with_options(request.options).input(request)
        body: dict[str, Any] = {"input": given}
        if request.callback_url:
            body |= {"webhook": request.callback_url, "webhook_events_filter": ["completed"]}
        name, _, version = vendors_name(request.model).partition(":")
        if version:
            path = ["predictions"]
            body["version"] = version
        else:
            path = ["models", *name.split("/"), "predictions"]
        url = address(account.base_url, *path)
        return HttpCall("POST", url, secret_headers=bearer(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if is_success(answer):
            if body is None:
                raise UnexpectedReply("the answer to a submit is no JSON object")
            return Accepted(job_id(body.get("id")))
        error = _error(body)
        outcome = refused(answer, error)
        told = replace(outcome.failure, retry_after=_wait(outcome.failure, error))
        return replace(outcome, failure=told)

    def poll(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "predictions", job.id)
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        if is_success(answer):
            return _progress(body)
        error = _error(body)
        outcome = unanswered(answer, error)
        told = replace(outcome.failure, retry_after=_wait(outcome.failure, error))
        return replace(outcome, failure=told)

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """Outputs are at a host of their own, for whoever has the address."""
        url = output["url"]
        ours = is_same_origin(url, account.base_url)
        return HttpCall("GET", url, secret_headers=bearer(account) if ours else {})

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """What starts from a picture may keep its shape, so it gets that of the shot."""
        return frame(request, _RESOLUTION)

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall:
        """`page` is the query of the address that the page before gives for the next."""
        since = iso_time(search.since)
        query = page or urlencode({"created_after": since})
        url = f"{address(account.base_url, 'predictions')}?{query}"
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not is_success(answer) or body is None or not isinstance(body.get("results"), list):
            return unanswered(answer, _error(body))
        jobs = tuple(_seen(listed) for listed in body["results"])
        return Listing(jobs, _query(body.get("next")))

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        template = _TEMPLATE.with_options(request.options)
        name, _, version = vendors_name(request.model).partition(":")
        asked = job.facts["version"] == version if version else job.facts["model"] == name
        return asked and template.is_of(request, json.loads(job.facts["input"]))

    def cancel(self, account: Account, job: Job) -> HttpCall:
        url = address(account.base_url, "predictions", job.id, "cancel")
        return HttpCall("POST", url, secret_headers=bearer(account))

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        body = json_object(answer.body) or {}
        ended = is_success(answer) and body.get("status") in ("canceled", "aborted")
        return Canceled() if ended else NotCanceled()

    def read_notice(
        self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        event_id = check_standard_webhook(secret, headers, body, now)
        match json_object(body):
            case {"id": str(prediction)}:
                return Notice(prediction, event_id)
        raise Unverified("the notice names no prediction")

    def standing(self, account: Account) -> HttpCall:
        url = address(account.base_url, "account")
        return HttpCall("GET", url, secret_headers=bearer(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        if not is_success(answer):
            return unanswered(answer, _error(json_object(answer.body))).failure
        return Standing("The key works.")


# ---- what is answered ----------------------------------------------------------------------------


def _error(body: Mapping[str, Any] | None) -> ErrorBody:
    """A problem as RFC 7807 has it: its `type` is an address and tells no kind."""
    return replace(error_body(body), kind="")


def _wait(told: Failure, error: ErrorBody) -> float | None:
    """A 429 says in words when its limit ends, where no header does."""
    found = _RESETS_IN.search(error.message)
    if told.retry_after is not None or told.code != Code.RATE_LIMITED or found is None:
        return told.retry_after
    return float(found[1])


def _progress(prediction: Mapping[str, Any] | None) -> PollOutcome:
    if prediction is None:
        raise UnexpectedReply("the answer to a poll is no JSON object")
    match prediction.get("status"):
        case "starting" | "processing":
            return Working()
        case "succeeded":
            return _finished(prediction)
        case "failed":
            return Failed(_failure(prediction))
        case "canceled" | "aborted":
            return Failed(Failure(Code.CANCELED, "The job was canceled at the provider."))
        case unknown:
            raise UnexpectedReply(f"a prediction's status is {clean(repr(unknown))[:40]}")


def _finished(prediction: Mapping[str, Any]) -> PollOutcome:
    match prediction.get("output"):
        case str(url) | [str(url), *_] if url:
            return Finished({"url": url})
    erased = prediction.get("data_removed") is True
    words = _ERASED if erased else FINISHED_WITHOUT_A_VIDEO
    return Failed(Failure(Code.SERVER_ERROR, words))


def _failure(prediction: Mapping[str, Any]) -> Failure:
    told, given = prediction.get("error"), prediction.get("input")
    text = told if isinstance(told, str) else ""
    found = _ERROR_CODE.search(text)
    error = ErrorBody(text, found[0] if found else "")
    # Its own codes, of four digits, tell of machines that failed; a model's words may mean anything.
    code = Code.SERVER_ERROR if len(error.code) == len("E1001") else None
    return told_failure(error, code, prompt=given.get("prompt") if isinstance(given, dict) else "")


# ---- the list ------------------------------------------------------------------------------------


def _seen(listed: object) -> SeenJob:
    match listed:
        case {"id": str(prediction), "created_at": str(created_at), **more}:
            given = more.get("input")
            facts = {
                "input": json.dumps(given if isinstance(given, dict) else {}),
                "model": str(more.get("model")),
                "version": str(more.get("version")),
            }
            return SeenJob(prediction, unix_time(created_at), facts)
    raise UnexpectedReply("a prediction in the list has no id or no time")


def _query(next_page: object) -> str | None:
    """Of the address of the next page only this is taken over: our key goes to no host that an answer names."""
    return urlsplit(next_page).query or None if isinstance(next_page, str) else None
