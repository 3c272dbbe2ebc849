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


# ---- what looking for a lost job came to ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job as its provider lists it. `created_at` is Unix time; `facts` are what `matches` compares."""

    job_id: str
    created_at: float
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a provider's jobs, newest first; `next_page` is what to ask for the one after it."""

    jobs: tuple[SeenJob, ...]
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class CannotLookUp:
    """This provider lists nothing: nobody but a person can tell."""


LookUpOutcome = Listing | CannotLookUp | NoAnswer

# ---- what a cancel came to -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Canceled:
    """The job will not be made."""


@dataclass(frozen=True, slots=True)
class NotCanceled:
    """It goes on: too late, not possible, or no answer."""


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

    def look_up(self, account: Account, page: str | None) -> HttpCall | None:
        """List the account's jobs, newest first; None where the dialect has no list."""
        ...

    def read_look_up(self, answer: HttpAnswer) -> LookUpOutcome: ...

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        """Whether the job was made from this very request, as far as the list tells."""
        ...

    def cancel(self, account: Account, job_id: str) -> HttpCall | None:
        """None where the dialect has no cancel."""
        ...

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled: ...

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
