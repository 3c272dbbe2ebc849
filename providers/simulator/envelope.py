"""What dialects of plain JSON and a bearer key have in common; how they word it is `Words`."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from providers.simulator.desk import NotTaken, take
from providers.simulator.downloads import drop, html
from providers.simulator.elsewhere import redirect
from providers.simulator.engine import ENGINE
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job, Order
from providers.simulator.ledger import POST
from providers.simulator.pictures import BadPicture
from providers.simulator.webhooks import Subscription, announce

_MOST_BYTES = 64 * 1024 * 1024
# What a poll may say of a job that is not so.
_LIES = frozenset({"stuck", "unknown_status", "no_output"})


class Refused(Exception):
    """A request that gets an error; raised anywhere below a route."""

    def __init__(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.body, self.headers = status, body, headers

    def answer(self) -> web.Response:
        return web.json_response(self.body, status=self.status, headers=self.headers)


class Words(ABC):
    """How a dialect says no."""

    @abstractmethod
    def error(self, fault: Fault, model: str = "") -> Refused:
        """For a fault that is a bare status, or one that the dialect has words for; raises UnknownDirective."""

    @abstractmethod
    def bad(self, message: str) -> Refused:
        """A request that is wrong in itself."""


def build_app(
    words: Words, *, open_paths: frozenset[str] = frozenset(), scheme: str = "Bearer"
) -> web.Application:
    """Its routes ask for the account's key, save those whose whole path is in `open_paths`."""

    @web.middleware
    async def in_the_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in open_paths:
                _check_access(request, words, scheme)
            return await handler(request)
        except Refused as refused:
            return _recorded(request, refused)
        except (UnknownDirective, BadPicture) as error:
            return _recorded(request, words.bad(str(error)))
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            return _recorded(request, words.error(Fault("404")))

    return web.Application(middlewares=[in_the_envelope], client_max_size=_MOST_BYTES)


def _check_access(request: web.Request, words: Words, wanted: str) -> None:
    engine = request.config_dict[ENGINE]
    if engine.settings.shutdown:
        raise words.error(Fault("404"))
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    expected = engine.api_key
    if scheme != wanted or not key.strip() or (expected and key.strip() != expected):
        raise words.error(Fault("401"))


def _recorded(request: web.Request, refused: Refused) -> web.Response:
    if POST in request:
        request[POST].outcome = "invalid_request"
    return refused.answer()


async def fields(
    request: web.Request, words: Words, known: set[str] | None = None
) -> dict[str, Any]:
    """The JSON object of a request, with no field but the known ones, if they are."""
    try:
        found = json.loads(await request.read())
    except ValueError as error:
        raise words.bad("the body is no JSON") from error
    if not isinstance(found, dict):
        raise words.bad("the body must be an object")
    for name in found.keys() - (found.keys() if known is None else known):
        raise words.bad(f"unknown parameter: {name}")
    return found


async def submitted(
    request: web.Request,
    words: Words,
    order: Order,
    new_id: Callable[[], str],
    accepted: Callable[[Job], dict[str, Any]],
    *,
    status: int = 200,
    subscription: Subscription | None = None,
) -> web.Response:
    """Take an order and answer it, or go wrong as its prompt asks. The first field of `accepted` is the id.

    Who has a `subscription` is told when the job has ended.
    """
    try:
        job, fault = take(request, order, new_id)
    except NotTaken as refused:
        return bare(request, refused.fault) or words.error(refused.fault, order.model).answer()
    body = accepted(job)
    if subscription:
        await announce(request, job, subscription)
    if fault and (answer := bare(request, fault)):
        return answer
    match fault:
        case Fault("500_after_create"):
            return words.error(Fault("500")).answer()
        case Fault("no_id"):
            body = dict(list(body.items())[1:])
        case Fault("hang", seconds):
            await asyncio.sleep(seconds or 0)
    return web.json_response(body, status=status)


def polled(
    request: web.Request,
    words: Words,
    show: Callable[[Job, str], dict[str, Any]],
    unknown: Callable[[], Refused],
    *,
    lies: frozenset[str] = frozenset(),
) -> web.Response:
    """A job by the `id` of the path. `show` gets the name of a fault that is a lie about the job, or nothing.

    `lies` are those that this dialect has beside the common ones.
    """
    job, fault = request.config_dict[ENGINE].polled(request.match_info["id"])
    if job is None or (fault and fault.name == "404"):
        raise unknown()
    if fault is None or fault.name in _LIES | lies:
        return web.json_response(show(job, fault.name if fault else ""))
    return bare(request, fault) or words.error(fault).answer()


def bare(request: web.Request, fault: Fault) -> web.Response | None:
    """The answer of a fault that has no words; None for the others."""
    match fault.name:
        case "drop" | "drop_before_create" | "drop_after_create":
            return drop(request)
        case "html":
            return html(200)
        case "502":
            return html(502)
        case "redirect":
            return redirect(request)
        case "bad_json":
            return web.Response(text='{"id": "cut-in-the-', content_type="application/json")
    return None
