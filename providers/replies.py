"""What the answers of many providers have in common: JSON, error envelopes, waiting times."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from providers.base import Ambiguous, HttpAnswer, NoAnswer, Rejected
from providers.calls import is_usable_id
from providers.errors import Code, Failure, UnexpectedReply
from providers.messages import clean

# A provider's mistake must not hold an account for a year.
LONGEST_WAIT = 24 * 3600.0

# Codes and types of errors, in the words of OpenAI and of those who copied it.
_NAMES = {
    Code.CONTENT_POLICY: (
        "moderation_blocked",
        "content_policy_violation",
        "content_policy",
        "content_filter",
    ),
    Code.QUOTA_EXCEEDED: (
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_user_quota",
        "billing_error",
    ),
    Code.DEPENDENCY_ERROR: ("model_not_found",),
    Code.RATE_LIMITED: ("rate_limit", "rate_limited", "rate_limit_exceeded"),
    Code.SERVER_ERROR: ("server_error", "internal_error", "internal_server_error"),
}

# Refusals that are certain: nothing was made. 408 and 5xx are not among them.
REFUSALS = {
    400: Code.VALIDATION_ERROR,
    401: Code.UNAUTHORIZED,
    402: Code.QUOTA_EXCEEDED,
    403: Code.FORBIDDEN,
    404: Code.DEPENDENCY_ERROR,
    405: Code.VALIDATION_ERROR,
    409: Code.VALIDATION_ERROR,
    410: Code.DEPENDENCY_ERROR,
    413: Code.VALIDATION_ERROR,
    415: Code.VALIDATION_ERROR,
    422: Code.VALIDATION_ERROR,
    429: Code.RATE_LIMITED,
}
_UNSAID = {
    Code.CONTENT_POLICY: "The provider's moderation refused this.",
    Code.VALIDATION_ERROR: "The provider refused the request.",
    Code.UNAUTHORIZED: "The provider refused our key.",
    Code.FORBIDDEN: "The provider does not allow this to our account.",
    Code.QUOTA_EXCEEDED: "The account at the provider has no balance or quota left.",
    Code.RATE_LIMITED: "The provider asks us to slow down.",
    Code.TIMEOUT: "The provider ran out of time.",
    Code.DEPENDENCY_ERROR: "The provider does not know this address: the model or service is gone.",
    Code.SERVER_ERROR: "The provider had an error of its own.",
}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error as the provider words it; empty where it says nothing. `message` is not cleaned."""

    message: str = ""
    code: str = ""
    kind: str = ""

    def names(self, *words: str) -> bool:
        return self.code.lower() in words or self.kind.lower() in words


