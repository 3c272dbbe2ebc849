"""fal: its queue, and of its platform API the history, the balance and the keys that sign its notices."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web

from providers.simulator import envelope
from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.envelope import Refused, Words
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.inputs import BadInput, Schema
from providers.simulator.jobs import Job
from providers.simulator.webhooks import Subscription, fals, fals_keys

PREFIX = "/fal"
QUEUE, API = "/queue", "/api/v1"

_SOUND = {"generate_audio": bool}
_FINE = ("720p", "480p", "1080p")


def _two(text: Schema, image: str) -> tuple[Schema, Schema]:
    """From a text, and from a picture whose shape it keeps."""
    return text, replace(text, image=image, needs_image=True, ratio="")


def _endpoints() -> dict[str, Schema]:
    veo = _two(
        Schema((4, 6, 8), duration="8s", resolutions=(*_FINE, "4k"), others=_SOUND), "image_url"
    )
    families = {
        "bytedance/seedance-2.5": _two(
            Schema(range(4, 31), duration="8", resolutions=_FINE, others=_SOUND), "image_url"
        ),
        "bytedance/seedance-2.0": _two(
            Schema(range(4, 16), duration="8", resolutions=(*_FINE, "4k"), others=_SOUND),
            "image_url",
        ),
        "fal-ai/kling-video/v3/pro": _two(
            Schema(range(3, 16), duration="8", others=_SOUND), "start_image_url"
        ),
        "minimax/h3": _two(
            Schema(range(5, 16), resolutions=("768P", "480P", "2K", "4K")), "image_url"
        ),
        "alibaba/wan-3.0": _two(Schema(range(2, 31), resolutions=_FINE), "start_image_url"),
    }
    known: dict[str, Schema] = {}
    for name, (text, picture) in families.items():
        known |= {f"{name}/text-to-video": text, f"{name}/image-to-video": picture}
    for name in ("fal-ai/veo3.1", "fal-ai/veo3.1/fast"):
        known |= {name: veo[0], f"{name}/image-to-video": veo[1]}
    return known


ENDPOINTS = _endpoints()

_STATUS = {"queued": "IN_QUEUE", "running": "IN_PROGRESS"}
_FLAGGED = (
    "The content could not be processed because it contained material flagged by a content checker."
)
_DETAILS = {
    401: "Authentication is required to access this application.",
    402: "Payment required.",
    403: "Forbidden",
    404: "Request not found",
    408: "Request timeout",
    409: "Conflict",
    410: "Gone",
    422: "Unprocessable entity",
    429: "Queue is full",
}
# What `fail=` asks for: status and the type of the error
_FAILURES = {
    "moderation": (422, "content_policy_violation", _FLAGGED),
    "server_error": (500, "internal_server_error", "Internal Server Error"),
    "timeout": (504, "generation_timeout", "Generation timed out"),
}


class _Envelope(Words):
    def error(self, fault: Fault, model: str = "") -> Refused:
        match fault.name:
            case "moderation":
                return _typed(422, "content_policy_violation", _FLAGGED, "prompt")
            case "validation":
                return _typed(422, "literal_error", "Input should be '4', '5' or '6'", "duration")
            case "balance":
                locked = "User is locked. Reason: Exhausted balance."
                return Refused(403, {"detail": locked})
            case "404" if model:
                return Refused(404, {"detail": f"Application '{model}' not found"})
        status = status_of(fault)
        if status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        detail = _DETAILS.get(status, "Internal Server Error" if status >= 500 else "Bad request")
        return Refused(status, {"detail": detail}, waiting_headers(fault))

    def bad(self, message: str) -> Refused:
        return _typed(422, "value_error", message, "prompt")


_WORDS = _Envelope()


def build_app() -> web.Application:
    keys = f"{API}/.well-known/jwks.json"
    app = envelope.build_app(_WORDS, open_paths=frozenset({f"{PREFIX}{keys}"}), scheme="Key")
    request = f"{QUEUE}/{{owner}}/{{alias}}/requests/{{id}}"
    app.router.add_get(f"{request}/status", status, allow_head=False)
    app.router.add_get(request, result, allow_head=False)
    app.router.add_put(f"{request}/cancel", cancel)
    app.router.add_post(f"{QUEUE}/{{endpoint:.+}}", submit)
    app.router.add_get(f"{API}/models/requests/by-endpoint", history, allow_head=False)
    app.router.add_get(f"{API}/account/billing", billing, allow_head=False)
    app.router.add_get(keys, signing_keys, allow_head=False)
    return app


# ---- the queue -----------------------------------------------------------------------------------


async def submit(request: web.Request) -> web.Response:
    endpoint = request.match_info["endpoint"]
    schema = ENDPOINTS.get(endpoint)
    if schema is None:
        raise _WORDS.error(Fault("404"), endpoint)
    given = await envelope.fields(request, _WORDS)
    try:
        order = schema.read(endpoint, given)
    except BadInput as bad:
        raise _typed(422, "value_error", str(bad), bad.name) from bad

    def accepted(job: Job) -> dict[str, Any]:
        job.notes["input"] = given
        queued = {"status": "IN_QUEUE", "queue_position": 0, "gateway_request_id": job.id}
        return {"request_id": job.id, **queued, **_links(request, job)}

    return await envelope.submitted(
        request,
        _WORDS,
        order,
        lambda: str(uuid.uuid4()),
        accepted,
        subscription=_subscription(request),
    )


async def status(request: web.Request) -> web.Response:
    """202 while it is waited for, 200 when it has ended, however it did."""
    _check_app(request)
    waiting = False

    def show(job: Job, lie: str) -> dict[str, Any]:
        nonlocal waiting
        word = _word(request.config_dict[ENGINE], job, lie)
        waiting = word != "COMPLETED"
        # The next result that is asked for goes wrong; how a request ended is not in its status.
        job.notes["result"] = lie
        shown: dict[str, Any] = {"status": word, "request_id": job.id, "logs": None}
        if word == "IN_QUEUE":
            shown["queue_position"] = 0
        return shown | _links(request, job)

    lies = frozenset({"result_refused", "result_error"})
    answer = envelope.polled(request, _WORDS, show, _unknown, lies=lies)
    if waiting:
        answer.set_status(202)
    return answer


def _word(engine: Engine, job: Job, lie: str) -> str:
    match lie:
        case "stuck":
            return "IN_QUEUE"
        case "unknown_status":
            return "RENDERING"
    return _STATUS.get(job.status(engine.now()), "COMPLETED")


async def result(request: web.Request) -> web.Response:
    _check_app(request)
    job = request.config_dict[ENGINE].jobs.find(request.match_info["id"])
    if job is None:
        raise _unknown()
    match job.notes.pop("result", ""):
        case "result_error":
            raise _WORDS.error(Fault("500"))
        case "result_refused":
            text = "Failed to download the file."
            raise _typed(422, "file_download_error", text, "image_url")
        case "no_output":
            return web.json_response({"video": None, "seed": 42})
    code, body = _ended(request, job)
    return web.json_response(body, status=code)


def _ended(request: web.Request, job: Job) -> tuple[int, dict[str, Any]]:
    """The status and the body of a result, or why there is none."""
    match job.status(request.config_dict[ENGINE].now()):
        case "succeeded":
            file = {"content_type": "video/mp4", "file_name": "output.mp4"}
            return 200, {"video": {"url": link(request, job), **file}, "seed": 42}
        case "failed":
            wanted = job.script.fail or "server_error"
            code, kind, text = _FAILURES.get(wanted, (422, wanted, "The request failed."))
            return code, _typed(code, kind, text, "prompt").body
        case "canceled":
            text = "Request was cancelled by the client"
            return 499, {"detail": text, "error_type": "client_cancelled"}
    return 400, {"detail": "Request is still in progress"}


async def cancel(request: web.Request) -> web.Response:
    """What waits is taken out of the queue; what runs is told to stop, and does."""
    _check_app(request)
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    fault = engine.cancel_fault(job) if job else None
    if job is None or (fault and fault.name == "unsupported"):
        return web.json_response({"status": "NOT_FOUND"}, status=404)
    if fault and fault.name != "too_late":
        return envelope.bare(request, fault) or _WORDS.error(fault).answer()
    waits = job.status(engine.now()) == "queued"
    if fault or not engine.cancel(job):
        return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
    if waits:
        return web.json_response({"status": "OK"})
    return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)


def _subscription(request: web.Request) -> Subscription | None:
    url = request.query.get("fal_webhook")
    if not url:
        return None

    def tell(job: Job) -> Mapping[str, Any]:
        code, body = _ended(request, job)
        names = {"request_id": job.id, "gateway_request_id": job.id}
        if code == 200:
            return {**names, "status": "OK", "payload": body}
        return {
            **names,
            "status": "ERROR",
            "error": f"Invalid status code: {code}",
            "payload": body,
        }

    return Subscription(url, fals, tell, event_id=lambda job: job.id)


def _app_path(job: Job) -> str:
    """Requests live below the first two parts of their endpoint."""
    return "/".join(job.order.model.split("/")[:2])


def _check_app(request: web.Request) -> None:
    """A request that is asked for below another app, or below its whole endpoint, is not there."""
    job = request.config_dict[ENGINE].jobs.find(request.match_info["id"])
    if job and _app_path(job) != "{owner}/{alias}".format(**request.match_info):
        raise _unknown()


def _links(request: web.Request, job: Job) -> dict[str, str]:
    origin = f"{request.url.scheme}://{request.host}"
    base = f"{origin}{PREFIX}{QUEUE}/{_app_path(job)}/requests/{job.id}"
    return {
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
    }


def _typed(status: int, kind: str, text: str, name: str) -> Refused:
    where = {"loc": ["body", name], "msg": text, "type": kind, "input": "…"}
    return Refused(status, {"detail": [where]})


def _unknown() -> Refused:
    return _WORDS.error(Fault("404"))


# ---- the platform --------------------------------------------------------------------------------


async def history(request: web.Request) -> web.Response:
    """What has ended, the last ended first: a request that runs is not in it."""
    engine = request.config_dict[ENGINE]
    if engine.settings.list_status:
        return _WORDS.error(Fault(str(engine.settings.list_status))).answer()
    endpoints = set(request.query.getall("endpoint_id", []))
    if not endpoints:
        raise _platform_error(400, "validation_error", "endpoint_id is required")
    since = datetime.fromisoformat(request.query.get("start", "1970-01-01T00:00:00Z")).timestamp()
    first, limit = _number(request, "cursor", 0), _number(request, "limit", 50)
    ended = sorted(
        (
            job
            for job in engine.jobs
            if job.order.model in endpoints
            and job.status(engine.now()) not in _STATUS
            and engine.wall(job.created_at) >= since
        ),
        key=lambda job: (_ended_at(engine, job), job.number),
        reverse=True,
    )
    page = [job for job in islice(ended, first, first + limit) if engine.shown_in_list(job)]
    more = first + limit < len(ended)
    return web.json_response(
        {
            "items": [_item(request, job) for job in page],
            "next_cursor": str(first + limit) if more else None,
            "has_more": more,
        }
    )


def _ended_at(engine: Engine, job: Job) -> float:
    """One that was canceled ended before its time, which may never come."""
    return min(job.finishes_at, engine.now())


def _item(request: web.Request, job: Job) -> dict[str, Any]:
    engine = request.config_dict[ENGINE]
    code, body = _ended(request, job)
    item: dict[str, Any] = {
        "request_id": job.id,
        "endpoint_id": job.order.model,
        "sent_at": _iso(engine.wall(job.created_at)),
        "started_at": _iso(engine.wall(job.created_at)),
        "ended_at": _iso(engine.wall(_ended_at(engine, job))),
        "status_code": code,
        "duration": _ended_at(engine, job) - job.created_at,
    }
    if request.query.get("expand") == "payloads":
        item |= {"json_input": job.notes["input"], "json_output": body}
    return item


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdigit() or (name == "limit" and not 1 <= int(text) <= 100):
        raise _platform_error(400, "validation_error", f"{name} is not valid")
    return int(text)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _platform_error(status: int, kind: str, message: str) -> Refused:
    return Refused(status, {"error": {"type": kind, "message": message}})


async def billing(request: web.Request) -> web.Response:
    credits_left = {"current_balance": 24.5, "currency": "USD"}
    asked = request.query.get("expand") == "credits"
    return web.json_response(
        {"username": "simulated"} | ({"credits": credits_left} if asked else {})
    )


async def signing_keys(request: web.Request) -> web.Response:
    return web.json_response(fals_keys())
