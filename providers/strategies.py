"""How one is chosen among those that can take a shot right now: a function a strategy."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from providers.offers import Candidate, Offer

Strategy = Literal["default", "manual", "failover", "weighted", "cost", "latency", "quota"]

# Of the shots that are routed by latency, this share goes to whoever is not measured, if there is one.
EXPLORED = 0.05

# What is taken, what was looked at, and why.
Choice = tuple[Offer, str, str]


def choose(strategy: Strategy, fitting: Sequence[Offer], draw: float) -> Choice:
    """From at least one offer. `draw` is in [0, 1)."""
    return _STRATEGIES[strategy](fitting, draw)


def lot(strategy: str, draw: float) -> float:
    """What of a draw matters to the strategy: shots whose lots are alike are decided alike."""
    if strategy == "weighted":
        return draw
    return 1 - EXPLORED if strategy == "latency" and draw >= 1 - EXPLORED else 0.0


def _rank(offer: Offer) -> tuple[int, str, int, str]:
    candidate = offer.candidate
    return (
        candidate.priority,
        candidate.provider_id,
        candidate.position,
        candidate.provider_model_id,
    )


def _by_priority(fitting: Sequence[Offer], draw: float) -> Choice:
    looked_at = _listed("priority", fitting, lambda offer: str(offer.candidate.priority))
    return min(fitting, key=_rank), looked_at, "first by priority"


def _manual(fitting: Sequence[Offer], draw: float) -> Choice:
    choice = min(fitting, key=_rank)
    return choice, f"the chosen provider: {choice.candidate.provider_id}", "asked for"


def _weighted(fitting: Sequence[Offer], draw: float) -> Choice:
    drawn = heads(fitting)
    point = int(draw * sum(offer.candidate.weight for offer in drawn))
    looked_at = _listed("weight", drawn, lambda offer: str(offer.candidate.weight))
    looked_at += f"; drew {draw:.4f}"
    for offer in drawn[:-1]:
        if point < offer.candidate.weight:
            return offer, looked_at, "drawn by weight"
        point -= offer.candidate.weight
    return drawn[-1], looked_at, "drawn by weight"


def heads(fitting: Sequence[Offer]) -> list[Offer]:
    """The first model of each provider: a weight is a provider's, and two models do not double it."""
    firsts: dict[str, Offer] = {}
    for offer in sorted(fitting, key=_rank):
        firsts.setdefault(offer.candidate.provider_id, offer)
    return list(firsts.values())


def _cheapest(fitting: Sequence[Offer], draw: float) -> Choice:
    choice = min(fitting, key=lambda offer: (_or_infinity(offer.price), _rank(offer)))
    looked_at = _listed("price of the shot", fitting, _price)
    known = choice.price is not None
    return choice, looked_at, "lowest price" if known else "no price is known; first by priority"


def _fastest(fitting: Sequence[Offer], draw: float) -> Choice:
    looked_at = _listed("seconds from acceptance to the end", fitting, _latency)
    unmeasured = [offer for offer in fitting if offer.candidate.latency_p50 is None]
    if len(unmeasured) == len(fitting):
        return min(fitting, key=_rank), looked_at, "none is measured; first by priority"
    if unmeasured and draw >= 1 - EXPLORED:
        why = f"not measured lately: one shot in {round(1 / EXPLORED)} goes to such a one"
        return min(unmeasured, key=_rank), looked_at, why
    return min(fitting, key=_speed), looked_at, "lowest measured median"


def _speed(offer: Offer) -> Any:
    measured = offer.candidate
    return _or_infinity(measured.latency_p50), _or_infinity(measured.latency_p95), _rank(offer)


def _freest(fitting: Sequence[Offer], draw: float) -> Choice:
    looked_at = _listed("free", fitting, _room)
    return min(fitting, key=_fullness), looked_at, "the most is left"


def _fullness(offer: Offer) -> Any:
    """Who can pay for the shot, then the freest limits, then the larger balance."""
    candidate, balance = offer.candidate, _dollars(offer.candidate)
    return (
        balance is not None and offer.price is not None and balance < offer.price,
        -1.0 if candidate.free_share is None else -candidate.free_share,
        -_or_infinity(candidate.free_slots),
        math.inf if balance is None else -balance,
        _rank(offer),
    )


def _dollars(candidate: Candidate) -> Decimal | None:
    """Balances compare with each other and with prices in one currency only."""
    return candidate.balance if candidate.balance_currency == "USD" else None


_STRATEGIES: dict[str, Callable[[Sequence[Offer], float], Choice]] = {
    "default": _by_priority,
    # The same choice: the two differ by what follows a failure.
    "failover": _by_priority,
    "manual": _manual,
    "weighted": _weighted,
    "cost": _cheapest,
    "latency": _fastest,
    "quota": _freest,
}


# ---- in words ------------------------------------------------------------------------------------


def _listed(what: str, offers: Sequence[Offer], value: Callable[[Offer], str]) -> str:
    times = Counter(offer.candidate.provider_id for offer in offers)
    values = dict.fromkeys(f"{_name(offer.candidate, times)} {value(offer)}" for offer in offers)
    return f"{what}: {', '.join(values)}"


def _name(candidate: Candidate, times: Mapping[str, int]) -> str:
    """With the model's name where the provider's alone would be two."""
    if times[candidate.provider_id] == 1:
        return candidate.provider_id
    return f"{candidate.provider_id} {candidate.provider_model_id}"


def _or_infinity(value: Decimal | float | None) -> Decimal | float:
    return math.inf if value is None else value


def _price(offer: Offer) -> str:
    if offer.price is None:
        return "unknown"
    per_second = offer.candidate.price_per_second
    return f"{plain(offer.price)} ({offer.seconds} s at {plain(per_second or Decimal(0))})"


def plain(amount: Decimal) -> str:
    """Without an exponent or idle zeros."""
    return f"{amount.normalize():f}"


def _latency(offer: Offer) -> str:
    half, most = offer.candidate.latency_p50, offer.candidate.latency_p95
    if half is None:
        return "not measured"
    return f"p50 {half:.0f}" + ("" if most is None else f" p95 {most:.0f}")


def _room(offer: Offer) -> str:
    candidate = offer.candidate
    parts = ["no limit" if candidate.free_slots is None else str(candidate.free_slots)]
    if candidate.free_share is not None:
        parts.append(f"({candidate.free_share:.0%})")
    if candidate.left_this_minute is not None:
        parts.append(f"{candidate.left_this_minute} left this minute")
    if candidate.balance is not None:
        parts.append(f"balance {plain(candidate.balance)} {candidate.balance_currency}".rstrip())
    return " ".join(parts)
