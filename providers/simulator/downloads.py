"""Sending a job's file, rightly or as scripted; the same for every dialect."""

import asyncio
import hashlib

from aiohttp import web

from providers.simulator import clips
from providers.simulator.elsewhere import other_origin
from providers.simulator.faults import Fault
from providers.simulator.jobs import Job

_SLOW_PIECES = 10


def drop(request: web.Request) -> web.Response:
    """Close the socket without an answer."""
    if request.transport:
        request.transport.abort()
    return web.Response()  # aiohttp asks for one; nobody is left to read it


def html(status: int) -> web.Response:
    """What a proxy in front of a provider says on its own."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return web.Response(status=status, text=page, content_type="text/html")


async def send_clip(request: web.Request, job: Job, fault: Fault | None) -> web.StreamResponse:
    """Answer with the job's MP4. The faults that are a bare status are the dialect's to word."""
    match fault:
        case Fault("drop"):
            return drop(request)
        case Fault("html"):
            return html(200)
        case Fault("empty"):
            return web.Response(body=b"", content_type="video/mp4")
        case Fault("wrong_type"):
            return web.json_response({"status": "ok"})
        case Fault("redirect_other_origin"):
            raise web.HTTPFound(f"{other_origin(request)}/__sim__/files/{job.id}")
    body = await _file(job)
    match fault:
        case Fault("truncate"):
            return await _truncated(request, body)
        case Fault("slow", seconds):
            return await _slow(request, body, seconds or 0)
        case Fault("octet_stream"):
            return web.Response(body=body, content_type="application/octet-stream")
    return _whole_or_range(request, body)


async def _file(job: Job) -> bytes:
    order = job.order
    shape = {"width": order.width, "height": order.height, "seconds": order.seconds}
    if clips.is_rendered(**shape):
        return clips.clip(**shape, job_id=job.id)
    return await asyncio.to_thread(clips.clip, **shape, job_id=job.id)


def _whole_or_range(request: web.Request, body: bytes) -> web.Response:
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}
    # If-Range with another validator asks for the whole of the new file.
    if "Range" not in request.headers or request.headers.get("If-Range") not in {
        None,
        headers["ETag"],
    }:
        return web.Response(body=body, headers=headers, content_type="video/mp4")
    return _part(request, body, headers)


def _part(request: web.Request, body: bytes, headers: dict[str, str]) -> web.Response:
    try:
        start, stop, _ = request.http_range.indices(len(body))
    except ValueError:
        start = stop = 0
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(body)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(
        status=206, body=body[start:stop], headers=headers, content_type="video/mp4"
    )


async def _truncated(request: web.Request, body: bytes) -> web.StreamResponse:
    response = await _begun(request, body)
    await response.write(body[: len(body) // 2])
    if request.transport:
        request.transport.close()  # not abort(): the half must leave the buffer first
    return response


async def _slow(request: web.Request, body: bytes, seconds: float) -> web.StreamResponse:
    response = await _begun(request, body)
    step = -(-len(body) // _SLOW_PIECES)
    for start in range(0, len(body), step):
        await asyncio.sleep(seconds / _SLOW_PIECES)
        await response.write(body[start : start + step])
    return response


async def _begun(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "video/mp4"
    response.content_length = len(body)
    await response.prepare(request)
    return response
