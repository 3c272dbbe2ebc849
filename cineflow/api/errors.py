"""Every error under /api/ leaves as `{code, message, details?}`."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import (
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from cineflow.core.errors import DomainError, Invalid, Problem, problem

logger = logging.getLogger(__name__)

RETRY_AFTER = "2"  # seconds, while the database is away
# What a status means when nothing more is known than the status itself.
BY_STATUS = {
    400: ("validation_error", "The request cannot be understood."),
    401: ("unauthorized", "Authentication required"),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    409: ("conflict", "The state of the resource does not allow this."),
    412: ("precondition_failed", "The resource has changed since you read it."),
    413: ("payload_too_large", "The body is too large."),
    415: ("unsupported_media_type", "This address does not take that content type."),
    416: ("range_not_satisfiable", "The file has no such range."),
    422: ("idempotency_key_reused", "This Idempotency-Key was used with another body."),
    429: ("rate_limited", "Too many requests."),
    500: ("server_error", "Something failed on our side; the log has the reason."),
    503: ("unavailable", "The database cannot be reached; try again shortly."),
}


def envelope(
    status: int, message: str = "", *, code: str = "", details: Any = None
) -> dict[str, Any]:
    """The body of an error answer."""
    known_code, known_message = BY_STATUS.get(
        status, BY_STATUS[400] if status < 500 else BY_STATUS[500]
    )
    body: dict[str, Any] = {"code": code or known_code, "message": message or known_message}
    return body if details is None else {**body, "details": details}


def error_response(
    status: int, message: str = "", *, code: str = "", details: Any = None
) -> HttpResponse:
    """The same as a plain Django response, for what fails before or outside a DRF view."""
    body = envelope(status, message, code=code, details=details)
    return HttpResponse(json.dumps(body), status=status, content_type="application/json")


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler; what it does not know becomes a 500 in `ErrorEnvelopeMiddleware`."""
    match error:
        case DomainError():
            body = envelope(error.status, error.message, code=error.code, details=error.details)
            return Response(body, status=error.status)
        case exceptions.ValidationError():
            return handle(Invalid(list(_flatten(error.get_full_details()))), context)
        case exceptions.MethodNotAllowed() | exceptions.UnsupportedMediaType():
            # A 405 has to name the methods that there are.
            is_method = isinstance(error, exceptions.MethodNotAllowed)
            return _told(error, headers=context["view"].headers if is_method else {})
        case exceptions.APIException():
            return _told(error)
        case Http404():
            return Response(envelope(404), status=404)
        case RequestDataTooBig():
            return Response(envelope(413), status=413)
        case TooManyFieldsSent() | TooManyFilesSent() | SuspiciousOperation():
            return Response(envelope(400), status=400)
        case OperationalError() | InterfaceError():
            logger.error("the database did not answer", exc_info=error)
            return Response(envelope(503), status=503, headers={"Retry-After": RETRY_AFTER})
        case _:
            return None


def _told(error: exceptions.APIException, *, headers: dict[str, str] | None = None) -> Response:
    body = envelope(error.status_code, str(error.detail))
    return Response(body, status=error.status_code, headers=headers)


def _flatten(details: Any, loc: tuple[str | int, ...] = ()) -> Iterator[Problem]:
    """DRF nests errors by field; ours is one list with paths."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield problem(loc, str(details["message"]), str(details["code"]))
    elif isinstance(details, dict):
        for key, inner in details.items():
            yield from _flatten(inner, (*loc, int(key) if str(key).isdecimal() else key))
    else:
        for inner in details:
            yield from _flatten(inner, loc)


class ErrorEnvelopeMiddleware:
    """The outermost layer: an error page that anything below wrote becomes the envelope.

    Bad hosts, unknown paths, failures of other middleware and, with DEBUG on, Django's HTML pages.
    Headers stay, because cross-origin and authentication headers matter on errors too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code >= 400 and not is_json and _is_api(request.path_info):
            status = 503 if getattr(request, "database_is_away", False) else response.status_code
            response.status_code = status
            response.content = json.dumps(envelope(status)).encode()
            response["Content-Type"] = "application/json"
            response["Content-Length"] = str(len(response.content))
            if status == 503:
                response["Retry-After"] = RETRY_AFTER
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        if isinstance(error, DatabaseError) and isinstance(
            error, OperationalError | InterfaceError
        ):
            request.database_is_away = True  # type: ignore[attr-defined]


def _is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")
