"""Sora.hk: an envelope with a code of its own around everything, most errors with HTTP 200, reasons in Chinese.

Facts: its API documentation of October 2025 and real calls of January 2026.
"""

import asyncio
import json
import uuid
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from providers.simulator.desk import NotTaken, status_of, take, waiting_headers
from providers.simulator.downloads import drop, html
from providers.simulator.elsewhere import link, redirect
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.faults import Fault, UnknownDirective
from providers.simulator.jobs import Job, Order
from providers.simulator.ledger import POST
from providers.simulator.videos import bad_json, progress

PREFIX = "/sorahk/v1"

_CHINA = timezone(timedelta(hours=8))
_STATUSES = {"queued": "pending", "running": "processing", "succeeded": "completed"}
_SIZES = {"horizontal": (1280, 720), "vertical": (720, 1280)}
_MODERATED = "此内容可能违反关于裸露、性内容或色情内容的相关规定。"
_FIELDS = {
    "prompt",
    "image_url",
    "is_pro",
    "duration",
    "resolution",
    "quality",
    "remove_watermark",
}
# A fault's name: the code in the body, in what status, with what text.
_WORDS = {
    "validation": (200, 1001, "参数错误"),
    "400": (400, 1001, "参数错误"),
    "balance": (200, 1012, "余额不足"),
    "402": (402, 1012, "余额不足"),
    "401": (401, 401, "未授权（API Key 无效或已禁用）"),
    "in_body_error": (200, 500, "服务器内部错误"),
}


