"""A stored file over HTTP: Content-Length, ETag, byte ranges and conditions (RFC 9110)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from cineflow.api.errors import error_response

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class _Span:
    """The bytes of a file from `start` to `end`, both included."""

    start: int
    end: int
    partial: bool = True

    @property
    def length(self) -> int:
        return self.end - self.start + 1


def file_response(
    request: HttpRequest, path: Path, *, etag: str, content_type: str
) -> HttpResponseBase:
    """The file, a part of it (206), or why not (304, 412, 416). Raises OSError when it is not there.

    Django's own `FileResponse` knows no ranges, and without them a browser cannot seek.
    """
    facts = path.stat()
    modified = int(facts.st_mtime)
    headers = {
        "ETag": etag,
        "Last-Modified": http_date(modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": content_disposition_header(False, path.name) or "inline",
    }
    refusal = get_conditional_response(request, etag=etag, last_modified=modified)
    if refusal is not None and refusal.status_code == 304:
        return _with(refusal, headers)
    if refusal is not None:
        return _with(error_response(412), {"ETag": etag})
    span = _span(request, facts.st_size, etag, modified)
    if span is None:
        return _with(
            error_response(416),
            {"Content-Range": f"bytes */{facts.st_size}", "Accept-Ranges": "bytes"},
        )
    headers["Content-Length"] = str(span.length)
    if span.partial:
        headers["Content-Range"] = f"bytes {span.start}-{span.end}/{facts.st_size}"
    return _with(_body(request, path, span, content_type), headers)


def _body(request: HttpRequest, path: Path, span: _Span, kind: str) -> HttpResponseBase:
    status = 206 if span.partial else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=kind)
    file = path.open("rb")
    if not span.partial:
        return FileResponse(file, content_type=kind)
    return StreamingHttpResponse(_part(file, span), status=status, content_type=kind)


def _with(response: HttpResponseBase, headers: dict[str, str]) -> HttpResponseBase:
    for name, value in headers.items():
        response[name] = value
    return response


def _span(request: HttpRequest, size: int, etag: str, modified: int) -> _Span | None:
    """What is asked for; None when the file has nothing of it.

    That is the whole file without a range, with one we do not read, and with an outdated one.
    """
    whole = _Span(0, size - 1, partial=False)
    found = _ONE_RANGE.fullmatch(request.META.get("HTTP_RANGE", ""))
    if request.method != "GET" or not found or not (found[1] or found[2]):
        return whole
    if not _if_range_holds(request, etag, modified):
        return whole
    if not found[1]:
        start, end = max(0, size - int(found[2])), size - 1
    else:
        start, end = int(found[1]), min(int(found[2]) if found[2] else size - 1, size - 1)
        if found[2] and int(found[2]) < start:
            return whole
    return _Span(start, end) if start <= end else None


def _if_range_holds(request: HttpRequest, etag: str, modified: int) -> bool:
    condition = request.META.get("HTTP_IF_RANGE")
    return condition is None or condition == etag or parse_http_date_safe(condition) == modified


def _part(file: BinaryIO, span: _Span) -> Iterator[bytes]:
    with file:
        file.seek(span.start)
        left = span.length
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
