"""Which provider makes a take: pure functions over values, cheap enough for 10,000 takes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Strategy = Literal["default", "manual", "failover", "weighted", "cost", "latency", "quota"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A provider's model that the wanted model maps to, and how its provider stands right now."""

    provider_id: str
    provider_model_id: str
    position: int = 0  # among the models of one provider
    priority: int = 50  # lower first
    weight: int = 10
    enabled: bool = True
    configured: bool = True
    missing: str = ""  # what a person must do, when it is not configured
    retired_at: date | None = None
    dead: bool = False  # retired, and asked at its vendor's own address
    durations: Sequence[int] = ()
    resolutions: Sequence[str] = ()
    image: bool = True
    needs_image: bool = False
    pro: str = "never"  # "never", "always", "on_request" or "only"
    supports_pro: bool = True
    price_per_second: Decimal | None = None  # US dollars
    latency_p50: float | None = None  # seconds, measured
    free_slots: int | None = None  # None: no limit
    options: Mapping[str, Any] = field(default_factory=dict)  # for its adapter alone
    held_until: datetime | None = None  # only when that is still to come
    hold_reason: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """What is to be made."""

    seconds: int
    resolution: str
    is_pro: bool
    has_image: bool


@dataclass(frozen=True, slots=True)
class Considered:
    """What became of one candidate."""

    provider_id: str
    provider_model_id: str
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`choice` is None when none is left; with `wait`, one that fits is busy or held."""

    choice: Candidate | None
    considered: tuple[Considered, ...]
    strategy: str
    looked_at: str
    reason: str
    wait: bool


def route(
    strategy: str,
    candidates: Sequence[Candidate],
    shot: Shot,
    *,
    provider_id: str = "",
    failed: frozenset[tuple[str, str]] = frozenset(),
    draw: float = 0.0,
    ignore_health: bool = False,
) -> Decision:
    """Filter, then let the strategy choose among those that can take the shot right now.

    `provider_id` is for `manual`. `failed` holds (provider id, provider model id) of what failed
    before for this task. `draw` is in [0, 1) and decides in `weighted`. `ignore_health`, for dry
    runs, looks at what a provider can do and not at how it stands.
    """
    wanted = provider_id if strategy == "manual" else None
    judged = []
    for candidate in candidates:
        why = _misfit(candidate, shot, wanted, failed)
        judged.append((candidate, *((_UNFIT, why) if why else _health(candidate, ignore_health))))
    fitting = [candidate for candidate, standing, _ in judged if standing == _FITS]
    if not fitting:
        return _none(strategy, judged)
    choice, looked_at, reason = _STRATEGIES[strategy](fitting, draw)
    considered = tuple(
        Considered(
            candidate.provider_id,
            candidate.provider_model_id,
            candidate is choice,
            _words(candidate is choice, standing, why),
        )
        for candidate, standing, why in judged
    )
    return Decision(choice, considered, strategy, looked_at, reason, wait=False)


def as_json(decision: Decision) -> dict[str, Any]:
    """What is stored with the task and shown in its metadata."""
    choice = decision.choice
    return {
        "strategy": decision.strategy,
        "provider_id": choice.provider_id if choice else None,
        "provider_model_id": choice.provider_model_id if choice else None,
        "looked_at": decision.looked_at,
        "reason": decision.reason,
        "considered": [
            {
                "provider_id": each.provider_id,
                "provider_model_id": each.provider_model_id,
                "taken": each.taken,
                "why": each.why,
            }
            for each in decision.considered
        ],
    }


# ---- filters -----------------------------------------------------------------------------------

_UNFIT, _BUSY, _FITS = range(3)
_Judged = list[tuple[Candidate, int, str]]


def _misfit(
    candidate: Candidate, shot: Shot, wanted: str | None, failed: frozenset[tuple[str, str]]
) -> str:
    """Why it cannot take this shot, whatever its state; empty if it can."""
    if wanted is not None and candidate.provider_id != wanted:
        return "another provider was asked for"
    if not candidate.enabled:
        return "is switched off"
    if shot.seconds not in candidate.durations:
        lengths = ", ".join(map(str, candidate.durations)) or "no"
        return f"makes {lengths} s, not {shot.seconds} s"
    if shot.resolution not in candidate.resolutions:
        return f"does not make {shot.resolution} video"
    if shot.has_image and not candidate.image:
        return "takes no start image"
    if candidate.needs_image and not shot.has_image:
        return "needs a start image"
    if shot.is_pro and (candidate.pro == "never" or not candidate.supports_pro):
        return "takes no pro segments"
    if candidate.pro == "only" and not shot.is_pro:
        return "is for pro segments alone"
    if failed and (candidate.provider_id, candidate.provider_model_id) in failed:
        return "failed before for this task"
    return ""


def _health(candidate: Candidate, ignored: bool) -> tuple[int, str]:
    why = _ailment(candidate)
    if why:
        return (_FITS, f"not usable yet: {why}") if ignored else (_UNFIT, why)
    why = "" if ignored else _hold(candidate)
    return (_BUSY, why) if why else (_FITS, "")


def _ailment(candidate: Candidate) -> str:
    """What only a person can change."""
    if not candidate.configured:
        return candidate.missing or "is not configured"
    if candidate.dead:
        day = f" on {candidate.retired_at}" if candidate.retired_at else ""
        return f"its vendor ended it{day}; another base URL would bring it back"
    return ""


def _hold(candidate: Candidate) -> str:
    """What passes by itself."""
    if candidate.held_until is not None:
        why = f" ({candidate.hold_reason})" if candidate.hold_reason else ""
        return f"is held until {candidate.held_until:%H:%M:%S} UTC{why}"
    if candidate.free_slots is not None and candidate.free_slots <= 0:
        return "all its slots are taken"
    return ""


def _words(taken: bool, standing: int, why: str) -> str:
    if standing != _FITS:
        return why
    words = "taken" if taken else "fits"
    return f"{words}; {why}" if why else words


def _none(strategy: str, judged: _Judged) -> Decision:
    """Nobody right now; if some are only busy, that is worth waiting for."""
    waiting = [each for each in judged if each[1] == _BUSY]
    considered = tuple(
        Considered(candidate.provider_id, candidate.provider_model_id, taken=False, why=why)
        for candidate, _, why in judged
    )
    return Decision(None, considered, strategy, "", _reason(waiting, judged), bool(waiting))


def _reason(waiting: _Judged, judged: _Judged) -> str:
    if not judged:
        return "No provider is mapped to this model."
    start = "Waiting for a provider" if waiting else "No provider can take this shot"
    whys = [f"{c.provider_id} {c.provider_model_id}: {why}" for c, _, why in waiting or judged]
    return f"{start}. {'; '.join(whys)}."


# ---- strategies --------------------------------------------------------------------------------

# What it takes, what it looked at, and why, from at least one candidate and a draw.
_Strategy = Callable[[list[Candidate], float], tuple[Candidate, str, str]]


def _rank(candidate: Candidate) -> tuple[int, str, int, str]:
    return (
        candidate.priority,
        candidate.provider_id,
        candidate.position,
        candidate.provider_model_id,
    )


def _by_priority(fitting: list[Candidate], draw: float) -> tuple[Candidate, str, str]:
    looked_at = _listed("priority", fitting, lambda c: str(c.priority))
    return min(fitting, key=_rank), looked_at, "first by priority"


def _manual(fitting: list[Candidate], draw: float) -> tuple[Candidate, str, str]:
    choice = min(fitting, key=_rank)
    return choice, f"the chosen provider: {choice.provider_id}", "asked for"


def _weighted(fitting: list[Candidate], draw: float) -> tuple[Candidate, str, str]:
    """A weight belongs to a provider: two models of it do not make it twice as likely."""
    firsts: dict[str, Candidate] = {}
    for candidate in sorted(fitting, key=_rank):
        firsts.setdefault(candidate.provider_id, candidate)
    drawn = list(firsts.values())
    point = int(draw * sum(candidate.weight for candidate in drawn))
    looked_at = _listed("weight", drawn, lambda c: str(c.weight)) + f"; drew {draw:.4f}"
    for candidate in drawn[:-1]:
        if point < candidate.weight:
            return candidate, looked_at, "drawn by weight"
        point -= candidate.weight
    return drawn[-1], looked_at, "drawn by weight"


def _cheapest(fitting: list[Candidate], draw: float) -> tuple[Candidate, str, str]:
    """Every candidate would make the same length, so the price of a second decides."""
    choice = min(fitting, key=lambda c: (_or_infinity(c.price_per_second), _rank(c)))
    looked_at = _listed("price per second", fitting, lambda c: _money(c.price_per_second))
    return choice, looked_at, "lowest known price"


def _fastest(fitting: list[Candidate], draw: float) -> tuple[Candidate, str, str]:
    choice = min(fitting, key=lambda c: (_or_infinity(c.latency_p50), _rank(c)))
    looked_at = _listed("median seconds", fitting, lambda c: _measured(c.latency_p50))
    return choice, looked_at, "lowest measured median"


def _freest(fitting: list[Candidate], draw: float) -> tuple[Candidate, str, str]:
    choice = min(fitting, key=lambda c: (-_or_infinity(c.free_slots), _rank(c)))
    looked_at = _listed("free slots", fitting, lambda c: _slots(c.free_slots))
    return choice, looked_at, "most free slots"


_STRATEGIES: dict[str, _Strategy] = {
    "default": _by_priority,
    # The same choice: the two differ by what follows a failure.
    "failover": _by_priority,
    "manual": _manual,
    "weighted": _weighted,
    "cost": _cheapest,
    "latency": _fastest,
    "quota": _freest,
}


def _listed(what: str, fitting: list[Candidate], value: Callable[[Candidate], str]) -> str:
    values = dict.fromkeys([f"{c.provider_id} {value(c)}" for c in fitting])
    return f"{what}: {', '.join(values)}"


def _or_infinity(value: Decimal | float | None) -> Decimal | float:
    return math.inf if value is None else value


def _money(price: Decimal | None) -> str:
    return "unknown" if price is None else f"{price.normalize():f}"


def _measured(seconds: float | None) -> str:
    return "not measured" if seconds is None else f"{seconds:.0f}"


def _slots(free: int | None) -> str:
    return "no limit" if free is None else str(free)
