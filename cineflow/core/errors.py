"""What can go wrong in the domain, each with the code and status that HTTP clients see.

Views raise nothing else; `cineflow.api.errors` turns these into the envelope `{code, message, details?}`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from pydantic import ValidationError

MAX_PROBLEMS = 1_000


class Problem(TypedDict):
    """One fault of a document: where (keys and indexes), what, and a stable word for it."""

    loc: list[str | int]
    msg: str
    type: str


class DomainError(Exception):
    """A refusal that the caller can do something about."""

    code = "server_error"
    status = 500

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(DomainError):
    code, status = "not_found", 404


class Conflict(DomainError):
    code, status = "conflict", 409


class IdempotencyKeyReused(DomainError):
    code, status = "idempotency_key_reused", 422


class Forbidden(DomainError):
    code, status = "forbidden", 403


class PayloadTooLarge(DomainError):
    code, status = "payload_too_large", 413


class Unavailable(DomainError):
    code, status = "unavailable", 503


class Invalid(DomainError):
    """A request whose content breaks the rules; carries every problem found, capped."""

    code, status = "validation_error", 400

    def __init__(self, problems: Sequence[Problem], message: str = "Invalid request") -> None:
        super().__init__(message, details={"errors": capped(problems)})


class InvalidStoryboard(Invalid):
    code = "schema_error"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems, "Invalid storyboard schema")


def problem(loc: Iterable[str | int], msg: str, kind: str = "value_error") -> Problem:
    return {"loc": list(loc), "msg": msg, "type": kind}


def capped(problems: Sequence[Problem]) -> list[Problem]:
    """The first 1,000 problems, and one that tells how many there were."""
    if len(problems) <= MAX_PROBLEMS:
        return list(problems)
    total = problem(
        [],
        f"{len(problems)} errors in all; the first {MAX_PROBLEMS} are listed.",
        "too_many_errors",
    )
    return [*problems[:MAX_PROBLEMS], total]


def problems_of(error: ValidationError) -> list[Problem]:
    """Pydantic's findings in our words: it would name classes of ours, and prefix our own sentences."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [problem(item["loc"], _words(item["type"], item["msg"]), item["type"]) for item in found]


def _words(kind: str, msg: str) -> str:
    if kind in ("model_type", "dict_type"):
        return "Input should be an object"
    return msg.removeprefix("Value error, ")
