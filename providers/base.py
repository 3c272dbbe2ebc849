"""The values that cross the seam between the engine and a provider, and the protocol of an adapter.

An adapter is pure translation: it makes request values and reads answers. It sends nothing, waits for
nothing, chooses nothing and knows no settings, so it is tested with bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from providers.errors import Failure


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach a provider: `key` is a secret and stays out of every `repr`."""

    provider_id: str
    base_url: str = ""
    key: str = field(default="", repr=False)
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class StartImage:
    """The first frame: bytes that we hold, or an address that the provider may fetch. One of the two."""

    content: bytes | None = field(default=None, repr=False)
    mime_type: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One take to be made, in words that no provider owns."""

    token: str  # the attempt's id
    model: str  # under the provider's own name for it
    prompt: str
    seconds: int
    resolution: str  # "horizontal" or "vertical"
    is_pro: bool
    segment_index: int
    take: int
    image: StartImage | None = None


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request to be sent. `secret_headers` go to this call's own origin only, never along a redirect."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    form: Mapping[str, str] | None = None
    files: Mapping[str, tuple[str, bytes, str]] | None = field(
        default=None, repr=False
    )  # field: (name, bytes, type)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class RenderLocally:
    """The video is not fetched: this machine draws it."""


# ---- what a submit came to ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider made a job. `output` is set when it is finished already."""

    job_id: str
    output: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Surely nothing was created."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It was sent, and nobody knows: a job may exist and may be billed."""

    failure: Failure


SubmitOutcome = Accepted | Rejected | Ambiguous

# ---- what a poll came to -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Working:
    """Not done yet; `progress` is 0–100 or unknown."""

    progress: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Done; `output` tells `fetch` where the video is. It is stored, so it must be JSON."""

    output: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider says that the job failed, for good."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The poll itself went wrong; says nothing about the job. `gone`: the provider does not know the job."""

    failure: Failure
    gone: bool = False


PollOutcome = Working | Finished | Failed | NoAnswer


class Adapter(Protocol):
    """One provider's dialect."""

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall | Accepted:
        """The one paid call; `Accepted` at once when there is nobody to call."""
        ...

    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        """Raises `UnexpectedReply` when a success cannot be read; the engine takes that as ambiguous."""
        ...

    def poll(self, account: Account, job_id: str) -> HttpCall: ...

    def read_poll(self, answer: HttpAnswer) -> PollOutcome:
        """Raises `UnexpectedReply` for a state that it does not know."""
        ...

    def fetch(
        self, account: Account, job_id: str, output: Mapping[str, Any]
    ) -> HttpCall | RenderLocally: ...

    def image_size(self, resolution: str, model: str) -> tuple[int, int] | None:
        """Width and height that a start image must have; None if any will do."""
        ...


class Renderer(Protocol):
    """Draws a take on this machine; raises `RenderError`."""

    def __call__(
        self,
        *,
        prompt: str,
        segment_index: int,
        take: int,
        resolution: str,
        seconds: int,
        target: Path,
        timeout: float,
    ) -> None: ...
