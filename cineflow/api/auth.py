"""Who may call: a bearer token when one is set; when none is, no foreign web page."""

import hmac
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signing import Signer
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from cineflow.api.errors import error_response

MAX_TOKEN_BYTES = 4096
LINK_LIVES_SECONDS = 12 * 3600
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class AccessMiddleware:
    """Before routing, so that an unknown path does not tell a stranger more than a known one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._refusal(request) or self.get_response(request)

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        path = request.path_info
        if settings.AUTH_TOKEN:
            if _is_guarded(path) and not (_has_token(request) or is_signed(request)):
                return _unauthorized()
        elif (
            path.startswith("/api/")
            and request.method not in _SAFE_METHODS
            and _is_foreign(request)
        ):
            return error_response(
                403, "Pages of other origins may not write here; see CORS_ALLOW_ORIGINS."
            )
        return None


def _is_guarded(path: str) -> bool:
    return path in ("/api/v1", "/metrics") or path.startswith("/api/v1/")


def _unauthorized() -> HttpResponse:
    response = error_response(401)
    response["WWW-Authenticate"] = "Bearer"
    return response


def _has_token(request: HttpRequest) -> bool:
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    # WSGI hands headers over as latin-1; the comparison is over the bytes that were sent.
    sent = given.strip().encode("latin-1", "replace")
    expected = settings.AUTH_TOKEN.encode()
    return (
        scheme.lower() == "bearer"
        and len(sent) <= MAX_TOKEN_BYTES
        and hmac.compare_digest(sent, expected)
    )


def _is_foreign(request: HttpRequest) -> bool:
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None or settings.CORS_ALLOW_ALL_ORIGINS or origin in settings.CORS_ALLOWED_ORIGINS:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    return (
        parts.scheme not in ("http", "https") or parts.netloc.lower() != request.get_host().lower()
    )


def signed(path: str, *, now: float | None = None) -> str:
    """`path` with a query that opens it without a header, when a token is set: for <video> and links.

    The expiry is a whole hour, so a page that asks again and again keeps getting the same address.
    """
    if not settings.AUTH_TOKEN:
        return path
    hour = int((time.time() if now is None else now) // 3600) * 3600
    expires = hour + LINK_LIVES_SECONDS
    return f"{path}?expires={expires}&signature={_signature(path, expires)}"


def is_signed(request: HttpRequest) -> bool:
    """A reading request whose query `signed` wrote, for this very path and not expired."""
    expires, signature = request.GET.get("expires", ""), request.GET.get("signature", "")
    if (
        request.method not in ("GET", "HEAD")
        or not expires.isascii()
        or not expires.isdecimal()
        or len(expires) > 12
    ):
        return False
    expected = _signature(request.path_info, int(expires))
    return constant_time_compare(signature, expected) and time.time() < int(expires)


def _signature(path: str, expires: int) -> str:
    # The token is part of the key: changing it ends every link that was handed out.
    return Signer(key=settings.SECRET_KEY + settings.AUTH_TOKEN, salt="cineflow.link").signature(
        f"{path}?{expires}"
    )
