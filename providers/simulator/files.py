"""The host of finished files: a signed link is all that it asks for. Shared by the dialects that give links."""

from aiohttp import web

from providers.simulator.downloads import send_clip
from providers.simulator.elsewhere import LINKS, linked_job_id, visit
from providers.simulator.engine import ENGINE
from providers.simulator.faults import Fault

PREFIX = LINKS


def build_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/{path:.+}", send, allow_head=False)
    return app


async def send(request: web.Request) -> web.StreamResponse:
    engine = request.config_dict[ENGINE]
    job_id = linked_job_id(request)
    if job_id is None:
        return _storage_error(403, "AuthenticationFailed")
    engine.ledger.links.append(visit(request, job_id))
    job, fault = engine.fetched(job_id)
    if job is None or job.status(engine.now()) != "succeeded":
        return _storage_error(404, "BlobNotFound")
    match fault:
        case Fault("expired"):
            return _storage_error(403, "AuthenticationFailed")
        case Fault(name) if name.isdigit():
            return _storage_error(int(name), "ServerBusy")
    return await send_clip(request, job, fault)


def _storage_error(status: int, code: str) -> web.Response:
    """As object storage words it."""
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")
