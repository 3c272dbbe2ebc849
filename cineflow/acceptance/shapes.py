"""What the API promises to answer: every field's type and nullability, and where there is no more.

Written down a second time on purpose: a check that read this from the server's own code would
always agree.
"""

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Count = Annotated[int, Field(ge=0)]
Status = Literal["queued", "running", "completed", "failed", "download_failed", "canceled"]
ENDED = ("completed", "failed", "download_failed", "canceled")
HAS_ERROR = ("failed", "download_failed", "canceled")

Item = TypeVar("Item")


class Open(BaseModel):
    """Fields may be added."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class Exact(BaseModel):
    """These fields and no others."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())


class Page(Exact, Generic[Item]):
    items: list[Item]
    page: Annotated[int, Field(ge=1)]
    page_size: Annotated[int, Field(ge=1, le=200)]
    total: Count


class Problem(Exact):
    loc: list[str | int]
    msg: str
    type: str


class Error(Exact):
    code: str
    message: str
    details: dict[str, Any] | None = None


class Storyboard(Exact):
    id: Annotated[str, Field(pattern="^sb_.")]
    name: str
    created_at: Time
    segment_count: Count


class Character(Exact):
    name: str
    id: str | None


class Asset(Exact):
    characters: list[Character]
    scene: str | None
    props: list[str]


class Segment(Exact):
    id: Annotated[str, Field(pattern="^seg_.")]
    segment_index: Annotated[int, Field(ge=1)]
    prompt_text: str
    image_url: str | None
    asset: Asset
    is_pro: bool
    duration_seconds: Literal[4, 8, 10, 12, 15, 25]
    resolution: Literal["horizontal", "vertical"]
    director_intent: str | None


class Model(Open):
    id: str
    display_name: str
    description: str | None
    enabled: bool


class Provider(Open):
    id: str
    display_name: str
    enabled: bool
    priority: Annotated[int, Field(ge=1, le=100)]
    weight: Annotated[int, Field(ge=1, le=100)]
    supports_image_to_video: bool
    supported_durations: list[int]
    supported_resolutions: list[str]
    supports_pro: bool
    configured: bool = False


class Run(Open):
    id: Annotated[str, Field(pattern="^run_.")]
    status: Status
    total_tasks: Count
    completed: Count
    failed: Count
    download_failed: Count
    created_at: Time

    @property
    def done(self) -> int:
        canceled = (self.model_extra or {}).get("canceled", 0)
        return self.completed + self.failed + self.download_failed + int(canceled)


class _Outcome(Open):
    """The error fields go together: all null, or all told."""

    status: Status
    error_msg: str | None
    error_code: str | None
    retryable: bool | None

    @model_validator(mode="after")
    def errors_fit_the_status(self) -> Self:
        told = [value is not None for value in (self.error_msg, self.error_code, self.retryable)]
        if self.status in HAS_ERROR and not all(told):
            raise ValueError(
                f"a task that is {self.status} must tell error_msg, error_code and retryable"
            )
        if self.status not in HAS_ERROR and any(told):
            raise ValueError(f"a task that is {self.status} must not tell an error")
        return self


class Task(_Outcome):
    id: Annotated[str, Field(pattern="^task_.")]
    video_url: str | None
    metadata_url: str
    full_prompt: str | None
    segment_index: int


class File(Open):
    bytes: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    seconds: float | None
    width: int | None
    height: int | None


class Metadata(_Outcome):
    id: str
    run_id: str
    segment_index: int
    take: int
    model_id: str
    segment: dict[str, Any]
    full_prompt: str
    attempts: list[dict[str, Any]]
    file: File | None
    cost: dict[str, Any]
    routing: dict[str, Any] | None
