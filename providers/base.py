"""The values that cross the seam between the engine and a provider, and the protocol of an adapter.

An adapter is pure translation: it makes request values and reads answers. It sends nothing, waits for
nothing, chooses nothing and knows no settings, so it is tested with bytes.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from providers.errors import Failure, UnexpectedReply


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach a provider: `key` is a secret and stays out of every `repr`."""

    provider_id: str
    base_url: str = ""
    key: str = field(default="", repr=False)
    dialect: str = ""
    api_url: str = ""  # a second address of the same vendor, where its history or billing answers


class ImageInput(StrEnum):
    """How a start image reaches a provider."""

    UPLOAD = "upload"  # its bytes go along with the request
    INLINE = "inline"  # its bytes stand in the body, as a data URL
    URL = "url"  # the provider fetches it


@dataclass(frozen=True, slots=True)
class StartImage:
    """The first frame: bytes that we hold, or an address that the provider may fetch. One of the two."""

    content: bytes | None = field(default=None, repr=False)
    mime_type: str = ""
    url: str = field(default="", repr=False)

    @property
    def link(self) -> str:
        """The image in one piece of text: its address, or its bytes as a data URL."""
        if self.content is None:
            return self.url
        return f"data:{self.mime_type};base64,{b64encode(self.content).decode()}"


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
    # What the catalogue says of this model in its adapter's own words, as it was when the attempt was made.
    options: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str = field(
        default="", repr=False
    )  # where the provider may tell us; empty: nowhere


@dataclass(frozen=True, slots=True)
class Job:
    """An accepted submit. `links` is what its answer said beside the id, and is kept with it."""

    id: str
    model: str = ""
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request to be sent. `secret_headers` go to this call's own origin only, never along a redirect."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    form: Mapping[str, str] | None = None  # multipart where there are `files`, be it none of them
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
    """The provider made a job. `output` is set when it is finished already.

    `links` is kept with the job and given back with it. Its addresses are the provider's words: a key goes
    to none of them but those of the account's own origin.
    """

    job_id: str
    output: Mapping[str, Any] | None = None
    links: Mapping[str, str] = field(default_factory=dict)


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
    cancelable: bool = True  # as far as its state tells: some end only what has not begun


@dataclass(frozen=True, slots=True)
class Finished:
    """Done; `output` tells `fetch` where the video is. It is stored, so it must be JSON."""

    output: Mapping[str, Any] = field(default_factory=dict)
    cost: Decimal | None = None  # US dollars, where the provider says what it bills


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider says that the job failed, for good."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The poll itself went wrong; says nothing about the job. `gone`: the provider does not know the job."""

    failure: Failure
    gone: bool = False


@dataclass(frozen=True, slots=True)
class AskNext:
    """The job has ended; how, only the answer to this call tells, which `read_result` reads."""

    call: HttpCall


PollOutcome = Working | Finished | Failed | NoAnswer
PollAnswer = PollOutcome | AskNext


# ---- what looking for a lost job came to ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """Which jobs are looked for: those of one model, made since."""

    model: str  # under the provider's own name for it
    since: datetime


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job as its provider lists it. `created_at` is Unix time; `facts` are what `matches` compares."""

    job_id: str
    created_at: float
    facts: Mapping[str, str]
    links: Mapping[str, str] = field(default_factory=dict)  # as in `Accepted`


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


# ---- what a provider tells by itself ---------------------------------------------------------------


class Unverified(Exception):
    """A notice that is not signed as its provider signs, or not by it; its text has no secret in it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified webhook. It is only ever a reason to poll; `event_id` is the same in every delivery of it."""

    job_id: str
    event_id: str


# ---- what a free request tells -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands. None is what the provider does not tell."""

    words: str
    balance: Decimal | None = None
    currency: str = ""
    models: tuple[str, ...] | None = None  # under the provider's own names


class Adapter(ABC):
    """One provider's dialect. What a dialect lacks, it need not mention."""

    # In which ways it takes a start image, the best one first; a model of the catalogue may take fewer.
    image_inputs: ClassVar[tuple[ImageInput, ...]] = ()
    # Whether its list tells one request's job from another's. Where it does not, a job that `matches` may be
    # somebody else's, and only that none does is certain.
    tells_apart: ClassVar[bool] = True
    # Whether its list is a history, the last ended first: a job that is missing may still run.
    lists_only_ended: ClassVar[bool] = False

    @abstractmethod
    def submit(self, account: Account, request: GenerationRequest) -> HttpCall | Accepted:
        """The one paid call; `Accepted` at once when there is nobody to call."""

    @abstractmethod
    def read_submit(self, answer: HttpAnswer) -> SubmitOutcome:
        """Raises `UnexpectedReply` when a success cannot be read; the engine takes that as ambiguous."""

    @abstractmethod
    def poll(self, account: Account, job: Job) -> HttpCall:
        """Ask how a job goes."""

    @abstractmethod
    def read_poll(self, account: Account, job: Job, answer: HttpAnswer) -> PollAnswer:
        """Raises `UnexpectedReply` for a state that it does not know."""

    def read_result(self, account: Account, job: Job, answer: HttpAnswer) -> PollOutcome:
        """The answer to the call of an `AskNext`."""
        raise UnexpectedReply("nothing was asked beyond the poll")

    @abstractmethod
    def fetch(
        self, account: Account, job: Job, output: Mapping[str, Any]
    ) -> HttpCall | RenderLocally:
        """Get the finished video. The key goes along only to the account's own origin."""

    def image_size(self, request: GenerationRequest) -> tuple[int, int] | None:
        """Width and height that the start image must have; None if any will do."""
        return None

    def look_up(self, account: Account, search: Search, page: str | None) -> HttpCall | None:
        """List the account's jobs, newest first (but see `lists_only_ended`); None where the dialect has no list."""
        return None

    def read_look_up(self, answer: HttpAnswer, page: str | None) -> LookUpOutcome:
        """`page` is what was asked for."""
        return CannotLookUp()

    def matches(self, request: GenerationRequest, job: SeenJob) -> bool:
        """Whether the job was made from this very request, as far as the list tells. It has no image."""
        return False

    def cancel(self, account: Account, job: Job) -> HttpCall | None:
        """None where the dialect has no cancel. Asked right after a poll that found the job `cancelable`."""
        return None

    def read_cancel(self, answer: HttpAnswer) -> Canceled | NotCanceled:
        return NotCanceled()

    def signing_keys(self, account: Account) -> HttpCall | None:
        """Where the provider publishes the keys of its notices; None where both sides share a secret."""
        return None

    def read_notice(
        self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        """Verify and read a webhook; `secret` is the shared one, or what `signing_keys` answered.

        Raises `Unverified`. Header names are lower case.
        """
        raise Unverified("this provider sends no notices")

    def standing(self, account: Account) -> HttpCall | None:
        """A request that is free and needs the key; None where there is none."""
        return None

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        """What it says of the account, or why it does not."""
        raise UnexpectedReply("nothing was asked")
