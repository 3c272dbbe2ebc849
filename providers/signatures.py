"""Signatures of webhooks: what several providers sign in the same way."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from providers.base import Unverified

TOLERANCE_SECONDS = 300


def check_standard_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """The id of a notice that is signed as the Standard Webhooks are; the same in every delivery of it.

    HMAC-SHA256 over "id.timestamp.body"; `secret` is base64 behind "whsec_". While a secret is being
    replaced a notice carries several signatures. Raises `Unverified`. Source: standardwebhooks.com.
    """
    key = _key(secret)
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not event_id or not event_id.isascii():
        raise Unverified("the notice has no id")
    check_age(timestamp, now)
    signed = f"{event_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(f"v1,{expected}".encode(), each.encode()) for each in given):
        raise Unverified("the notice is not signed with our secret")
    return event_id


def check_age(timestamp: str, now: datetime) -> None:
    """Raises `Unverified` for a notice that is too old, or from too far in the future; in Unix seconds."""
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise Unverified("the notice does not say when it was sent")
    if abs(now.timestamp() - int(timestamp[:20])) > TOLERANCE_SECONDS:
        raise Unverified("the notice is too old, or its clock is wrong")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        # With an empty one anybody could sign.
        raise Unverified("the webhook secret is missing, or is not of the form whsec_…")
    return key
