"""What the API itself remembers."""

import uuid

from django.db import models


class IdempotencyKey(models.Model):
    """A request that a client may repeat: whose it is, and its answer once there is one.

    Without an answer it is in progress; `holder` is who may give the answer, and changes when
    another request takes over from one that died.
    """

    key = models.CharField(max_length=255)
    path = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    holder = models.UUIDField(default=uuid.uuid4)
    claimed_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    location = models.CharField(max_length=255, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "path"], name="idempotency_key_is_unique"),
        ]
        indexes = [models.Index(fields=["claimed_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return f"{self.path} ({self.status or 'in progress'})"
