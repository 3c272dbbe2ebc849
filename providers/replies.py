"""What the answers of many providers have in common: JSON, error envelopes, waiting times.

Also what must not get into a message: keys, prompts, addresses.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from providers.errors import Failure

MESSAGE_LENGTH = 500
# A provider's mistake must not hold an account for a year.
LONGEST_WAIT = 24 * 3600.0

_SECRETS = re.compile(
    r"""
      (?:https?|wss?|ftp|s3|gs|file)://\S+ | \bdata:\S+ | \bwww\.\S+   # addresses
    | \b(?:bearer|basic)\s+[\w.~+/=*-]{6,}                             # headers
    | \b(?:sk|pk|rk|ak|r8|hf|xai)[-_][\w*.-]{5,}[\w*]                  # keys
    | \b(?:api[-_\ ]?key|token|secret|password)["']?\s*[=:]\s*["']?[^\s"',;]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
# So many characters in a row are a quotation, not a coincidence.
_QUOTED = 16


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


def clean(text: str, *hidden: str) -> str:
    """One short line for a person: without keys, addresses, and the `hidden` texts."""
    for secret in hidden:
        text = _without(text, secret)
    text = _SECRETS.sub("…", text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"


def hide(failure: Failure, *texts: str) -> Failure:
    """For texts that an adapter does not see when it reads an answer: the prompt, the key."""
    return replace(failure, message=clean(failure.message, *texts))


def _without(text: str, secret: str) -> str:
    """`text` without the passages that quote `secret`, in whole or in part."""
    size = min(_QUOTED, len(secret))
    if size < 4:
        return text
    pieces = {secret[i : i + size] for i in range(len(secret) - size + 1)}
    kept, done, i = [], 0, 0
    while i + size <= len(text):
        if text[i : i + size] not in pieces:
            i += 1
            continue
        end = i + size
        while text[end - size + 1 : end + 1] in pieces and end < len(text):
            end += 1
        kept += [text[done:i], "…"]
        done = i = end
    return "".join([*kept, text[done:]])


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
    then = _time(value)
    if then is None:
        return None
    return _bounded((then - (_time(date) or datetime.now(UTC))).total_seconds())


def _time(value: str | None) -> datetime | None:
    try:
        time = parsedate_to_datetime(value or "")
    except (ValueError, TypeError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)
