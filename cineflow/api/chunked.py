"""Bodies sent in chunks, without a length: Django would take them for empty."""

from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import IO

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from cineflow.api.bodies import FORM_OVERHEAD_BYTES
from cineflow.api.errors import error_response

_IN_MEMORY_BYTES = 1_048_576


class ChunkedBodyMiddleware:
    """Takes the body in and tells its length. After access control: a stranger's body is not stored.

    WSGI servers mark a body that they end themselves with `wsgi.input_terminated`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_chunked(request):
            return self.get_response(request)
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            limit = settings.MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES
            try:
                size = _copy(request.META["wsgi.input"], body, limit)
            except Exception:  # noqa: BLE001 - what a broken chunk raises is the server's own affair
                return error_response(400, "The chunks of the body cannot be read.")
            if size > limit:
                return error_response(413)
            body.seek(0)
            request.META["CONTENT_LENGTH"] = str(size)
            request._stream = body  # type: ignore[assignment]
            return self.get_response(request)


def _is_chunked(request: HttpRequest) -> bool:
    meta = request.META
    return bool(
        meta.get("wsgi.input_terminated")
        and meta.get("HTTP_TRANSFER_ENCODING")
        and not meta.get("CONTENT_LENGTH")
    )


def _copy(source: IO[bytes], target: IO[bytes], limit: int) -> int:
    """The size, or something above the limit when there is more than that."""
    size = 0
    while size <= limit and (block := source.read(65_536)):
        size += target.write(block)
    return size
