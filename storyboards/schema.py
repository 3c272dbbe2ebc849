"""The shape of a storyboard file and of a change to a segment.

Declared strictly, as for a request body. A storyboard file is read with unknown keys ignored:
people write comments into it, and its bytes are kept as they came.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
)

from cineflow.api.bodies import Body
from cineflow.core import strict_json
from cineflow.core.addresses import is_public_host
from cineflow.core.errors import InvalidStoryboard, Problem, problem, problems_of
from storyboards import uploads

MAX_SEGMENTS = 20_000
MAX_INDEX = 2_147_483_647
MAX_TEXT = 32_000
MAX_NAME = 2_000
MAX_LISTED = 200
MAX_URL = 2_048

DURATIONS = (4, 8, 10, 12, 15)
PRO_DURATIONS = (*DURATIONS, 25)

# What looks empty but is not white space to `str.strip`.
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_SCHEMES = ("http", "https")
_UNSAFE_IN_URL = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f]")
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_ID = re.compile(r"[A-Za-z0-9_]+")


def is_blank(text: str) -> bool:
    return not text.strip().strip(_INVISIBLE)


def _prompt(text: str) -> str:
    if is_blank(text):
        raise ValueError("Prompt text cannot be empty.")
    return text


def _character_name(name: str) -> str:
    """`[Alice]`, as it stands in prompts, is the character Alice."""
    name = name.strip()
    if bracketed := _BRACKETED.fullmatch(name):
        name = bracketed[1].strip()
    if is_blank(name):
        raise ValueError("Character name cannot be empty.")
    return name


def _character(value: Any) -> Any:
    """The short forms: `Alice`, `[Alice]`, `Alice@a1`, `Alice (@a1)`, `[Alice](@a1)`."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if bracketed := _BRACKETED.fullmatch(text):
        text = bracketed[1]
    name, at, tail = text.rpartition("@")
    if name.endswith("("):
        name, tail = name[:-1], tail[:-1] if tail.endswith(")") else ""
    if at and _ID.fullmatch(tail):
        return {"name": name, "id": f"@{tail}"}
    return {"name": text}


def _image_url(url: str, info: ValidationInfo) -> str:
    if _UNSAFE_IN_URL.search(url):
        raise ValueError("The URL contains white space, a backslash or a control character.")
    parts = _split(url)
    # Our own address is often a private one, so it is recognised before the address rule.
    if _is_ours(parts, host=(info.context or {}).get("host", "")):
        return _own_upload(parts.path)
    _check_foreign(parts)
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        raise ValueError("This is not a URL.") from None
    return parts


def _is_ours(parts: SplitResult, *, host: str) -> bool:
    is_relative = not parts.scheme and not parts.netloc
    names_us = parts.scheme in _SCHEMES and parts.netloc.lower() == host.lower()
    return (is_relative or names_us) and parts.path.startswith(uploads.URL_PREFIX)


def _own_upload(path: str) -> str:
    if not uploads.hold(path.removeprefix(uploads.URL_PREFIX)):
        raise ValueError("There is no such upload on this server.")
    return path


def _check_foreign(parts: SplitResult) -> None:
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("Must be an http(s) URL or an /uploads/… path of this server.")
    if "@" in parts.netloc:
        raise ValueError("The URL must not contain a user name or a password.")
    if not is_public_host(parts.hostname):
        raise ValueError("The URL's host is not on the public internet.")


def duration_problem(seconds: int, *, is_pro: bool) -> str | None:
    """What is wrong with a segment that long, or None."""
    if seconds in (PRO_DURATIONS if is_pro else DURATIONS):
        return None
    allowed = ", ".join(map(str, DURATIONS))
    return f"Duration must be one of {allowed} seconds; 25 only when is_pro is true."


def _duration(seconds: int, info: ValidationInfo) -> int:
    # When is_pro is wrong itself or, in a change, not sent, 25 may be right.
    is_pro = info.data.get("is_pro") is not False
    if wrong := duration_problem(seconds, is_pro=is_pro):
        raise ValueError(wrong)
    return seconds