def json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def error_body(body: Mapping[str, Any] | None) -> ErrorBody:
    """Reads `{"error": {…}}`, `{"error": "…"}`, `{"detail": …}` and `{"message": …, "code": …}`."""
    if body is None:
        return ErrorBody()
    match body:
        case {"error": {**error}}:
            return ErrorBody(
                _text(error.get("message")), _text(error.get("code")), _text(error.get("type"))
            )
        case {"error": str(message)} | {"detail": str(message)}:
            return ErrorBody(message, _text(body.get("code")), _text(body.get("type")))
        case {"detail": [{"msg": str(message)}, *_]}:
            return ErrorBody(message)
        case {"message": str(message)}:
            return ErrorBody(message, _text(body.get("code")), _text(body.get("type")))
    return ErrorBody()


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def retry_after(headers: Mapping[str, str], *more: str) -> float | None:
    """Seconds that the provider asks us to wait; `more` names headers in milliseconds."""
    for name in ("retry-after-ms", *more):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return _bounded(milliseconds / 1000)
    value = headers.get("retry-after", "")
    seconds = _number(value)
    return _bounded(seconds) if seconds is not None else _until(value, headers.get("date"))


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(value: str, date: str | None) -> float | None:
    """An HTTP date is in the provider's time, so its own clock tells how far away it is."""
    then = http_date(value)
    if then is None:
        return None
    return _bounded((then - (http_date(date) or datetime.now(UTC))).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """A moment as HTTP headers write it; None when it is not one."""
    try:
        time = parsedate_to_datetime(value or "")
    except (ValueError, TypeError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)


def named(error: ErrorBody) -> Code | None:
    """What the provider's own words say; they are finer than a status."""
    return next((code for code, words in _NAMES.items() if error.names(*words)), None)


def failure(code: Code, error: ErrorBody, answer: HttpAnswer) -> Failure:
    """An answer that is an error, in the provider's words if it has any."""
    said = clean(error.message)
    text = said or _UNSAID[code]
    if error.names("model_not_found"):
        text = f"The model is gone: {said}" if said else "The model is gone."
    return Failure(code, text, answer.status, retry_after(answer.headers))


def job_failure(error: ErrorBody, prompt: object) -> Failure:
    """The error inside a failed job; `prompt` is whatever the job holds under that name."""
    code = named(error) or Code.UNKNOWN_ERROR
    said = clean(error.message, prompt if isinstance(prompt, str) else "")
    return Failure(code, said or _UNSAID.get(code, "The provider says that the job failed."))


def percent(progress: object) -> int | None:
    """A number, or as some relays have it, "30%"."""
    try:
        number = int(float(str(progress).removesuffix("%")))
    except (ValueError, OverflowError):
        return None
    return min(max(number, 0), 100)


# ---- what an answer comes to ---------------------------------------------------------------------

FINISHED_WITHOUT_A_VIDEO = "The provider says that the job is finished, without a video."
_REDIRECTED = "The base URL redirects to another one: set that one."
_GONE = (404, 410)
_MOST_DOLLARS = 10**8


def is_success(answer: HttpAnswer) -> bool:
    return 200 <= answer.status < 300


def refused(answer: HttpAnswer, error: ErrorBody, code: Code | None) -> Rejected | Ambiguous:
    """An answer to a submit that accepts nothing. `code` is what the provider's own words mean, if they mean one.

    Raises `UnexpectedReply` for a status that says neither yes nor no.
    """
    if answer.status in (301, 307, 308):
        return Rejected(Failure(Code.DEPENDENCY_ERROR, _REDIRECTED, answer.status))
    if answer.status == 408:
        return Ambiguous(_told(Code.TIMEOUT, error, answer))
    if answer.status >= 500:
        return Ambiguous(_told(Code.SERVER_ERROR, error, answer))
    if answer.status not in REFUSALS:
        raise UnexpectedReply(f"HTTP {answer.status} in answer to a submit")
    told = _told(code or named(error) or REFUSALS[answer.status], error, answer)
    gone = answer.status in _GONE and told.code == Code.DEPENDENCY_ERROR
    return Rejected(replace(told, gone=gone))


def unanswered(answer: HttpAnswer, error: ErrorBody, code: Code | None = None) -> NoAnswer:
    """An answer to a poll or a look-up that tells nothing of any job."""
    meant = code or named(error) or REFUSALS.get(answer.status, Code.SERVER_ERROR)
    return NoAnswer(_told(meant, error, answer), gone=answer.status in _GONE)


def _told(code: Code, error: ErrorBody, answer: HttpAnswer) -> Failure:
    return replace(failure(code, error, answer), provider_code=error.code or error.kind)


def job_id(value: object) -> str:
    """The id in an acceptance; raises `UnexpectedReply` when there is none that could be used."""
    if isinstance(value, str) and is_usable_id(value):
        return value
    raise UnexpectedReply("the answer to a submit has no usable id")


def dollars(value: object) -> Decimal | None:
    """A sum as a provider tells it, as our columns keep it; None when it is no sum."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        told = Decimal(str(value))
    except ArithmeticError:
        return None
    usable = told.is_finite() and 0 <= told < _MOST_DOLLARS
    return told.quantize(Decimal("0.0001")) if usable else None


def told_failure(
    error: ErrorBody, code: Code | None = None, *, output_refused: bool = False
) -> Failure:
    """What a failed job, or an error inside a success, says of itself. `code`: as in `refused`."""
    meant = code or named(error) or Code.UNKNOWN_ERROR
    text = clean(error.message) or _UNSAID.get(meant, "The provider says that the job failed.")
    return Failure(
        meant, text, provider_code=error.code or error.kind, output_refused=output_refused
    )
