"""Errors that repeat the key of the request, as careless servers word them; the same for every dialect."""

import base64
import json
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from providers.simulator.engine import ENGINE

# The fields in which the dialects put words for people.
_WORDS = {"message", "detail", "title", "error", "error_msg", "msg", "failure", "reason"}


@web.middleware
async def quote_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    header = request.headers.get("Authorization", "")
    is_json = response.content_type == "application/json" and isinstance(response, web.Response)
    if not (request.config_dict[ENGINE].settings.quote_key and header and is_json):
        return response
    assert isinstance(response, web.Response)  # noqa: S101 - told by is_json
    try:
        body = json.loads(response.text or "")
    except ValueError:
        return response  # cut on purpose
    kept = {name: value for name, value in response.headers.items() if name == "Retry-After"}
    return web.json_response(_with(body, _spelt(header)), status=response.status, headers=kept)


def _with(value: Any, said: str) -> Any:
    match value:
        case {**fields}:
            return {
                name: f"{each} {said}" if name in _WORDS and each and type(each) is str
                else _with(each, said)
                for name, each in fields.items()
            }  # fmt: skip
        case [*items]:
            return [_with(item, said) for item in items]
    return value


def _spelt(header: str) -> str:
    key = header.rpartition(" ")[2]
    packed = base64.b64encode(header.encode()).decode()
    return f"You sent {header} ({key}; {quote(key, safe='')}; {packed})."
