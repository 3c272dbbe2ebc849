"""The catalogue: who can generate what, at which price, and how hard we may push them.

All of it is data, seeded by a migration and edited in the admin. Keys are not: they come from the environment.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from providers import capabilities
from providers.capabilities import RESOLUTIONS as RESOLUTIONS

DURATIONS = (4, 8, 10, 12, 15, 25)

_RANK = [MinValueValidator(1), MaxValueValidator(100)]


def check_lengths(value: Any) -> None:
    _check(capabilities.lengths, value)


def check_resolutions(value: Any) -> None:
    _check(capabilities.resolutions, value)


def check_image_inputs(value: Any) -> None:
    _check(capabilities.image_inputs, value)


def _check(read: Callable[[Any], object], value: Any) -> None:
    try:
        read(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class Recovery(models.TextChoices):
    """How a provider helps after a submit whose answer was lost."""

    TOKEN = "token", "A: honours our token, so the same submit may be sent again"
    LOOK_UP = "look_up", "B: can be asked which jobs it made"
    NONE = "none", "C: neither; a person decides"


class Breaker(models.TextChoices):
    """Whether an account, or one model there, is submitted to after it refused for a reason of its own."""

    CLOSED = "closed", "closed: it takes submits"
    OPEN = "open", "open: nothing is submitted for now"
    HALF_OPEN = "half_open", "half open: one submit at a time is tried"


class Holdable:
    """An account or a model that may be held, its columns read at a moment."""

    not_before: datetime | None
    hold_reason: str
    trips: int

    def held_until(self, now: datetime) -> datetime | None:
        """Its breaker may be closed all the same: after a 429 it waits, and nothing is wrong with it."""
        return self.not_before if self.not_before and self.not_before > now else None

    def breaker(self, now: datetime) -> Breaker:
        if not self.trips:
            return Breaker.CLOSED
        return Breaker.OPEN if self.held_until(now) else Breaker.HALF_OPEN

    def reason(self, now: datetime) -> str:
        """Why it is held, or tried carefully; empty when it is neither."""
        return self.hold_reason if self.trips or self.held_until(now) else ""


class Provider(Holdable, models.Model):
    """A video API, and our account there."""

    id = models.SlugField(primary_key=True, max_length=64)
    display_name = models.CharField(max_length=255)
    enabled = models.BooleanField(default=True)
    priority = models.PositiveSmallIntegerField(
        default=50, validators=_RANK, help_text="Lower is asked first."
    )
    weight = models.PositiveSmallIntegerField(default=10, validators=_RANK)
    supports_image_to_video = models.BooleanField(default=True)
    supported_durations = models.JSONField(default=list)
    supported_resolutions = models.JSONField(default=list)
    supports_pro = models.BooleanField(default=True)
    recovery = models.CharField(
        max_length=16,
        choices=Recovery.choices,
        default=Recovery.NONE,
        help_text="After a submit without an answer.",
    )
    can_cancel = models.BooleanField(default=False, help_text="Takes a cancel of a running job.")
    max_in_flight = models.PositiveIntegerField(
        null=True, blank=True, help_text="Unfinished jobs at once; empty: no limit."
    )
    max_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Submits a minute; empty: no limit."
    )
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="No submit to this account before this time."
    )
    hold_reason = models.CharField(max_length=255, blank=True, help_text="Why the account is held.")
    trips = models.PositiveSmallIntegerField(
        default=0,
        help_text="Failures in a row that opened the breaker. Above 0, one submit at a time goes through.",
    )
    balance = models.DecimalField(
        max_digits=14, decimal_places=4, null=True, blank=True, help_text="Empty: not known."
    )
    balance_currency = models.CharField(
        max_length=8, blank=True, db_default="", help_text="Of the balance, such as USD."
    )
    balance_at = models.DateTimeField(
        null=True, blank=True, help_text="When the account last told its balance."
    )

    class Meta:
        ordering = ["priority", "id"]

    def __str__(self) -> str:
        return self.display_name


class VideoModel(models.Model):
    """A model as users name it; which provider's model does the work is the routes' matter."""

    id = models.SlugField(primary_key=True, max_length=64)
    display_name = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001 - the API's clients see null
    enabled = models.BooleanField(default=True)
    priority = models.PositiveSmallIntegerField(default=50, validators=_RANK)

    class Meta:
        ordering = ["priority", "id"]

    def __str__(self) -> str:
        return self.display_name


class Pro(models.TextChoices):
    """How a provider's model relates to segments marked `is_pro`."""

    NEVER = "never", "takes no pro segments"
    ALWAYS = "always", "is a pro model"
    ON_REQUEST = "on_request", "is told per request"
    ONLY = "only", "is for pro segments alone"


