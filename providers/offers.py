"""The values that routing speaks of: a shot that is to be made, who could make it, and what would then be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from providers.base import ImageInput


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
    durations: Sequence[int] = ()  # whole seconds, rising; a range where it makes all of them
    resolutions: Sequence[str] = ()
    image_inputs: Sequence[ImageInput] = (ImageInput.UPLOAD,)
    needs_image: bool = False
    max_prompt_length: int | None = None  # in characters
    pro: str = "never"  # "never", "always", "on_request" or "only"
    supports_pro: bool = True
    price_per_second: Decimal | None = None  # US dollars
    latency_p50: float | None = None  # seconds from acceptance to the end, measured
    latency_p95: float | None = None
    free_slots: int | None = None  # submits that it takes now; None: no limit
    free_share: float | None = None  # of its tightest limit, 0 to 1; None: no limit
    left_this_minute: int | None = None
    balance: Decimal | None = None
    balance_currency: str = ""
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
    image_has_address: bool = True  # one that a provider could fetch it from
    prompt_length: int = 0  # in characters; 0 where it exceeds nobody's limit


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate and the seconds that it would be asked for."""

    candidate: Candidate
    seconds: int

    @property
    def price(self) -> Decimal | None:
        """Of the whole clip, in US dollars."""
        per_second = self.candidate.price_per_second
        return None if per_second is None else per_second * self.seconds
