"""Replicate: predictions of hosted models, as its HTTP API has them in 2026-11."""

import hashlib
import secrets
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from providers.simulator import envelope
from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.envelope import Refused, Words
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.inputs import BadInput, Schema
from providers.simulator.jobs import Job
from providers.simulator.webhooks import Subscription, standard

PREFIX = "/replicate/v1"

_SOUND = {"generate_audio": bool}
_FINE = ("720p", "480p", "1080p")
_VEO = Schema((4, 6, 8), image="image", resolutions=("720p", "1080p"), others=_SOUND)
MODELS = {
    "bytedance/seedance-2.5": Schema(range(4, 31), image="image", resolutions=_FINE, others=_SOUND),
    "bytedance/seedance-2.0": Schema(range(4, 16), image="image", resolutions=_FINE, others=_SOUND),
    "google/veo-3.1": _VEO,
    "google/veo-3.1-fast": _VEO,
    "minimax/h3": Schema(
        range(4, 16), image="first_frame_image", ratio="ratio", resolutions=("768P", "2K")
    ),
}
VERSIONS = {hashlib.sha256(name.encode()).hexdigest(): name for name in MODELS}

_FIELDS = {"input", "version", "webhook", "webhook_events_filter", "stream"}
_PAGE = 100
_KEPT_SECONDS = 3600
_LONGEST_DATA_URL = 256_000
_STATUS = {"queued": "starting", "running": "processing"}
# status: title, detail
_PROBLEMS = {
    401: ("Unauthenticated", "You did not pass a valid authentication token"),
    402: ("Insufficient credit", "You have insufficient credit to run this model."),
    403: ("Forbidden", "You do not have permission to perform this action."),
    404: ("Not found", "The requested resource could not be found."),
    429: ("Too many requests", "Request was throttled. Your rate limit resets in ~1s."),
}
_INTERNAL = ("Internal server error", "An internal error occurred. Please try again later.")
_REFUSED = ("Bad request", "The request could not be processed.")
_SENSITIVE = (
    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
)
_FAILURES = {
    "moderation": f"{_SENSITIVE} (rq8K2)",
    "server_error": "Prediction failed: the model ran out of memory (E1001)",
}


class _Envelope(Words):
    def error(self, fault: Fault, model: str = "") -> Refused:
        match fault.name:
            case "moderation":
                return _problem(422, "Unprocessable", _SENSITIVE)
            case "validation":
                return self.bad("duration: Must be less than or equal to 15")
            case "balance":
                return _problem(402, *_PROBLEMS[402])
        status = status_of(fault)
        if status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        other = _INTERNAL if status >= 500 else _REFUSED
        return _problem(status, *_PROBLEMS.get(status, other), headers=waiting_headers(fault))

    def bad(self, message: str) -> Refused:
        return _problem(422, "Input validation failed", f"- input.{message}\n")


_WORDS = _Envelope()


def build_app() -> web.Application:
    app = envelope.build_app(_WORDS)
    app.router.add_post("/models/{owner}/{name}/predictions", create_of_model)
    app.router.add_post("/predictions", create_of_version)
    app.router.add_get("/predictions", list_predictions, allow_head=False)
    app.router.add_get("/predictions/{id}", retrieve, allow_head=False)
    app.router.add_post("/predictions/{id}/cancel", cancel)
    app.router.add_get("/account", account, allow_head=False)
    app.router.add_get("/webhooks/default/secret", webhook_secret, allow_head=False)
    return app


async def create_of_model(request: web.Request) -> web.Response:
    name = "{owner}/{name}".format(**request.match_info)
    fields = await envelope.fields(request, _WORDS, _FIELDS - {"version"})
    return await _create(request, name, fields)


async def create_of_version(request: web.Request) -> web.Response:
    fields = await envelope.fields(request, _WORDS, _FIELDS)
    name = VERSIONS.get(str(fields.get("version")))
    if name is None:
        raise _problem(422, "Invalid version or not permitted", "The version does not exist.")
    return await _create(request, name, fields)


async def _create(request: web.Request, name: str, fields: Mapping[str, Any]) -> web.Response:
    schema, given = MODELS.get(name), fields.get("input")
    if schema is None:
        raise _WORDS.error(Fault("404"), name)
    if not isinstance(given, dict):
        raise _problem(422, "Input validation failed", "- input: input is required\n")
    if len(str(given.get(schema.image, ""))) > _LONGEST_DATA_URL:
        raise _WORDS.bad(f"{schema.image}: A data URL may have 256 kB")
    try:
        order = schema.read(name, given)
    except BadInput as bad:
        raise _WORDS.bad(f"{bad.name}: {bad}") from bad

    def accepted(job: Job) -> dict[str, Any]:
        job.notes["input"] = given
        return _prediction(request, job)

    return await envelope.submitted(
        request,
        _WORDS,
        order,
        _new_id,
        accepted,
        status=201,
        subscription=_subscription(request, fields),
    )


