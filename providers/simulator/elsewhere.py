"""The other origin: where redirects and signed links lead, and where no key must ever arrive.

It is the same server by another name ("localhost" for 127.0.0.1), and notes whether a key came along.
"""

import hashlib
import hmac
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from providers.simulator.engine import ENGINE
from providers.simulator.jobs import Job

LINKS = "/files"
_BEFORE, _AFTER = "az/files/", "/raw"
_KEY_HEADERS = ("Authorization", "Proxy-Authorization", "api-key", "x-api-key", "x-goog-api-key")
_SECRET = b"the far end's own"


def other_origin(request: web.Request) -> str:
    host = "127.0.0.1" if request.url.host == "localhost" else "localhost"
    return f"http://{host}:{request.url.port}"


def redirect(request: web.Request) -> web.Response:
    """A redirect of any request that is not to be followed."""
    address = f"{other_origin(request)}/__sim__/elsewhere"
    return web.Response(status=307, headers={"Location": address})


def key_came_along(request: web.Request) -> bool:
    """Under any header that carries one somewhere, or spelled out anywhere in the request's head."""
    key = request.config_dict[ENGINE].api_key
    head = [*request.headers.values(), unquote(request.raw_path)]
    return any(name in request.headers for name in _KEY_HEADERS) or bool(
        key and any(key in text for text in head)
    )


def visit(request: web.Request, job_id: str = "") -> dict[str, Any]:
    """What the ledger keeps of a request to this origin."""
    return {"job_id": job_id, "authorization": key_came_along(request)}


# ---- signed links --------------------------------------------------------------------------------


def link(request: web.Request, job: Job) -> str:
    """The file of a job at a host of its own, for whoever holds the address.

    The escaped slashes and the query are signed as they stand: who writes them in another way is refused.
    """
    path = f"{LINKS}/{quote(_BEFORE + job.id + _AFTER, safe='')}"
    return f"{other_origin(request)}{path}?se=2026-12-01T00%3A00%3A00Z&sp=r&sig={_signature(path)}"


def linked_job_id(request: web.Request) -> str | None:
    """Whose file a link names; None when it is not as it was given out."""
    path = request.raw_path.partition("?")[0]
    name = unquote(path.removeprefix(f"{LINKS}/"))
    whole = name.startswith(_BEFORE) and name.endswith(_AFTER)
    if not whole or request.query.get("sig") != _signature(path):
        return None
    return name.removeprefix(_BEFORE).removesuffix(_AFTER)


def _signature(path: str) -> str:
    return hmac.new(_SECRET, path.encode(), hashlib.sha256).hexdigest()
