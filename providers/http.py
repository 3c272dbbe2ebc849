"""The one transport. It says what the wire did and never repeats a POST."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from providers.base import HttpAnswer, HttpCall, NoAnswer
from providers.errors import Failure


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely nothing arrived: no connection came about, so not a byte was written."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class SentNoAnswer:
    """The connection was open and no whole answer came: the far end may have acted."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A whole file; `bytes` is its size."""

    bytes: int
    sha256: str
    content_type: str


class DownloadError(Exception):
    """No whole file came. `gone`: it is not there (any more), so asking again is of no use."""

    def __init__(self, failure: Failure, *, gone: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.gone = gone


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy a URL goes through; loopback never goes through one."""

    http: str = ""
    https: str = ""
    bypass: str = ""  # as NO_PROXY is written

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Proxies":
        raise NotImplementedError

    def choose(self, url: str) -> str | None:
        raise NotImplementedError


class Transport:
    """What happens once: a paid POST, a download. Safe to share between threads."""

    def __init__(self, *, timeout: float, proxies: Proxies | None = None) -> None:
        raise NotImplementedError

    def submit(
        self, call: HttpCall, *, send_by: float | None = None
    ) -> HttpAnswer | NotSent | SentNoAnswer:
        """Send once. `send_by` (time.monotonic): a connection that is open later stays unused."""
        raise NotImplementedError

    def download(
        self,
        call: HttpCall,
        target: Path,
        *,
        timeout: float,
        max_bytes: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> Downloaded:
        """Write the answer's body to `target`; raises DownloadError, or OSError of the disk.

        `on_progress` is told the bytes so far, about once a second; what it raises ends the
        download.
        """
        raise NotImplementedError


class PollClient:
    """Asks many at once: one loop thread and one session, made at the first question."""

    def __init__(self, *, proxies: Proxies | None = None, limit: int = 100) -> None:
        raise NotImplementedError

    def ask(self, calls: Sequence[HttpCall], *, timeout: float) -> list[HttpAnswer | NoAnswer]:
        """The answers in the order of the calls; back within `timeout` and a little."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
