"""Which provider makes a take, and in what length: pure functions over values, cheap enough for 10,000 takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal

from providers import capabilities
from providers.base import ImageInput
from providers.offers import Candidate, Offer, Shot
from providers.strategies import Strategy, choose

Conform = Literal["route", "strict", "nearest_longer", "nearest"]


class Heed(IntEnum):
    """How much of a candidate's state counts, beside what it can make."""

    NOTHING = 0  # dry runs: neither its key nor its load
    WHAT_LASTS = 1  # what only a person can change: its key, its retirement
    EVERYTHING = 2  # and what passes: holds, breakers, limits


class Standing(IntEnum):
    UNFIT = 0
    BUSY = 1
    FITS = 2


@dataclass(frozen=True, slots=True)
class Considered:
    """What became of one candidate before the strategy chose."""

    candidate: Candidate
    seconds: int | None  # what it would be asked for; None where nothing it makes will do
    standing: Standing
    why: str  # of one that fits, what must be added to that


@dataclass(frozen=True)
class Judgement:
    """Who can take a shot. It holds for every shot like it, and for every lot that is drawn."""

    shot: Shot
    conform: str
    considered: tuple[Considered, ...]

    @cached_property
    def fitting(self) -> list[Offer]:
        """Those that the strategy chooses from."""
        return [
            Offer(each.candidate, each.seconds)
            for each in self.considered
            if each.standing == Standing.FITS and each.seconds is not None
        ]

    def why(self, each: Considered, *, taken: bool) -> str:
        if each.standing != Standing.FITS:
            return each.why
        words = "taken" if taken else "fits"
        if each.seconds != self.shot.seconds:
            words += f" as {each.seconds} s"
        return f"{words}; {each.why}" if each.why else words

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """As they are stored, none of them taken."""
        return [
            _row(each, taken=False, why=self.why(each, taken=False)) for each in self.considered
        ]


@dataclass(frozen=True, slots=True)
class Decision:
    """`choice` is None when none is left; with `wait`, one that fits is busy or held."""

    judgement: Judgement
    strategy: str
    choice: Offer | None
    looked_at: str
    reason: str
    wait: bool

    @property
    def requested(self) -> int:
        """Seconds, as the storyboard wants it."""
        return self.judgement.shot.seconds

    @property
    def seconds(self) -> int | None:
        """What the choice is asked for, and what will be billed."""
        return self.choice.seconds if self.choice else None

    @property
    def whys(self) -> list[str]:
        """Of all candidates, why each was or was not taken."""
        return [
            self.judgement.why(each, taken=self._is_taken(each))
            for each in self.judgement.considered
        ]

    def _is_taken(self, each: Considered) -> bool:
        return self.choice is not None and each.candidate is self.choice.candidate


def route(
    strategy: Strategy,
    candidates: Sequence[Candidate],
    shot: Shot,
    *,
    conform: Conform = "route",
    provider_id: str = "",
    failed: frozenset[str] = frozenset(),
    draw: float = 0.0,
    heed: Heed = Heed.EVERYTHING,
) -> Decision:
    """Filter, then let the strategy choose among those that can take the shot right now.

    `provider_id` is for `manual`. `failed` holds the providers that failed before for this task.
    `draw` is in [0, 1), for the strategies that draw lots.
    """
    wanted = provider_id if strategy == "manual" else None
    judgement = judge(candidates, shot, conform=conform, wanted=wanted, failed=failed, heed=heed)
    return decide(judgement, strategy, draw)


def judge(
    candidates: Sequence[Candidate],
    shot: Shot,
    *,
    conform: str,
    wanted: str | None = None,
    failed: frozenset[str] = frozenset(),
    heed: Heed = Heed.EVERYTHING,
) -> Judgement:
    """`wanted` is the one provider that may be taken; None: any."""
    judged = [_judge(each, shot, conform, wanted, failed, heed) for each in candidates]
    return Judgement(shot, conform, tuple(_exact_first(judged, shot)))


def decide(judgement: Judgement, strategy: Strategy, draw: float = 0.0) -> Decision:
    if not judgement.fitting:
        return _none(judgement, strategy)
    choice, looked_at, reason = choose(strategy, judgement.fitting, draw)
    return Decision(judgement, strategy, choice, looked_at, reason, wait=False)


# ---- filters -------------------------------------------------------------------------------------


def _judge(
    candidate: Candidate,
    shot: Shot,
    conform: str,
    wanted: str | None,
    failed: frozenset[str],
    heed: Heed,
) -> Considered:
    seconds = asked(candidate.durations, shot.seconds, conform)
    why = _misfit(candidate, shot, wanted, failed) or _misfit_of_length(candidate, shot, conform)
    if why:
        return Considered(candidate, seconds, Standing.UNFIT, why)
    ailment = _ailment(candidate)
    if ailment and heed >= Heed.WHAT_LASTS:
        return Considered(candidate, seconds, Standing.UNFIT, ailment)
    if ailment:
        return Considered(candidate, seconds, Standing.FITS, f"not usable yet: {ailment}")
    hold = _hold(candidate) if heed >= Heed.EVERYTHING else ""
    return Considered(candidate, seconds, Standing.BUSY if hold else Standing.FITS, hold)


def asked(durations: Sequence[int], seconds: int, conform: str) -> int | None:
    """What a model is asked for when a shot is to last so long; None if nothing it makes will do."""
    match conform:
        case "nearest_longer":
            return capabilities.next_longer(durations, seconds)
        case "nearest":
            return capabilities.nearest(durations, seconds)
    return seconds if seconds in durations else None


