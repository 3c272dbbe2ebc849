"""The request bodies of the catalogue and of client events."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from cineflow.api.bodies import Body
from providers.catalogue import CONTROL_CHARACTER, MAX_NAME_LENGTH, MAX_NAMES

Item = TypeVar("Item")

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def absent() -> Any:
    """The default of a field that may be left out; a field that is left out stays as it is.

    A factory, because a plain default would stand in the OpenAPI document as what happens then;
    whether the field was sent is read from `model_fields_set`.
    """
    return Field(default_factory=lambda: None)


def _no_repeats(values: list[Item]) -> list[Item]:
    if len(set(values)) < len(values):
        raise ValueError("Each value may stand in the list once.")
    return values


def _readable(name: str) -> str:
    if not name.strip():
        raise ValueError("The name cannot be blank.")
    if CONTROL_CHARACTER.search(name):
        raise ValueError("The name holds a control character.")
    return name


Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_readable)]
Rank = Annotated[int, Field(ge=1, le=100)]
Durations = Annotated[
    list[Literal[4, 8, 10, 12, 15, 25]], Field(min_length=1), AfterValidator(_no_repeats)
]
Resolutions = Annotated[
    list[Literal["horizontal", "vertical"]], Field(min_length=1), AfterValidator(_no_repeats)
]
ProviderModelNames = Annotated[
    list[Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH)]],
    Field(max_length=MAX_NAMES, description="The provider's own names, in the order of choice."),
]


class ProviderPatch(Body):
    display_name: Name = absent()
    enabled: bool = absent()
    priority: Rank = absent()
    weight: Rank = absent()
    supports_image_to_video: bool = absent()
    supported_durations: Durations = absent()
    supported_resolutions: Resolutions = absent()
    supports_pro: bool = absent()


class ModelPatch(Body):
    display_name: Name = absent()
    description: Annotated[str, StringConstraints(max_length=4_000)] | None = absent()
    enabled: bool = absent()
    provider_map: dict[str, ProviderModelNames] = absent()


class RoutesPatch(Body):
    provider_model_ids: ProviderModelNames


# ---- client events -----------------------------------------------------------------------------


def _moment(value: Any) -> Any:
    """Kept as it was sent: a client's clock is evidence, not a time of ours."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("Must be an RFC 3339 date and time, or a number: the time since 1970.")
    datetime.fromisoformat(value.upper())  # its ValueError names the part that no calendar has
    return value


Text = Annotated[str, StringConstraints(max_length=4_000)]
Moment = Annotated[
    Any,
    AfterValidator(_moment),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}, {"type": "null"}]}
    ),
]


class ClientEventIn(Body):
    event_type: Literal["ui_error", "api_error", "task_error", "i18n_error"]
    event_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    timestamp: Moment = None
    timezone: Text | None = None
    user_locale: Text | None = None
    severity: Literal["info", "warning", "error", "critical"] | None = None
    endpoint: Text | None = None
    method: Text | None = None
    status_code: Annotated[int, Field(ge=100, le=599)] | None = None
    latency_ms: Annotated[int, Field(ge=0)] | None = None
    run_id: Text | None = None
    task_id: Text | None = None
    provider_id: Text | None = None
    model_id: Text | None = None
    error_code: Text | None = None
    message: Text | None = None
    stack: Annotated[str, StringConstraints(max_length=32_000)] | None = None
    context: dict[str, Any] | None = None


class ClientEventsIn(Body):
    events: Annotated[list[ClientEventIn], Field(min_length=1, max_length=100)]
