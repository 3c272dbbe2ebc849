"""Which provider makes a take, and in what length: pure functions over values, cheap enough for 10,000 takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
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
    """What became of one candidate."""

    candidate: Candidate
    seconds: int | None  # what it would be asked for; None where nothing it makes will do
    standing: Standing
    why: str
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`choice` is None when none is left; with `wait`, one that fits is busy or held."""

    choice: Offer | None
    considered: tuple[Considered, ...]
    strategy: str
    conform: str
    requested: int  # seconds
    looked_at: str
    reason: str
    wait: bool

    @property
    def seconds(self) -> int | None:
        """What the choice is asked for, and what will be billed."""
        return self.choice.seconds if self.choice else None

    @property
    def fitting(self) -> list[Offer]:
        """Those that the strategy chose from."""
        return _fitting(self.considered)


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
    judged = [_judge(each, shot, conform, wanted, failed, heed) for each in candidates]
    judged = _exact_first(judged, shot)
    fitting = _fitting(judged)
    if not fitting:
        return _none(strategy, conform, shot, judged)
    choice, looked_at, reason = choose(strategy, fitting, draw)
    told = tuple(_told(each, shot, choice.candidate) for each in judged)
    return Decision(choice, told, strategy, conform, shot.seconds, looked_at, reason, wait=False)


def _fitting(judged: Iterable[Considered]) -> list[Offer]:
    return [
        Offer(each.candidate, each.seconds)
        for each in judged
        if each.standing == Standing.FITS and each.seconds is not None
    ]


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


def _told(judged: Considered, shot: Shot, choice: Candidate) -> Considered:
    if judged.standing != Standing.FITS:
        return judged
    taken = judged.candidate is choice
    words = "taken" if taken else "fits"
    if judged.seconds != shot.seconds:
        words += f" as {judged.seconds} s"
    why = f"{words}; {judged.why}" if judged.why else words
    return replace(judged, why=why, taken=taken)


def _none(strategy: str, conform: str, shot: Shot, judged: Sequence[Considered]) -> Decision:
    """Nobody right now; if some are only busy, that is worth waiting for."""
    waiting = [each for each in judged if each.standing == Standing.BUSY]
    reason = _reason(waiting, judged)
    return Decision(
        None, tuple(judged), strategy, conform, shot.seconds, "", reason, wait=bool(waiting)
    )


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
        "conform": decision.conform,
        "decided_at": _time(at),
        "requested_seconds": decision.requested,
        "asked_seconds": decision.seconds,
        "provider_id": choice.provider_id if choice else None,
        "provider_model_id": choice.provider_model_id if choice else None,
        "looked_at": decision.looked_at,
        "reason": decision.reason,
        "waits": decision.wait,
        "candidates": [_candidate(each) for each in decision.considered],
    }


def _candidate(considered: Considered) -> dict[str, Any]:
    """With the values that were looked at; null where one is not known, or was not measured for it."""
    candidate, seconds = considered.candidate, considered.seconds
    price = Offer(candidate, seconds).price if seconds is not None else None
    return {
        "provider_id": candidate.provider_id,
        "provider_model_id": candidate.provider_model_id,
        "taken": considered.taken,
        "why": considered.why,
        "asked_seconds": seconds,
        "priority": candidate.priority,
        "weight": candidate.weight,
        "price_per_second": _number(candidate.price_per_second),
        "price": _number(price),
        "latency_p50": candidate.latency_p50,
        "latency_p95": candidate.latency_p95,
        "free_slots": candidate.free_slots,
        "free_share": candidate.free_share,
        "left_this_minute": candidate.left_this_minute,
        "balance": _number(candidate.balance),
        "balance_currency": candidate.balance_currency or None,
        "held_until": _time(candidate.held_until),
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
