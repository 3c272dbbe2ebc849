"""The test's side door, `/__sim__`: settings, reset, ledger. Open to all; bind to loopback."""

import json
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from providers.simulator.downloads import send_clip
from providers.simulator.elsewhere import visit
from providers.simulator.engine import ENGINE, Engine
from providers.simulator.jobs import Job

PREFIX = "/__sim__"


def build_app() -> web.Application:
    app = web.Application()
    app.router.add_post("/settings", configure)
    app.router.add_post("/reset", reset)
    app.router.add_get("/ledger", ledger)
    app.router.add_get("/files/{id}", file_of_another_origin)
    app.router.add_route("*", "/elsewhere", elsewhere)
    return app


async def configure(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    try:
        engine.configure(dict(await request.json()))
    except (ValidationError, ValueError, TypeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response(engine.settings.model_dump())


async def reset(request: web.Request) -> web.Response:
    request.config_dict[ENGINE].reset()
    return web.json_response({})


async def ledger(request: web.Request) -> web.Response:
    engine = request.config_dict[ENGINE]
    if request.query.get("summary"):
        return web.json_response(engine.summary())
    return web.Response(text=json.dumps(_full(engine)), content_type="application/json")


async def file_of_another_origin(request: web.Request) -> web.StreamResponse:
    """Where `fetch=redirect_other_origin` leads; no key is asked for, and none should come."""
    engine = request.config_dict[ENGINE]
    job = engine.jobs.find(request.match_info["id"])
    if job is None:
        raise web.HTTPNotFound
    engine.ledger.redirected.append(visit(request, job.id))
    return await send_clip(request, job, None)


async def elsewhere(request: web.Request) -> web.Response:
    """Where `submit=redirect` and `poll=redirect` lead; nobody should come."""
    request.config_dict[ENGINE].ledger.redirected.append(visit(request))
    return web.json_response({})


def _full(engine: Engine) -> dict[str, Any]:
    now, kept = engine.now(), engine.ledger
    more = {
        "deletes": len(kept.deletes),
        "in_flight": engine.jobs.in_flight(now),
        "charged_seconds": engine.jobs.charged_seconds(now),
    }
    return {
        "counts": engine.summary() | more,
        "posts": [post.as_json() for post in kept.posts],
        "jobs": [_job(engine, job, now) for job in engine.jobs],
        "polls": kept.polls,
        "fetches": kept.fetches,
        "deletes": kept.deletes,
        "cancels": kept.cancels,
        "redirected": kept.redirected,
        "links": kept.links,
        "webhooks": kept.webhooks,
    }


def _job(engine: Engine, job: Job, now: float) -> dict[str, Any]:
    return {
        "id": job.id,
        "created_at": engine.wall(job.created_at),
        "finished_at": engine.wall(job.finishes_at) if job.finished(now) else None,
        "status": job.status(now),
        "deleted": job.deleted,
        "prompt": job.order.prompt,
    }