def _misfit(candidate: Candidate, shot: Shot, wanted: str | None, failed: frozenset[str]) -> str:
    """Why it cannot take this shot, whatever its state and the shot's length; empty if it can."""
    if wanted is not None and candidate.provider_id != wanted:
        return "another provider was asked for"
    if not candidate.enabled:
        return "is switched off"
    if candidate.provider_id in failed:
        return "failed before for this task"
    if shot.resolution not in candidate.resolutions:
        return f"does not make {shot.resolution} video"
    if shot.is_pro and (candidate.pro == "never" or not candidate.supports_pro):
        return "takes no pro segments"
    if candidate.pro == "only" and not shot.is_pro:
        return "is for pro segments alone"
    longest = candidate.max_prompt_length
    if longest is not None and shot.prompt_length > longest:
        return f"takes prompts of {longest} characters, not of {shot.prompt_length}"
    return _misfit_of_image(candidate, shot)


def _misfit_of_image(candidate: Candidate, shot: Shot) -> str:
    if not shot.has_image:
        return "needs a start image" if candidate.needs_image else ""
    if not candidate.image_inputs:
        return "takes no start image"
    if not shot.image_has_address and set(candidate.image_inputs) == {ImageInput.URL}:
        return "fetches start images itself, and cannot reach this server (set PUBLIC_BASE_URL)"
    return ""


def _misfit_of_length(candidate: Candidate, shot: Shot, conform: str) -> str:
    if asked(candidate.durations, shot.seconds, conform) is not None:
        return ""
    if not candidate.durations:
        return "makes no length that is known"
    lengths = capabilities.in_words(candidate.durations)
    if conform == "nearest_longer":
        return f"makes {lengths}, and nothing as long as {shot.seconds} s"
    return f"makes {lengths}, not {shot.seconds} s"


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


def _exact_first(judged: Sequence[Considered], shot: Shot) -> list[Considered]:
    """Another length is for shots that nothing fits: not for those whose provider is only busy."""
    exact = [each for each in judged if each.standing and each.seconds == shot.seconds]
    if not exact:
        return list(judged)
    return [
        replace(each, standing=Standing.UNFIT, why=_beaten(each, exact[0], shot))
        if each.standing and each.seconds != shot.seconds
        else each
        for each in judged
    ]


def _beaten(each: Considered, exact: Considered, shot: Shot) -> str:
    other = f"{exact.candidate.provider_id} {exact.candidate.provider_model_id}"
    return f"would make {each.seconds} s; {other} makes {shot.seconds} s"


# ---- what is told --------------------------------------------------------------------------------


def _none(judgement: Judgement, strategy: str) -> Decision:
    """Nobody right now; if some are only busy, that is worth waiting for."""
    judged = judgement.considered
    waiting = [each for each in judged if each.standing == Standing.BUSY]
    reason = _reason(waiting, judged)
    return Decision(judgement, strategy, None, "", reason, wait=bool(waiting))


def _reason(waiting: Sequence[Considered], judged: Sequence[Considered]) -> str:
    if not judged:
        return "No provider is mapped to this model."
    start = "Waiting for a provider" if waiting else "No provider can take this shot"
    whys = [
        f"{each.candidate.provider_id} {each.candidate.provider_model_id}: {each.why}"
        for each in waiting or judged
    ]
    return f"{start}. {'; '.join(whys)}."


def as_json(decision: Decision, at: datetime) -> dict[str, Any]:
    """What is stored with the task and its attempt, and shown to whoever asks why."""
    choice = decision.choice.candidate if decision.choice else None
    return {
        "strategy": decision.strategy,
        "conform": decision.judgement.conform,
        "decided_at": _time(at),
        "requested_seconds": decision.requested,
        "asked_seconds": decision.seconds,
        "provider_id": choice.provider_id if choice else None,
        "provider_model_id": choice.provider_model_id if choice else None,
        "looked_at": decision.looked_at,
        "reason": decision.reason,
        "waits": decision.wait,
        "candidates": _rows(decision.judgement, choice),
    }


def _rows(judgement: Judgement, choice: Candidate | None) -> list[dict[str, Any]]:
    return [
        {**row, "taken": True, "why": judgement.why(each, taken=True)}
        if each.candidate is choice
        else row
        for each, row in zip(judgement.considered, judgement.rows, strict=True)
    ]


# What may be known of a candidate, and is null where it is told of one of whom it is not.
VALUES = (
    *("asked_seconds", "priority", "weight", "price_per_second", "price"),
    *("latency_p50", "latency_p95", "free_slots", "free_share", "left_this_minute"),
    *("balance", "balance_currency", "held_until"),
)


def _row(considered: Considered, *, taken: bool, why: str) -> dict[str, Any]:
    """With the values that were looked at; without those that nobody knows, since ten thousand tasks keep it."""
    candidate, seconds = considered.candidate, considered.seconds
    price = Offer(candidate, seconds).price if seconds is not None else None
    values = (
        *(seconds, candidate.priority, candidate.weight),
        *(_number(candidate.price_per_second), _number(price)),
        *(candidate.latency_p50, candidate.latency_p95),
        *(candidate.free_slots, candidate.free_share, candidate.left_this_minute),
        *(_number(candidate.balance), candidate.balance_currency or None),
        _time(candidate.held_until),
    )
    return {
        "provider_id": candidate.provider_id,
        "provider_model_id": candidate.provider_model_id,
        "taken": taken,
        "why": why,
        **{name: value for name, value in zip(VALUES, values, strict=True) if value is not None},
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
