"""fal's queue: an address for each model, a status and a result apart, a history that finds lost requests.

`POST {base}/{endpoint}` answers with a request id and the addresses to ask at. The status tells that a request has
ended; how, only its result does. Facts: fal-client 1.0.3 (`client.py`) and fal.ai/docs (queue, webhooks, errors,
platform APIs). No idempotency key is honoured. The history lists what has ended: what is missing may still run.

`options` of a provider model are those of `providers.templates`. Its name is the endpoint, such as
`bytedance/seedance-2.5/text-to-video`; what starts from a picture is an endpoint of its own.
"""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from providers.base import (
    Accepted,
    Account,
    Adapter,
    AskNext,
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
    PollAnswer,
    PollOutcome,
    Search,
    SeenJob,
    Standing,
    SubmitOutcome,
    Unverified,
    Working,
)
from providers.calls import address, frame, is_same_origin, iso_time, link_below, vendors_name
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean
from providers.replies import (
    FINISHED_WITHOUT_A_VIDEO,
    ErrorBody,
    dollars,
    error_body,
    is_success,
    job_id,
    json_object,
    named,
    refused,
    told_failure,
    unanswered,
    unix_time,
)
from providers.signatures import check_age
from providers.templates import Template

_RESOLUTION = "720p"
_TEMPLATE = Template(image_field="image_url")
_LINKS = {"status": "status_url", "response": "response_url", "cancel": "cancel_url"}
_LONGEST_LINK = 2048
# An endpoint below one of these has one part more before its requests.
_NAMESPACES = ("workflows", "comfy")
_VENDOR = "https://api.fal.ai"
_VENDORS_KEYS = "https://rest.fal.ai/.well-known/jwks.json"

# Requests in one page of the history. They may hold their pictures, and an answer of megabytes is not read.
_PAGE, _PAGE_WITH_PICTURES = 100, 8
# Statuses of a result that speak of our question and not of the request's end.
_ABOUT_THE_QUESTION = (401, 403, 404, 408, 429)


