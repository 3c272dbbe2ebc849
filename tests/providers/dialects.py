"""Every dialect that the simulator speaks, as the contract of `tests/runs/test_dialects.py` needs to know it.

One entry a dialect. What a fault must come to stands here once for all of them; an entry names only what
its vendor does otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.errors import Code
from providers.simulator.faults import CREATES_A_JOB, FAULTS


@dataclass(frozen=True)
class Refused:
    """Surely nothing was made, and the attempt says why.

    `waits`: the task goes back to the queue by itself; otherwise it ends with the code.
    """

    code: Code
    waits: bool = False


@dataclass(frozen=True)
class Lost:
    """Sent, and no usable answer: nobody sends it again."""


SubmitEnd = Refused | Lost

_WAITS = {Code.RATE_LIMITED, Code.UNAUTHORIZED, Code.QUOTA_EXCEEDED, Code.DEPENDENCY_ERROR}


def refused(code: Code) -> Refused:
    return Refused(code, waits=code in _WAITS)


# What the first attempt comes to when its submit meets the fault.
# No dialect hangs in a way of its own, and waiting for a time-out takes long.
SUBMITS: Mapping[str, SubmitEnd] = {
    **dict.fromkeys(CREATES_A_JOB - {"hang"}, Lost()),
    "drop_before_create": Lost(),
    "html": Lost(),
    "408": Lost(),
    "500": Lost(),
    "502": Lost(),
    "503": Lost(),
    "504": Lost(),
    "redirect": refused(Code.DEPENDENCY_ERROR),
    "400": refused(Code.CONTENT_POLICY),
    "moderation": refused(Code.CONTENT_POLICY),
    "validation": refused(Code.VALIDATION_ERROR),
    "401": refused(Code.UNAUTHORIZED),
    "402": refused(Code.QUOTA_EXCEEDED),
    "balance": refused(Code.QUOTA_EXCEEDED),
    "insufficient_quota": refused(Code.QUOTA_EXCEEDED),
    "403": refused(Code.FORBIDDEN),
    "404": refused(Code.DEPENDENCY_ERROR),
    "410": refused(Code.DEPENDENCY_ERROR),
    "409": refused(Code.VALIDATION_ERROR),
    "422": refused(Code.VALIDATION_ERROR),
    "429": refused(Code.RATE_LIMITED),
    "429_ms": refused(Code.RATE_LIMITED),
    "429_date": refused(Code.RATE_LIMITED),
}
# What a fault needs besides its name: seconds, or milliseconds.
ARGUMENTS = {"429_ms": "429_ms:1500", "429_date": "429_date:2", "slow": "slow:0.1"}

# How a job ends that was told to fail: error code.
FAILURES: Mapping[str, Code] = {
    "moderation": Code.CONTENT_POLICY,
    "server_error": Code.SERVER_ERROR,
}
# Faults of a poll that stay for ever, and what the task ends with.
POLLS_FOR_EVER: Mapping[str, Code] = {
    "404": Code.DEPENDENCY_ERROR,
    "stuck": Code.TIMEOUT,
    "unknown_status": Code.TIMEOUT,
    "500": Code.TIMEOUT,
}


@dataclass(frozen=True)
class Dialect:
    """One dialect, and a model of the catalogue that is made in it."""

    name: str
    provider: str  # whose account: a key of settings.PROVIDERS
    prefix: str  # of the simulator, below its origin
    model: str  # logical
    provider_model: str
    seconds: int
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the account, besides key and base_url
    api_prefix: str = ""  # of the vendor's second address, where there is one
    # What the simulator's ledger shows of the order: seconds as they were billed, and the picture's size.
    size: str = "1280x720"
    billed_seconds: int | None = None
    # Columns of the provider model, where the seeded ones do not do (or none is seeded).
    columns: Mapping[str, Any] = field(default_factory=dict)
    key_is_asked_for: bool = True  # False where a server of one's own takes everybody
    submits: Mapping[str, SubmitEnd | None] = field(
        default_factory=dict
    )  # None: it has no such fault
    polls: frozenset[str] = frozenset()  # more faults of a poll that pass
    polls_for_ever: Mapping[str, Code | None] = field(default_factory=dict)
    failures: Mapping[str, Code] = field(default_factory=dict)
    output_refusals: frozenset[str] = (
        frozenset()
    )  # of `failures`: it is what was made that is refused
    fetches: Mapping[str, bool] = field(default_factory=dict)  # False: it has no such fault
    lists_jobs: bool = True
    cancels: bool = False
    retires: bool = True  # tells of a model that is gone

    def __str__(self) -> str:
        return self.name

    def base_url(self, origin: str) -> str:
        return f"{origin}{self.prefix}"

    def account(self, origin: str, key: str) -> dict[str, Any]:
        """The provider's entry in settings.PROVIDERS."""
        second = {"api_url": f"{origin}{self.api_prefix}"} if self.api_prefix else {}
        return {"key": key, "base_url": self.base_url(origin), **second, **self.settings}

    def submit_ends(self) -> dict[str, SubmitEnd]:
        ends = {**SUBMITS, **self.submits}
        return {name: end for name, end in ends.items() if end is not None}

    def passing_polls(self) -> frozenset[str]:
        return (FAULTS["poll"] - {"stuck"}) | self.polls

    def lasting_polls(self) -> dict[str, Code]:
        ends = {**POLLS_FOR_EVER, **self.polls_for_ever}
        return {name: code for name, code in ends.items() if code is not None}

    def passing_fetches(self) -> set[str]:
        return {name for name in FAULTS["fetch"] if self.fetches.get(name, True)}

    def ends(self) -> dict[str, Code]:
        return {**FAILURES, **self.failures}


DIALECTS = (
    Dialect(
        name="openai",
        provider="openai",
        prefix="/openai/v1",
        model="sora2",
        provider_model="sora-2",
        seconds=4,
        settings={"dialect": "openai"},
        cancels=True,
    ),
)
