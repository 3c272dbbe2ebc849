"""Reading `POST /videos`: as strict as OpenAI's service was, in its words; and parts of it for the others."""

import base64
import binascii
import hashlib
import io
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from PIL import Image

from providers.simulator.jobs import Order
from providers.simulator.refusals import Refused, refuse

PRO_MODELS = frozenset({"sora-2-pro", "sora-2-pro-2025-10-06"})
MODELS = PRO_MODELS | {"sora-2", "sora-2-2025-10-06", "sora-2-2025-12-08"}
SECONDS = ("4", "8", "12")
SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
PRO_SIZES = (*SIZES, "1080x1920", "1920x1080")

_FIELDS = {"prompt", "model", "seconds", "size", "input_reference", "characters"}
_PIXELS = re.compile(r"(\d{2,4})x(\d{2,4})", re.ASCII)
_MAX_PROMPT = 32_000
_MAX_URL = 20 * 1024 * 1024


@dataclass(frozen=True)
class Picture:
    sha256: str | None = None
    url: str | None = None


def openai_order(fields: dict[str, Any], models: Collection[str] = MODELS) -> Order:
    """The order in the fields of a request, or Refused. No `models` means that any name will do."""
    refuse_unknown(fields, _FIELDS)
    prompt = prompt_of(fields)
    model = model_of(fields, models)
    seconds = _seconds(fields)
    width, height = _size(fields, model)
    picture = picture_of(fields.get("input_reference"), (width, height))
    return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)


def refuse_unknown(fields: dict[str, Any], known: Collection[str]) -> None:
    for name in fields.keys() - set(known):
        raise refuse(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)


async def fields_of(request: web.Request) -> dict[str, Any]:
    """A request's JSON or form."""
    if request.content_type == "application/json":
        return await _json_fields(request)
    if request.content_type == "multipart/form-data":
        return await _form_fields(request)
    raise refuse(400, f"Unsupported content type: '{request.content_type}'.")


async def _json_fields(request: web.Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.read())
    except ValueError as error:
        raise refuse(400, "We could not parse the JSON body of your request.") from error
    if not isinstance(fields, dict):
        raise refuse(400, "The JSON body of your request must be an object.")
    return fields


async def _form_fields(request: web.Request) -> dict[str, Any]:
    """Files become bytes; `input_reference[image_url]` is how the SDK's form nests an object."""
    fields: dict[str, Any] = {}
    try:
        form = await request.post()
    except ValueError as error:
        raise refuse(400, "We could not parse the multipart body of your request.") from error
    for name, value in form.items():
        content = value.file.read() if isinstance(value, web.FileField) else value
        outer, bracket, inner = name.partition("[")
        if bracket:
            fields.setdefault(outer, {})[inner.removesuffix("]")] = content
        else:
            fields[name] = content
    return fields


def prompt_of(fields: dict[str, Any]) -> str:
    prompt = fields.get("prompt")
    if prompt is None:
        message = "Missing required parameter: 'prompt'."
        raise refuse(400, message, code="missing_required_parameter", param="prompt")
    if not isinstance(prompt, str):
        raise _wrong_type("prompt", "a string", prompt)
    if not 1 <= len(prompt) <= _MAX_PROMPT:
        message = f"Invalid 'prompt': must be 1 to {_MAX_PROMPT} characters long."
        raise refuse(400, message, code="invalid_value", param="prompt")
    return prompt


def model_of(fields: dict[str, Any], models: Collection[str] = ()) -> str:
    model = fields.get("model", "sora-2")
    if not isinstance(model, str):
        raise _wrong_type("model", "a string", model)
    if models and model not in models:
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise refuse(404, message, code="model_not_found")
    return model


def _seconds(fields: dict[str, Any]) -> int:
    """A string on this wire; clients that send a number are refused, as they were."""
    return int(_choice("seconds", fields.get("seconds", "4"), SECONDS))


def _size(fields: dict[str, Any], model: str) -> tuple[int, int]:
    choices = PRO_SIZES if model in PRO_MODELS else SIZES
    width, height = _choice("size", fields.get("size", "720x1280"), choices).split("x")
    return int(width), int(height)


def pixels_of(size: Any) -> tuple[int, int]:
    """Any "WxH"."""
    found = _PIXELS.fullmatch(size) if isinstance(size, str) else None
    if found is None:
        raise refuse(400, "size must be like 1280x720", code="invalid_size", param="size")
    return int(found[1]), int(found[2])


def whole_seconds(value: Any) -> int:
    """A number, or its digits."""
    text = str(value)
    if (
        isinstance(value, bool)
        or not (text.isascii() and text.isdigit())
        or not 1 <= int(text) <= 60
    ):
        raise refuse(400, "seconds must be a whole number", code="invalid_request", param="seconds")
    return int(text)


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    *first, last = (f"'{choice}'" for choice in choices)
    if not isinstance(value, str):
        raise _wrong_type(name, f"one of {', '.join(first)}, or {last}", value)
    if value not in choices:
        message = f"Invalid value: '{value}'. Supported values are: {', '.join(first)}, and {last}."
        raise refuse(400, message, code="invalid_value", param=name)
    return value


def _wrong_type(name: str, expected: str, value: object) -> Refused:
    kinds = {bool: "a boolean", int: "an integer", float: "a decimal", list: "an array"}
    kinds |= {dict: "an object", str: "a string", bytes: "a file"}
    got = kinds.get(type(value), "null")
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return refuse(400, message, code="invalid_type", param=name)


def picture_of(reference: Any, size: tuple[int, int] | None) -> Picture:
    if isinstance(reference, str):  # a text part of a form may carry the JSON object
        reference = _decoded(reference)
    match reference:
        case None:
            return Picture()
        case bytes():
            return _checked(reference, size)
        case {"image_url": str(url), **rest} if not rest:
            return linked(url, size)
        case {"file_id": str(file_id), **rest} if not rest:
            raise _bad_picture(f"No such File object: {file_id}")
    raise _bad_picture("'input_reference' must be a file or have exactly one of image_url, file_id")


def text_or_file(value: Any) -> Picture:
    """A picture of any size: a file, its address, or itself as a data URL."""
    match value:
        case None:
            return Picture()
        case bytes():
            return _checked(value, None)
        case str():
            return linked(value, None)
    raise _bad_picture("'input_reference' must be a file or a string")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _bad_picture("'input_reference' must be a file or an object.") from error


def linked(url: str, size: tuple[int, int] | None) -> Picture:
    """A data: URL is looked at; an https: one is only noted, for we open no connections."""
    if len(url) > _MAX_URL:
        raise _bad_picture("'image_url' is too long.")
    if url.startswith("https://"):
        return Picture(url=url)
    head, _, payload = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")):
        raise _bad_picture("'image_url' must be an https or a base64 data URL.")
    try:
        return _checked(base64.b64decode(payload, validate=True), size)
    except binascii.Error as error:
        raise _bad_picture("'image_url' is not valid base64.") from error


def _checked(content: bytes, size: tuple[int, int] | None) -> Picture:
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as image:
            found = image.size
    except (OSError, ValueError) as error:
        raise _bad_picture("Unsupported image: expected image/jpeg, image/png, image/webp") from (
            error
        )
    if size and found != size:
        raise _bad_picture("Inpaint image must match the requested width and height")
    return Picture(sha256=hashlib.sha256(content).hexdigest())


def _bad_picture(message: str) -> Refused:
    return refuse(400, message, param="input_reference")