class _Told(Exception):
    """An error in the envelope."""

    def __init__(self, code: int, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def build_app() -> web.Application:
    app = web.Application(middlewares=[_in_the_envelope])
    app.router.add_post("/create", create)
    app.router.add_get("/tasks/{id}", retrieve, allow_head=False)
    app.router.add_get("/tasks", list_tasks, allow_head=False)
    app.router.add_get("/balance", balance, allow_head=False)
    app.router.add_get("/pricing", pricing, allow_head=False)
    return app


async def create(request: web.Request) -> web.Response:
    order = _order(await _fields(request))
    try:
        job, fault = take(request, order, lambda: str(uuid.uuid4()))
    except NotTaken as refused:
        return _refuse(request, refused.fault)
    accepted = {"task_id": job.id, "status": "pending", "cost": 30 if _is_pro(order) else 3}
    match fault:
        case Fault("drop_after_create"):
            return drop(request)
        case Fault("500_after_create"):
            return _scripted(Fault("500"))
        case Fault("bad_json"):
            return bad_json(job)
        case Fault("no_id"):
            del accepted["task_id"]
        case Fault("hang", seconds):
            await asyncio.sleep(seconds or 0)
    return _told(accepted)


async def retrieve(request: web.Request) -> web.Response:
    job, fault = request.config_dict[ENGINE].polled(request.match_info["id"])
    if job is None:
        raise _Told(404, "任务不存在", status=404)
    match fault:
        case None:
            return _told(_task(request, job))
        case Fault("stuck"):
            return _told(_task(request, job) | {"status": "pending", "progress": 0})
        case Fault("unknown_status"):
            return _told(_task(request, job) | {"status": "rendering"})
        case Fault("no_output"):
            return _told(_task(request, job) | {"video_url": ""})
        case Fault("bad_json"):
            return bad_json(job)
    return _refuse(request, fault)


async def list_tasks(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    if engine.settings.list_status:
        return _scripted(Fault(str(engine.settings.list_status)))
    page, size = int(request.query.get("page", 1)), int(request.query.get("page_size", 20))
    jobs = engine.jobs.after(None, newest_first=True)
    shown = (job for job in jobs if engine.shown_in_list(job))
    tasks = [_task(request, job) for job in islice(shown, (page - 1) * size, page * size)]
    return _told({"list": tasks, "total": len(engine.jobs), "page": page, "page_size": size})


async def balance(request: web.Request) -> web.Response:
    return _told({"balance": 5000})


async def pricing(request: web.Request) -> web.Response:
    return _told({"normal_price": 3, "pro_price": 30, "currency": "USD", "unit": "cents"})


@web.middleware
async def _in_the_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        _check_access(request)
        return await handler(request)
    except _Told as told:
        return _error(request, told.code, str(told), told.status)
    except UnknownDirective as unknown:
        return _error(request, 1001, str(unknown), 200)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _error(request, 404, "Not Found", 404)


def _check_access(request: web.Request) -> None:
    engine: Engine = request.config_dict[ENGINE]
    if engine.settings.shutdown:
        raise _Told(404, "Not Found", status=404)
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key or engine.api_key not in (None, key):
        raise _Told(401, "未授权（API Key 无效或已禁用）")


async def _fields(request: web.Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.read())
    except ValueError as error:
        raise _Told(1001, "参数错误: JSON") from error
    if not isinstance(fields, dict) or not fields.keys() <= _FIELDS:
        raise _Told(1001, "参数错误")
    return fields


def _order(fields: dict[str, Any]) -> Order:
    """As its documentation has it; the models are told apart by `is_pro`."""
    prompt, image_url = fields.get("prompt"), fields.get("image_url")
    pro, duration = fields.get("is_pro", False), fields.get("duration", 10)
    if not isinstance(prompt, str) or not prompt:
        raise _Told(1001, "参数错误: prompt")
    if not isinstance(pro, bool) or duration not in ((10, 15, 25) if pro else (10, 15)):
        raise _Told(1001, "参数错误: duration")
    if fields.get("resolution", "horizontal") not in _SIZES:
        raise _Told(1001, "参数错误: resolution")
    if image_url is not None and not str(image_url).startswith(("http://", "https://")):
        raise _Told(1001, "参数错误: image_url")
    width, height = _SIZES[fields.get("resolution", "horizontal")]
    return Order(prompt, "sora2-pro" if pro else "sora2", duration, width, height, None, image_url)


def _is_pro(order: Order) -> bool:
    return order.model == "sora2-pro"


def _task(request: web.Request, job: Job) -> dict[str, Any]:
    engine = request.config_dict[ENGINE]
    now, order = engine.now(), job.order
    status = job.status(now)
    done = status == "succeeded"
    shown = {
        "task_id": job.id,
        "status": _STATUSES.get(status, "failed"),
        "progress": progress(job, now),
        "prompt": order.prompt,
        "video_url": link(request, job) if done else "",
        "is_pro": _is_pro(order),
        "duration": order.seconds,
        "resolution": "horizontal" if order.width > order.height else "vertical",
        "quality": "normal",
        "remove_watermark": True,
        "image_url": order.image_url or "",
        "error_msg": _reason(job) if status == "failed" else "",
        "created_at": _time(engine.wall(job.created_at)),
    }
    return shown | ({"completed_at": _time(engine.wall(job.finishes_at))} if done else {})


def _reason(job: Job) -> str:
    return _MODERATED if job.script.fail == "moderation" else "生成失败，请稍后重试"


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, _CHINA).isoformat(timespec="milliseconds")


def _told(data: dict[str, Any]) -> web.Response:
    return web.json_response({"code": 200, "message": "操作成功", "data": data})


def _error(request: web.Request, code: int, message: str, status: int) -> web.Response:
    if POST in request:
        request[POST].outcome = str(code)
    return web.json_response({"code": code, "message": message, "data": None}, status=status)


def _refuse(request: web.Request, fault: Fault) -> web.Response:
    match fault.name:
        case "drop_before_create" | "drop":
            return drop(request)
        case "html":
            return html(200)
        case "redirect":
            return redirect(request)
    return _scripted(fault)


def _scripted(fault: Fault) -> web.Response:
    if fault.name == "502":
        return html(502)
    status = status_of(fault)
    known = (status, status, "请求失败") if status else None
    words = _WORDS.get(fault.name, known)
    if words is None:
        raise UnknownDirective(f"this dialect has no {fault.name}")
    body = {"code": words[1], "message": words[2], "data": None}
    return web.json_response(body, status=words[0], headers=waiting_headers(fault))
