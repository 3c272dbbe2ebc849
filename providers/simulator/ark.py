"""Ark and ModelArk, ByteDance's APIs of Seedance."""

import secrets
import string
import time
from typing import Any

from aiohttp import web

from providers.simulator import envelope, tasks
from providers.simulator.desk import status_of, waiting_headers
from providers.simulator.elsewhere import link
from providers.simulator.engine import ENGINE
from providers.simulator.envelope import Refused, Words
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job
from providers.simulator.tasks import Model

PREFIX = "/ark/api/v3"

_FINE = {"480p": 480, "720p": 720, "1080p": 1080}
_NAMES = {
    "seedance-2-5-260628": Model(range(4, 31), _FINE),
    "seedance-2-0-260128": Model(range(4, 16), _FINE | {"4k": 2160}),
    "seedance-2-0-fast-260128": Model(range(4, 16), {"480p": 480, "720p": 720}),
}
# BytePlus and Beijing name the same models in their own ways; here both are known.
MODELS = {
    f"{maker}-{name}": model for name, model in _NAMES.items() for maker in ("dreamina", "doubao")
}
_FIELDS = {
    *("model", "content", "resolution", "ratio", "duration", "seed", "camera_fixed", "watermark"),
    *("generate_audio", "return_last_frame", "service_tier", "priority", "callback_url"),
    *("execution_expires_after", "safety_identifier", "draft"),
}
_LONGEST_IDENTIFIER = 64
_FRAMES_A_SECOND = 24
# status: code, message
_ERRORS = {
    400: ("InvalidParameter", "The parameter specified in the request is not valid."),
    401: ("AuthenticationError", "The API key in the request is missing or invalid."),
    403: ("AccessDenied", "You do not have access to the requested resource."),
    404: ("ResourceNotFound", "The specified resource is not found."),
    408: ("RequestTimeout", "The request timed out."),
    409: ("OperationDenied", "The task is running and cannot be canceled or deleted."),
    429: ("RateLimitExceeded.EndpointRPMExceeded", "The requests per minute are exceeded."),
}
_OTHER = ("BadRequest", "The request failed.")
_INTERNAL = ("InternalServiceError", "The service encountered an unexpected internal error.")
_SENSITIVE_INPUT = (
    "InputTextSensitiveContentDetected",
    "The request failed because the input text may contain sensitive information.",
)
_OVERDUE = (
    "AccountOverdueError",
    "The request failed because your account has an overdue balance.",
)
_FAILURES = {
    "moderation": (
        "OutputVideoSensitiveContentDetected",
        "The request failed because the output video may contain sensitive information.",
    ),
    "server_error": _INTERNAL,
}


class _Envelope(Words):
    def error(self, fault: Fault, model: str = "") -> Refused:
        match fault.name:
            case "moderation":
                return _error(400, *_SENSITIVE_INPUT)
            case "balance":
                return _error(403, *_OVERDUE)
            case "validation":
                return _error(400, *_ERRORS[400])
            case "404" if model:
                text = (
                    f"The model or endpoint {model} does not exist or you do not have access to it."
                )
                return _error(404, "InvalidEndpointOrModel.NotFound", text)
        status = status_of(fault)
        if status is None:
            raise UnknownDirective(f"this dialect has no {fault.name}")
        other = _INTERNAL if status >= 500 else _OTHER
        return _error(status, *_ERRORS.get(status, other), headers=waiting_headers(fault))

    def bad(self, message: str) -> Refused:
        return _error(400, "InvalidParameter", message)


_WORDS = _Envelope()


def build_app() -> web.Application:
    app = envelope.build_app(_WORDS)
    path = "/contents/generations/tasks"
    app.router.add_post(path, create)
    app.router.add_get(path, list_tasks, allow_head=False)
    app.router.add_get(f"{path}/{{id}}", retrieve, allow_head=False)
    app.router.add_delete(f"{path}/{{id}}", delete)
    return app


async def create(request: web.Request) -> web.Response:
    fields = await envelope.fields(request, _WORDS, _FIELDS)
    order = tasks.read_order(fields, MODELS, _WORDS)
    identifier = fields.get("safety_identifier", "")
    if not isinstance(identifier, str) or len(identifier) > _LONGEST_IDENTIFIER:
        raise _WORDS.bad(f"safety_identifier: at most {_LONGEST_IDENTIFIER} characters")

    def accepted(job: Job) -> dict[str, Any]:
        job.notes.update(safety_identifier=identifier, resolution=fields["resolution"])
        return {"id": job.id, "safety_identifier": identifier}

    return await envelope.submitted(request, _WORDS, order, _new_id, accepted)


async def retrieve(request: web.Request) -> web.Response:
    def show(job: Job, lie: str) -> dict[str, Any]:
        return _task(request, job, lie)

    return envelope.polled(request, _WORDS, show, _unknown)


async def list_tasks(request: web.Request) -> web.Response:
    return tasks.listed(request, _WORDS, lambda job: _task(request, job))


async def delete(request: web.Request) -> web.Response:
    return tasks.deleted(request, _WORDS, lambda job, done: web.json_response({}), _unknown)


def _new_id() -> str:
    letters = string.ascii_lowercase + string.digits
    end = "".join(secrets.choice(letters) for _ in range(5))
    return f"cgt-{time.strftime('%Y%m%d%H%M%S')}-{end}"


def _task(request: web.Request, job: Job, lie: str = "") -> dict[str, Any]:
    """What is not there yet is left out. No progress is told."""
    engine, order = request.config_dict[ENGINE], job.order
    now = engine.now()
    status = tasks.status(job, now, lie)
    task: dict[str, Any] = {
        "id": job.id,
        "model": order.model,
        "status": status,
        "created_at": int(engine.wall(job.created_at)),
        "updated_at": int(engine.wall(min(now, job.finishes_at))),
        "seed": job.number,
        "ratio": tasks.ratio_of(order),
        "duration": order.seconds,
        "framespersecond": _FRAMES_A_SECOND,
        "service_tier": "default",
        **job.notes,
    }
    if status == "failed":
        wanted = job.script.fail or "server_error"
        code, message = _FAILURES.get(wanted, (wanted, f"The task failed: {wanted}."))
        task["error"] = {"code": code, "message": message}
    if status == "succeeded":
        tokens = order.width * order.height * _FRAMES_A_SECOND * order.seconds // 1024
        task["usage"] = {"completion_tokens": tokens, "total_tokens": tokens}
        task["content"] = {} if lie == "no_output" else {"video_url": link(request, job)}
    return task


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Refused:
    kinds = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
    kind = kinds.get(status, "BadRequest" if status < 500 else "InternalServerError")
    error = {"code": code, "message": message, "param": "", "type": kind}
    return Refused(status, {"error": error}, headers)


def _unknown() -> Refused:
    return _error(404, *_ERRORS[404])
