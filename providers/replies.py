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
from providers.meanings import Meaning, of_code, of_text
from providers.messages import clean

# A provider's mistake must not hold an account for a year.
LONGEST_WAIT = 24 * 3600.0

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


_GONE = (404, 410)
# Statuses that leave open what is wrong: there the text may tell.
_OPEN = (400, 403, 409, 422)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error as the provider words it; empty where it says nothing. `message` is not cleaned."""

    message: str = ""
    code: str = ""
    kind: str = ""

    @property
    def word(self) -> str:
        """The provider's own word for it; a bare HTTP status only where it has no other."""
        is_status = self.code.isdigit() and 400 <= int(self.code) < 600
        return self.kind if self.kind and is_status else self.code or self.kind


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


def meaning(error: ErrorBody, status: int | None = None) -> Meaning | None:
    """What is wrong: by the provider's code, by a status that says it, and by its text where neither does.

    `status` is None for an error inside a success, such as that of a failed job.
    """
    said = of_code(error.code, error.kind)
    if said is None and status is None and error.code.isdigit():
        said = _of_status(int(error.code))
    if said is None and (status is None or status in _OPEN):
        said = of_text(error.message)
    return said or (None if status is None else _of_status(status))


def _of_status(status: int) -> Meaning | None:
    code = REFUSALS.get(status, Code.SERVER_ERROR if 500 <= status < 600 else None)
    return Meaning(code, gone=status in _GONE) if code else None


def named(error: ErrorBody) -> Code | None:
    """What the provider's own code says; it is finer than a status."""
    said = of_code(error.code, error.kind)
    return said.code if said else None


def told_failure(
    error: ErrorBody,
    code: Code | None = None,
    *,
    output_refused: bool = False,
    prompt: object = "",
) -> Failure:
    """What a failed job, or an error inside a success, says of itself. `code`: as in `refused`.

    `prompt` is whatever the job holds under that name, lest the text quote it.
    """
    meant = Meaning(code) if code else meaning(error) or Meaning(Code.UNKNOWN_ERROR)
    said = clean(error.message, prompt if isinstance(prompt, str) else "")
    return Failure(
        meant.code,
        said or _UNSAID.get(meant.code, "The provider says that the job failed."),
        provider_code=error.word,
        gone=meant.gone,
        output_refused=output_refused or meant.output_refused,
    )


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
_MOST_DOLLARS = 10**8


def is_success(answer: HttpAnswer) -> bool:
    return 200 <= answer.status < 300


def refused(answer: HttpAnswer, error: ErrorBody, code: Code | None = None) -> Rejected | Ambiguous:
    """An answer to a submit that accepts nothing. `code` is what the provider's own words mean, if they mean one.

    Raises `UnexpectedReply` for a status that says neither yes nor no.
    """
    if answer.status in (301, 307, 308):
        return Rejected(Failure(Code.DEPENDENCY_ERROR, _REDIRECTED, answer.status))
    if answer.status == 408:
        return Ambiguous(_told(Meaning(Code.TIMEOUT), error, answer))
    if answer.status >= 500:
        return Ambiguous(_told(Meaning(Code.SERVER_ERROR), error, answer))
    if answer.status not in REFUSALS:
        raise UnexpectedReply(f"HTTP {answer.status} in answer to a submit")
    return Rejected(_told(_meant(answer, error, code), error, answer))


def unanswered(answer: HttpAnswer, error: ErrorBody, code: Code | None = None) -> NoAnswer:
    """An answer to a poll or a look-up that tells nothing of any job."""
    # What is not there is the job: a poll does not ask for a model.
    told = replace(failure(code, error, answer), gone=False)
    return NoAnswer(told, gone=answer.status in _GONE)


def failure(code: Code | None, error: ErrorBody, answer: HttpAnswer) -> Failure:
    """An answer that is an error, in the provider's words if it has any. `code`: as in `refused`."""
    return _told(_meant(answer, error, code), error, answer)


def _meant(answer: HttpAnswer, error: ErrorBody, code: Code | None) -> Meaning:
    if code:
        return Meaning(code, gone=code == Code.DEPENDENCY_ERROR and answer.status in _GONE)
    return meaning(error, answer.status) or Meaning(Code.SERVER_ERROR)


def _told(meant: Meaning, error: ErrorBody, answer: HttpAnswer) -> Failure:
    said = clean(error.message)
    text = said or _UNSAID.get(meant.code, "The provider refused this.")
    if of_code(error.code, error.kind) == Meaning(Code.DEPENDENCY_ERROR, gone=True):
        text = f"The model is gone: {said}" if said else "The model is gone."
    return Failure(
        meant.code,
        text,
        answer.status,
        retry_after(answer.headers),
        provider_code=error.word,
        gone=meant.gone,
        output_refused=meant.output_refused,
    )


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


def unix_time(text: object) -> float:
    """Of a time as ISO 8601 has it; raises `UnexpectedReply` when it is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        raise UnexpectedReply("the answer has no time that can be read") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