async def retrieve(request: web.Request) -> web.Response:
    def show(job: Job, lie: str) -> dict[str, Any]:
        return _prediction(request, job, lie)

    return envelope.polled(request, _WORDS, show, _unknown)


async def cancel(request: web.Request) -> web.Response:
    """Answers with the prediction, whether it ended by that or not."""
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    fault = engine.cancel_fault(job) if job else None
    if job is None or (fault and fault.name == "unsupported"):
        raise _unknown()
    if fault and fault.name != "too_late":
        return envelope.bare(request, fault) or _WORDS.error(fault).answer()
    if fault is None:
        engine.cancel(job)
    return web.json_response(_prediction(request, job))


async def list_predictions(request: web.Request) -> web.Response:
    """The newest first, a hundred a page."""
    engine = request.config_dict[ENGINE]
    if engine.settings.list_status:
        return _WORDS.error(Fault(str(engine.settings.list_status))).answer()
    after = request.query.get("created_after", "1970-01-01T00:00:00Z")
    since = datetime.fromisoformat(after).timestamp()
    first = int(request.query.get("cursor", "0"))
    made = [
        job
        for job in engine.jobs.after(None, newest_first=True)
        if job.order.model in MODELS and engine.wall(job.created_at) >= since
    ]
    page = [job for job in islice(made, first, first + _PAGE) if engine.shown_in_list(job)]
    more = first + _PAGE < len(made)
    query = urlencode({"created_after": after, "cursor": first + _PAGE})
    return web.json_response(
        {
            "next": f"{_base(request)}/predictions?{query}" if more else None,
            "previous": None,
            "results": [_prediction(request, job) for job in page],
        }
    )


async def account(request: web.Request) -> web.Response:
    known = {"type": "user", "username": "simulated", "name": "Simulated", "github_url": None}
    return web.json_response(known)


async def webhook_secret(request: web.Request) -> web.Response:
    return web.json_response({"key": request.config_dict[ENGINE].settings.webhook_secret})


def _subscription(request: web.Request, fields: Mapping[str, Any]) -> Subscription | None:
    """Of all the events only the last is told here."""
    url, wanted = fields.get("webhook"), fields.get("webhook_events_filter", ["completed"])
    if not isinstance(url, str) or "completed" not in wanted:
        return None
    secret = request.config_dict[ENGINE].settings.webhook_secret
    return Subscription(url, standard(secret), lambda job: _prediction(request, job))


# ---- answers -------------------------------------------------------------------------------------


def _prediction(request: web.Request, job: Job, lie: str = "") -> dict[str, Any]:
    engine = request.config_dict[ENGINE]
    status = _status(engine, job, lie)
    ended = status not in ("starting", "processing")
    erased = ended and engine.now() >= job.finishes_at + _KEPT_SECONDS
    shows = status == "succeeded" and lie != "no_output" and not erased
    base = f"{_base(request)}/predictions/{job.id}"
    return {
        "id": job.id,
        "model": job.order.model,
        "version": "hidden",
        "input": {} if erased else job.notes["input"],
        "logs": "",
        "output": link(request, job) if shows else None,
        "data_removed": erased,
        "error": _failure(job) if status == "failed" else None,
        "source": "api",
        "status": status,
        "created_at": _iso(engine.wall(job.created_at)),
        "started_at": None if status == "starting" else _iso(engine.wall(job.created_at)),
        "completed_at": _iso(engine.wall(min(job.finishes_at, engine.now()))) if ended else None,
        "urls": {
            "get": base,
            "cancel": f"{base}/cancel",
            "web": f"https://replicate.com/p/{job.id}",
        },
        "metrics": {"predict_time": job.order.seconds} if status == "succeeded" else {},
    }


def _status(engine: Engine, job: Job, lie: str) -> str:
    match lie:
        case "stuck":
            return "starting"
        case "unknown_status":
            return "rendering"
    status = job.status(engine.now())
    return _STATUS.get(status, status)


def _failure(job: Job) -> str:
    wanted = job.script.fail or "server_error"
    return _FAILURES.get(wanted, f"Prediction failed: {wanted}")


def _new_id() -> str:
    letters = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(letters) for _ in range(26))


def _base(request: web.Request) -> str:
    return f"{request.url.scheme}://{request.host}{PREFIX}"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _problem(
    status: int, title: str, detail: str, *, headers: dict[str, str] | None = None
) -> Refused:
    """As RFC 7807 has it, without its type."""
    return Refused(status, {"title": title, "detail": detail, "status": status}, headers)


def _unknown() -> Refused:
    return _WORDS.error(Fault("404"))