class ProviderModel(Holdable, models.Model):
    """A model under the name that its provider knows."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="provider_models")
    name = models.CharField(max_length=255)
    durations = models.JSONField(
        null=True,
        blank=True,
        validators=[check_lengths],
        help_text='Seconds it makes: [5, 10] or {"min": 4, "max": 15}; empty: its provider\'s.',
    )
    resolutions = models.JSONField(
        null=True,
        blank=True,
        validators=[check_resolutions],
        help_text='["horizontal", "vertical"]; empty: its provider\'s.',
    )
    image_inputs = models.JSONField(
        null=True,
        blank=True,
        validators=[check_image_inputs],
        help_text='How it takes a start image: of "upload", "inline", "url", the best one first; '
        "[]: it takes none; empty: as its adapter does.",
    )
    needs_image = models.BooleanField(
        default=False, db_default=False, help_text="Makes nothing without a start image."
    )
    max_image_bytes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of a start image; empty: no limit is known."
    )
    max_prompt_length = models.PositiveIntegerField(
        null=True, blank=True, help_text="In characters; empty: no limit is known."
    )
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text="What its adapter alone needs to know: see docs/providers.md.",
    )
    max_in_flight = models.PositiveIntegerField(
        null=True, blank=True, help_text="Unfinished jobs at once of this model; empty: no limit."
    )
    max_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Submits a minute of this model; empty: no limit."
    )
    pro = models.CharField(max_length=16, choices=Pro.choices, default=Pro.NEVER)
    price_per_second = models.DecimalField(
        max_digits=10, decimal_places=4, null=True, blank=True, help_text="US dollars."
    )
    price_as_of = models.DateField(null=True, blank=True)
    retired_at = models.DateField(
        null=True, blank=True, help_text="The vendor ends the model on this day."
    )
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="No submit to this model before this time."
    )
    hold_reason = models.CharField(max_length=255, blank=True, help_text="Why the model is held.")
    trips = models.PositiveSmallIntegerField(
        default=0, help_text="As the provider's, for this model alone."
    )
    origins = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="By field: who set it last, a person or an import; a field that is not here came with the version.",
    )
    sunset_told_on = models.DateField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the log last told that its end is near.",
    )
    poll_initial_wait_seconds = models.FloatField(null=True, blank=True)
    poll_interval_seconds = models.FloatField(null=True, blank=True)
    max_poll_seconds = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["provider", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "name"], name="provider_model_name_is_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.name}"


class Route(models.Model):
    """A model may be made by this provider's model; `position` orders those of one provider."""

    model = models.ForeignKey(VideoModel, on_delete=models.CASCADE, related_name="routes")
    provider_model = models.ForeignKey(
        ProviderModel, on_delete=models.CASCADE, related_name="routes"
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["model", "provider_model"], name="route_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.model_id} by {self.provider_model}"


class ClientEvent(models.Model):
    """What a client saw go wrong on its side."""

    event_id = models.CharField(max_length=255)
    event_type = models.CharField(max_length=32, db_index=True)
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    body = models.JSONField(help_text="The event as it was sent.")

    class Meta:
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"