class FalQueue(Adapter):
    """Has no state."""

    image_inputs = (ImageInput.INLINE, ImageInput.URL)
    lists_only_ended = True

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        body = _TEMPLATE.with_options(request.options).input(request)
        url = address(account.base_url, *_parts(request.model))
        if request.callback_url:
            url += "?" + urlencode({"fal_webhook": request.callback_url})
        return HttpCall("POST", url, secret_headers=_key(account), json=body)

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        body = json_object(answer.body)
        if is_success(answer):
            if body is None:
                raise UnexpectedReply("the answer to a submit is no JSON object")
            return Accepted(job_id(body.get("request_id")), links=_links(body))
        return refused(answer, _error(answer, body))

    def poll(self, account: Account, job: Job) -> HttpCall:
        return HttpCall("GET", _link(account, job, "status"), secret_headers=_key(account))

    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollAnswer:
        body = json_object(answer.body)
        if not is_success(answer):
            return unanswered(answer, _error(answer, body))
        if body is None:
            raise UnexpectedReply("the answer to a poll is no JSON object")
        match body.get("status"):
            case "IN_QUEUE" | "IN_PROGRESS":
                return Working()
            case "COMPLETED":
                call = HttpCall(
                    "GET", _link(account, job, "response"), secret_headers=_key(account)
                )
                return AskNext(call)
            case unknown:
                raise UnexpectedReply(f"a request's status is {clean(repr(unknown))[:40]}")

    def read_result(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        body = json_object(answer.body)
        if is_success(answer):
            return _finished(body)
        error = _error(answer, body)
        code = named(error)
        if code is None and not _is_the_models_word(answer, error):
            return unanswered(answer, error)
        plain = Code.SERVER_ERROR if answer.status >= 500 else Code.VALIDATION_ERROR
        told = told_failure(error, code or plain)
        return Failed(replace(told, http_status=answer.status))

    def fetch(self, account: Account, job: Job, output: Mapping[str, Any]) -> HttpCall:
        """Whoever has the address may fetch it: no key goes there."""
        return HttpCall("GET", output["url"])

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """What starts from a picture may keep its shape, so it gets that of the shot."""
        return frame(request, _RESOLUTION)

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall | None:
        if not account.api_url:
            return None
        query = {
            "endpoint_id": vendors_name(search.model),
            "start": iso_time(search.since),
            "expand": "payloads",
            "limit": str(_PAGE_WITH_PICTURES if "image" in search.model else _PAGE),
        }
        if page:
            query["cursor"] = page
        url = f"{address(account.api_url, 'models', 'requests', 'by-endpoint')}?{urlencode(query)}"
        return HttpCall("GET", url, secret_headers=_key(account))

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        body = json_object(answer.body)
        if answer.status in (404, 405, 501):
            return CannotLookUp()
        if not is_success(answer) or body is None or not isinstance(body.get("items"), list):
            return unanswered(answer, _error(answer, body))
        jobs = tuple(_seen(item) for item in body["items"])
        cursor = body.get("next_cursor")
        return Listing(jobs, cursor if isinstance(cursor, str) and cursor else None)

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        template = _TEMPLATE.with_options(request.options)
        return template.is_of(request, json.loads(job.facts["input"]))

    def cancel(self, account: Account, job: Job) -> HttpCall:
        return HttpCall("PUT", _link(account, job, "cancel"), secret_headers=_key(account))

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        """ "OK" took it out of the queue. A request that runs is only asked to stop: the next polls tell."""
        body = json_object(answer.body) or {}
        return Canceled() if is_success(answer) and body.get("status") == "OK" else NotCanceled()

    def signing_keys(self, account: Account) -> HttpCall:
        """Published at the vendor's third address; elsewhere below the second one."""
        at_vendor = is_same_origin(account.api_url, _VENDOR)
        path = (".well-known", "jwks.json")
        return HttpCall("GET", _VENDORS_KEYS if at_vendor else address(account.api_url, *path))

    def read_notice(
        self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        event_id, user_id, sent_at = (
            headers.get(f"x-fal-webhook-{name}", "")
            for name in ("request-id", "user-id", "timestamp")
        )
        check_age(sent_at, now)
        digest = hashlib.sha256(body).hexdigest()
        signed = "\n".join((event_id, user_id, sent_at, digest)).encode()
        _check_signature(secret, headers.get("x-fal-webhook-signature", ""), signed)
        told = json_object(body)
        if told is None or not isinstance(told.get("request_id"), str):
            raise Unverified("the notice names no request")
        return Notice(told["request_id"], event_id)

    def standing(self, account: Account) -> HttpCall | None:
        if not account.api_url:
            return None
        url = f"{address(account.api_url, 'account', 'billing')}?expand=credits"
        return HttpCall("GET", url, secret_headers=_key(account))

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        body = json_object(answer.body)
        error = _error(answer, body)
        if answer.status in (401, 403) and "admin" in error.message.lower():
            return Standing("The key is known; only an admin's key may read the balance.")
        if not is_success(answer) or body is None:
            return unanswered(answer, error).failure
        match body.get("credits"):
            case {"current_balance": balance, "currency": str(currency)}:
                return Standing("The key works.", dollars(balance), currency)
        return Standing("The key works.")


# ---- where ---------------------------------------------------------------------------------------


def _parts(model: str) -> list[str]:
    return vendors_name(model).split("/")


def _key(account: Account) -> dict[str, str]:
    return {"Authorization": f"Key {account.key}"}


def _links(body: Mapping[str, Any]) -> dict[str, str]:
    found = {name: body.get(told) for name, told in _LINKS.items()}
    return {
        name: link
        for name, link in found.items()
        if isinstance(link, str) and len(link) <= _LONGEST_LINK
    }


def _link(account: Account, job: Job, name: str) -> str:
    """As the answer to the submit said, if it leads to the account's own; else as fal's own client makes it."""
    if told := link_below(account.base_url, job.links.get(name, "")):
        return told
    parts = _parts(job.model)
    app = parts[:3] if parts[0] in _NAMESPACES else parts[:2]
    last = [] if name == "response" else [name]
    return address(account.base_url, *app, "requests", job.id, *last)


# ---- what is answered ----------------------------------------------------------------------------


def _error(answer: HttpAnswer, body: Mapping[str, Any] | None) -> ErrorBody:
    """With the type of the error as its code, wherever it stands."""
    match body:
        case {"error_type": str(kind)} | {"detail": [{"type": str(kind)}, *_]}:
            pass
        case _:
            kind = answer.headers.get("x-fal-error-type", "")
    error = error_body(body)
    return replace(error, code=kind) if kind else error


def _is_the_models_word(answer: HttpAnswer, error: ErrorBody) -> bool:
    """Whether a result is how the request ended. A bare error is the gateway's, and says nothing of a paid video."""
    if answer.status >= 500:
        return bool(error.code)
    about_us = answer.status in _ABOUT_THE_QUESTION or answer.status < 400
    return not about_us and bool(error.message)


def _finished(result: Mapping[str, Any] | None) -> PollOutcome:
    match result:
        case None:
            raise UnexpectedReply("the result is no JSON object")
        case {"video": {"url": str(url)}} if url:
            return Finished({"url": url})
    return Failed(Failure(Code.SERVER_ERROR, FINISHED_WITHOUT_A_VIDEO))


def _seen(item: object) -> SeenJob:
    match item:
        case {"request_id": str(found), "sent_at": str(sent_at), **more}:
            given = more.get("json_input")
            told = given if isinstance(given, dict) else {}
            return SeenJob(found, unix_time(sent_at), {"input": json.dumps(told)})
    raise UnexpectedReply("an item of the history has no id or no time")


def _check_signature(jwks: str, signature: str, signed: bytes) -> None:
    """`jwks` is what `signing_keys` answered. Raises `Unverified` when none of its keys has signed."""
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        given = b""
    for key in _public_keys(jwks):
        try:
            key.verify(given, signed)
        except InvalidSignature:
            continue
        return
    raise Unverified("the notice is not signed with a key of fal's")


def _public_keys(jwks: str) -> Iterator[Ed25519PublicKey]:
    listed = (json_object(jwks.encode()) or {}).get("keys")
    for each in listed if isinstance(listed, list) else []:
        match each:
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                try:
                    yield Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(x + "=="))
                except ValueError:
                    continue
