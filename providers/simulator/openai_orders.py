"""Reading `POST /videos`: as strict as the service was, in its words."""

import base64
import binascii
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from PIL import Image

from providers.simulator.jobs import Order
from providers.simulator.openai_errors import Refused, model_gone

PRO_MODELS = frozenset({"sora-2-pro", "sora-2-pro-2025-10-06"})
MODELS = PRO_MODELS | {"sora-2", "sora-2-2025-10-06", "sora-2-2025-12-08"}
SECONDS = ("4", "8", "12")
SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
PRO_SIZES = (*SIZES, "1080x1920", "1920x1080")

_FIELDS = {"prompt", "model", "seconds", "size", "input_reference", "characters"}
_MAX_PROMPT = 32_000
_MAX_URL = 20 * 1024 * 1024


@dataclass(frozen=True)
class _Picture:
    sha256: str | None = None
    url: str | None = None


async def read_order(request: web.Request) -> Order:
    """The order in a request's JSON or form, or Refused."""
    fields = await _fields(request)
    for name in fields.keys() - _FIELDS:
        raise Refused(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    prompt = _prompt(fields)
    model = _model(fields)
    seconds = _seconds(fields)
    width, height = _size(fields, model)
    picture = _picture(fields.get("input_reference"), (width, height))
    return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)


async def _fields(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return await _json_fields(request)
    if request.content_type == "multipart/form-data":
        return await _form_fields(request)
    raise Refused(400, f"Unsupported content type: '{request.content_type}'.")


async def _json_fields(request: web.Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.read())
    except ValueError as error:
        raise Refused(400, "We could not parse the JSON body of your request.") from error
    if not isinstance(fields, dict):
        raise Refused(400, "The JSON body of your request must be an object.")
    return fields


async def _form_fields(request: web.Request) -> dict[str, Any]:
    """Files become bytes; `input_reference[image_url]` is how the SDK's form nests an object."""
    fields: dict[str, Any] = {}
    try:
        form = await request.post()
    except ValueError as error:
        raise Refused(400, "We could not parse the multipart body of your request.") from error
    for name, value in form.items():
        content = value.file.read() if isinstance(value, web.FileField) else value
        outer, bracket, inner = name.partition("[")
        if bracket:
            fields.setdefault(outer, {})[inner.removesuffix("]")] = content
        else:
            fields[name] = content
    return fields


def _prompt(fields: dict[str, Any]) -> str:
    prompt = fields.get("prompt")
    if prompt is None:
        message = "Missing required parameter: 'prompt'."
        raise Refused(400, message, code="missing_required_parameter", param="prompt")
    if not isinstance(prompt, str):
        raise _wrong_type("prompt", "a string", prompt)
    if not 1 <= len(prompt) <= _MAX_PROMPT:
        message = f"Invalid 'prompt': must be 1 to {_MAX_PROMPT} characters long."
        raise Refused(400, message, code="invalid_value", param="prompt")
    return prompt


def _model(fields: dict[str, Any]) -> str:
    model = fields.get("model", "sora-2")
    if not isinstance(model, str):
        raise _wrong_type("model", "a string", model)
    if model not in MODELS:
        raise model_gone(model)
    return model


def _seconds(fields: dict[str, Any]) -> int:
    """A string on this wire; clients that send a number are refused, as they were."""
    return int(_choice("seconds", fields.get("seconds", "4"), SECONDS))


def _size(fields: dict[str, Any], model: str) -> tuple[int, int]:
    choices = PRO_SIZES if model in PRO_MODELS else SIZES
    width, height = _choice("size", fields.get("size", "720x1280"), choices).split("x")
    return int(width), int(height)


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    *first, last = (f"'{choice}'" for choice in choices)
    if not isinstance(value, str):
        raise _wrong_type(name, f"one of {', '.join(first)}, or {last}", value)
    if value not in choices:
        message = f"Invalid value: '{value}'. Supported values are: {', '.join(first)}, and {last}."
        raise Refused(400, message, code="invalid_value", param=name)
    return value


def _wrong_type(name: str, expected: str, value: object) -> Refused:
    kinds = {bool: "a boolean", int: "an integer", float: "a decimal", list: "an array"}
    kinds |= {dict: "an object", str: "a string", bytes: "a file"}
    got = kinds.get(type(value), "null")
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return Refused(400, message, code="invalid_type", param=name)


def _picture(reference: Any, size: tuple[int, int]) -> _Picture:
    if isinstance(reference, str):  # a text part of a form may carry the JSON object
        reference = _decoded(reference)
    match reference:
        case None:
            return _Picture()
        case bytes():
            return _checked(reference, size)
        case {"image_url": str(url), **rest} if not rest:
            return _linked(url, size)
        case {"file_id": str(file_id), **rest} if not rest:
            raise _bad_picture(f"No such File object: {file_id}")
    raise _bad_picture("'input_reference' must be a file or have exactly one of image_url, file_id")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _bad_picture("'input_reference' must be a file or an object.") from error


def _linked(url: str, size: tuple[int, int]) -> _Picture:
    """A data: URL is looked at; an https: one is only noted, for we open no connections."""
    if len(url) > _MAX_URL:
        raise _bad_picture("'image_url' is too long.")
    if url.startswith("https://"):
        return _Picture(url=url)
    head, _, payload = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise _bad_picture("'image_url' must be an https or a base64 data URL.")
    try:
        return _checked(base64.b64decode(payload, validate=True), size)
    except binascii.Error as error:
        raise _bad_picture("'image_url' is not valid base64.") from error


def _checked(content: bytes, size: tuple[int, int]) -> _Picture:
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as image:
            found = image.size
    except (OSError, ValueError) as error:
        raise _bad_picture("Unsupported image: expected image/jpeg, image/png, image/webp") from (
            error
        )
    if found != size:
        raise _bad_picture("Inpaint image must match the requested width and height")
    return _Picture(sha256=hashlib.sha256(content).hexdigest())


def _bad_picture(message: str) -> Refused:
    return Refused(400, message, param="input_reference")
