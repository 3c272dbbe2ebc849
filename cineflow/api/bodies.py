"""Request bodies: strict JSON into strict pydantic models, every problem in one answer."""

from collections.abc import Mapping
from typing import IO, Any, TypeVar

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict
from pydantic import BaseModel, ConfigDict, ValidationError
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request

from cineflow.core import strict_json
from cineflow.core.errors import Invalid, PayloadTooLarge, problem, problems_of


class Body(BaseModel):
    """Base of request bodies: an unknown field or a near-miss type is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


BodyType = TypeVar("BodyType", bound=Body)


def _request(parser_context: Mapping[str, Any] | None) -> Request:
    """DRF always gives a parser its context; the base class merely allows for none."""
    request: Request = (parser_context or {})["request"]
    return request


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        # `.body` and not the stream: it is where Django refuses a body that is too large for memory.
        request = _request(parser_context)._request
        raw = request.body
        if len(raw) < int(request.META.get("CONTENT_LENGTH") or 0):
            # Nothing at all counts as `{}`, which starts a paid retry: not what a lost connection meant.
            raise Invalid([problem([], "The body ends before its Content-Length.", "incomplete")])
        if not raw:
            return {}
        try:
            return strict_json.parse(raw)
        except strict_json.StrictJSONError as error:
            raise Invalid(error.problems) from error


class UploadParser(MultiPartParser):
    """Multipart forms no larger than an upload may be; refuses by the declared length, before reading."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        length = int(_request(parser_context).META.get("CONTENT_LENGTH") or 0)
        refuse_too_large(length, stream)
        return super().parse(stream, media_type, parser_context)


FORM_OVERHEAD_BYTES = 64 * 1024  # of what a form has around its file
_DRAIN_AT_MOST = 256 * 1024 * 1024


def refuse_too_large(length: int, stream: IO[bytes]) -> None:
    """413 for a body past `MAX_UPLOAD_BYTES`.

    The body is read to its end and thrown away (up to a bound): a server that answers and hangs up
    in the middle of an upload gives its client a broken pipe instead of the answer.
    """
    if length <= settings.MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES:
        return
    left = min(length, _DRAIN_AT_MOST)
    while left > 0 and (chunk := stream.read(min(left, 1 << 16))):
        left -= len(chunk)
    raise _too_large()


def uploaded_file(request: Request) -> "UploadedFile[Any]":
    """The file in the form's field `file`."""
    form = request.data
    given: list[Any] = form.getlist("file") if isinstance(form, MultiValueDict) else []
    if len(given) > 1:
        # All but one would be dropped silently.
        message = f"Send one file; the form field 'file' stands {len(given)} times."
        raise Invalid([problem(["file"], message)])
    if not given or not isinstance(given[0], UploadedFile):
        holds = "a text value" if given else "nothing"
        message = f"Send the file in the form field 'file'; it holds {holds}."
        raise Invalid([problem(["file"], message, "missing")])
    found: UploadedFile[Any] = given[0]
    if (found.size or 0) > settings.MAX_UPLOAD_BYTES:
        raise _too_large()
    return found


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The upload is larger than {settings.MAX_UPLOAD_BYTES} bytes (MAX_UPLOAD_BYTES)."
    )


def read_body(
    request: Request, model: type[BodyType], *, context: dict[str, Any] | None = None
) -> BodyType:
    """The request's JSON as `model`; no body at all counts as `{}`. `context` is for validators."""
    if request.content_type and not isinstance(request.data, Mapping):
        raise Invalid([problem([], "The body must be a JSON object.", "object_type")])
    try:
        return model.model_validate(dict(request.data), context=context)
    except ValidationError as error:
        raise Invalid(problems_of(error)) from error