Name = Annotated[str, Field(max_length=MAX_NAME)]
PromptText = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_prompt)]
Intent = Annotated[str, Field(max_length=MAX_TEXT)]
ImageUrl = Annotated[str, Field(max_length=MAX_URL), AfterValidator(_image_url)]
Duration = Annotated[
    int,
    AfterValidator(_duration),
    Field(json_schema_extra={"enum": list(PRO_DURATIONS)}, description="25 only when is_pro."),
]
Resolution = Literal["horizontal", "vertical"]


class NewCharacter(Body):
    name: Annotated[Name, AfterValidator(_character_name)]
    id: Annotated[str, Field(max_length=MAX_NAME, pattern=r"^@?[A-Za-z0-9_]+$")] | None = None


CharacterOrText = Annotated[
    NewCharacter, BeforeValidator(_character, json_schema_input_type=NewCharacter | str)
]


class NewAsset(Body):
    """Who and what is in the shot."""

    characters: Annotated[list[CharacterOrText], Field(max_length=MAX_LISTED)] = Field(default=[])
    scene: Name | None = None
    props: Annotated[list[Name], Field(max_length=MAX_LISTED)] = Field(default=[])


class NewSegment(Body):
    """One segment of a storyboard file."""

    segment_index: Annotated[int, Field(ge=1, le=MAX_INDEX)]
    prompt_text: PromptText
    director_intent: Intent | None = None
    image_url: ImageUrl | None = None
    asset: NewAsset | None = None
    is_pro: bool = False  # before the duration, whose check looks at it
    duration_seconds: Duration = 10
    resolution: Resolution = "horizontal"


class NewStoryboard(Body):
    """A storyboard file."""

    segments: Annotated[list[NewSegment], Field(min_length=1, max_length=MAX_SEGMENTS)]
    metadata: dict[str, Any] | None = None
    character_bible: list[dict[str, Any]] | None = None


def _not_sent() -> Any:
    # A factory, so that the API's description shows no default: what is not sent stays.
    return Field(default_factory=lambda: None)


class SegmentChanges(Body):
    """What to change of a segment; a field that is not sent stays, null clears."""

    prompt_text: PromptText = _not_sent()
    director_intent: Intent | None = _not_sent()
    image_url: ImageUrl | None = _not_sent()
    asset: NewAsset | None = _not_sent()
    is_pro: bool = _not_sent()
    duration_seconds: Duration = _not_sent()
    resolution: Resolution = _not_sent()


def read(raw: bytes, *, host: str = "") -> NewStoryboard:
    """The storyboard in a file's bytes; raises `InvalidStoryboard` with every problem in it.

    `host` is this server's name in the request: URLs with it may name our own uploads.
    """
    value = _parse(raw)
    storyboard = _validated(value, host)
    if len({segment.segment_index for segment in storyboard.segments}) < len(storyboard.segments):
        raise InvalidStoryboard(_repeated_indexes(value))
    return storyboard


def _validated(value: dict[str, Any], host: str) -> NewStoryboard:
    try:
        return NewStoryboard.model_validate(value, extra="ignore", context={"host": host})
    except ValidationError as error:
        raise InvalidStoryboard([*problems_of(error), *_repeated_indexes(value)]) from error


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        value = strict_json.parse(raw, allow_bom=True)
    except strict_json.StrictJSONError as error:
        raise InvalidStoryboard(error.problems) from error
    if not isinstance(value, dict):
        raise InvalidStoryboard([problem([], "A storyboard is a JSON object.", "object_type")])
    return value


def _repeated_indexes(value: dict[str, Any]) -> list[Problem]:
    """From the bare JSON, so that they are told together with all else that is wrong."""
    first: dict[int, int] = {}
    problems = []
    segments = value.get("segments")
    for place, segment in enumerate(segments if isinstance(segments, list) else ()):
        index = segment.get("segment_index") if isinstance(segment, dict) else None
        if type(index) is not int:
            continue
        if first.setdefault(index, place) != place:
            msg = f"segment_index {index} is taken by segment {first[index]} of the list."
            problems.append(problem(["segments", place, "segment_index"], msg, "repeated_index"))
    return problems
