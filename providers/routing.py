"""Which provider makes a take: pure functions over values, cheap enough for 10,000 takes."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    pro: str = "never"  # "never", "always" or "on_request"
    supports_pro: bool = True
    price_per_second: Decimal | None = None  # US dollars
    latency_p50: float | None = None  # seconds, measured
    free_slots: int | None = None  # None: no limit
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
    """`failed` holds (provider id, provider model id); `draw` is in [0, 1), for `weighted`."""
    raise NotImplementedError


def as_json(decision: Decision) -> dict[str, Any]:
    raise NotImplementedError
