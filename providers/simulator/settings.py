"""What a test may change while the simulator runs."""

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seconds: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    """How long a job takes; a job keeps the time it was created with."""
    shutdown: bool = False
    """Every call answers 404 `model_not_found`, as after the end of a service."""
    retired: list[str] = Field(default_factory=list)
    """A submit to one of these models is answered as if it had never been."""
    max_in_flight: int | None = Field(default=None, ge=0)
    per_minute: int | None = Field(default=None, ge=0)
    idempotency: bool = False
    """A submit with an Idempotency-Key that is known answers with the job it made before."""
    cancel: bool = False
    """Unfinished jobs can be ended where the vendor itself had no cancel, as some relays offer it."""
    list_status: int | None = Field(default=None, ge=400, le=599)
    """The look-up does not work: every listing answers this status."""
    webhook_secret: str = "whsec_c2ltdWxhdGVkIHNlY3JldA=="  # noqa: S105 - nobody's but the simulator's
    """Signs the notices of those vendors that share one with their clients."""
    quote_key: bool = False
    """Every text of an error repeats the key that came with the request, in several spellings."""
