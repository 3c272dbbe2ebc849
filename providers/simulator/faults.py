"""What a prompt asks the simulator to do wrong: `A city at dusk [[sim:poll=500*3]]`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_DIRECTIVE = re.compile(r"\[\[sim:(.*?)\]\]", re.DOTALL)
_WORDS = re.compile(
    r"(?P<stage>[a-z]+)=(?P<name>[\w.-]+)(?::(?P<argument>\d+(?:\.\d+)?))?(?:\*(?P<times>\d+))?",
    re.ASCII,
)

_STATUSES = {"401", "402", "403", "404", "409", "410", "422", "429", "500", "502", "503", "504"}

CREATES_A_JOB = frozenset({"drop_after_create", "hang", "500_after_create", "bad_json", "no_id"})

# What each dialect can be told to do wrong, and words in its own way.
FAULTS: Mapping[str, frozenset[str]] = {
    "submit": CREATES_A_JOB
    | {"drop_before_create", "html", "redirect", "400", "408", "429_ms", "429_date"}
    | {"moderation", "validation", "balance", "insufficient_quota"}
    | _STATUSES,
    "poll": frozenset(
        {"stuck", "unknown_status", "bad_json", "html", "drop", "redirect"} | _STATUSES
    ),
    "list": frozenset({"hidden"}),
    "webhook": frozenset({"none", "bad_signature", "stale", "duplicate", "early"}),
    "cancel": frozenset({"too_late", "unsupported", "drop", "500"}),
    "fetch": frozenset(
        {"truncate", "html", "empty", "slow", "drop", "redirect_other_origin"}
        | {"expired", "wrong_type", "octet_stream"}
        | _STATUSES
    ),
}
# What only some dialects have; the others refuse it.
PARTICULAR: Mapping[str, frozenset[str]] = {
    "submit": frozenset({"no_channel", "duplicate_id", "in_body_error"}),
    "poll": frozenset(
        {"no_output", "signed_only", "in_body_error", "result_refused", "result_error"}
    ),
}
_PROGRESS = {"none", "text", "backwards"}
_NEEDS_SECONDS = {"hang", "slow", "429_ms", "429_date"}


class UnknownDirective(ValueError):
    """A misspelt directive would make a test pass that tests nothing, so it is refused."""


@dataclass(frozen=True)
class Fault:
    """One thing to do wrong: `argument` is its number (seconds), `times` None means always."""

    name: str
    argument: float | None = None
    times: int | None = None


@dataclass(frozen=True)
class Script:
    """All that one prompt asks for."""

    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    seconds: float | None = None
    fail: str | None = None
    progress: str | None = None

    def fault(self, stage: str, earlier: int) -> Fault | None:
        """The fault of a request that `earlier` requests of the same stage came before."""
        for fault in self.faults.get(stage, ()):
            if fault.times is None or earlier < fault.times:
                return fault
            earlier -= fault.times
        return None

    def duration(self, default: float) -> float:
        """Seconds until the job ends; a job that is stuck for ever never does, one that is told of early has."""
        if any(f.name == "early" for f in self.faults.get("webhook", ())):
            return 0.0
        if any(f.name == "stuck" and f.times is None for f in self.faults.get("poll", ())):
            return math.inf
        return default if self.seconds is None else self.seconds


def parse(prompt: str) -> Script:
    """Read the directives of a prompt; several of one stage are played one after the other."""
    faults: dict[str, list[Fault]] = {}
    single: dict[str, str] = {}
    for text in _DIRECTIVE.findall(prompt):
        stage, fault = _directive(text)
        if stage in FAULTS:
            faults.setdefault(stage, []).append(fault)
        else:
            single[stage] = fault.name
    return Script(
        faults={stage: tuple(listed) for stage, listed in faults.items()},
        seconds=_seconds(single.get("seconds")),
        fail=single.get("fail"),
        progress=single.get("progress"),
    )


def _directive(text: str) -> tuple[str, Fault]:
    words = _WORDS.fullmatch(text.strip())
    if words is None:
        raise UnknownDirective(f"not a directive: [[sim:{text}]]")
    stage, name, argument, times = words.group("stage", "name", "argument", "times")
    fault = Fault(name, float(argument) if argument else None, int(times) if times else None)
    if not _known(stage, fault):
        raise UnknownDirective(f"unknown directive: [[sim:{text}]]")
    return stage, fault


def _known(stage: str, fault: Fault) -> bool:
    if stage in FAULTS:
        complete = fault.argument is not None or fault.name not in _NEEDS_SECONDS
        known = FAULTS[stage] | PARTICULAR.get(stage, frozenset())
        return fault.name in known and complete
    if (fault.argument, fault.times) != (None, None):
        return False
    return stage in {"seconds", "fail"} or (stage == "progress" and fault.name in _PROGRESS)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UnknownDirective(f"not a number of seconds: {text}")
    return seconds
