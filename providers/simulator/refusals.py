"""Requests that are refused, and the envelopes in which they are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True)
class Words:
    """How a dialect words one refusal. `kind` is the `type` of OpenAI's envelope."""

    status: int
    message: str
    code: str | None = None
    kind: str = "invalid_request_error"
    param: str | None = None


class Refused(Exception):
    """Raised anywhere below a route; the dialect puts it into its envelope."""

    def __init__(self, words: Words, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words.message)
        self.words = words
        self.headers = headers or {}


Envelope = Callable[[Words], dict[str, object]]


def refuse(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> Refused:
    return Refused(Words(status, message, code, param=param))


def answer(refused: Refused, envelope: Envelope) -> web.Response:
    words = refused.words
    return web.json_response(envelope(words), status=words.status, headers=refused.headers)


def openai_envelope(words: Words) -> dict[str, object]:
    named = {"message": words.message, "type": words.kind}
    return {"error": {**named, "param": words.param, "code": words.code}}


def detail_envelope(words: Words) -> dict[str, object]:
    """As FastAPI has it."""
    return {"detail": words.message}


def bare_envelope(words: Words) -> dict[str, object]:
    return {"code": words.code or "invalid_request", "message": words.message, "data": None}
