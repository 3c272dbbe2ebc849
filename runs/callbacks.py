"""The address under which a provider may tell us of a job. It names our attempt, so a lost id comes back with it."""

from uuid import UUID

from django.conf import settings
from django.core import signing

from providers import registry
from runs.models import Attempt

_SIGNER = signing.Signer(salt="webhook")


def url_for(attempt: Attempt) -> str:
    """Empty where nobody could reach us, or where nobody's word could be verified."""
    if not settings.PUBLIC_BASE_URL or not registry.takes_notices(attempt.provider_id):
        return ""
    token = _SIGNER.sign(attempt.pk.hex)
    return f"{settings.PUBLIC_BASE_URL.rstrip('/')}/webhooks/{attempt.provider_id}/{token}"


def attempt_id(token: str) -> UUID | None:
    """The attempt that such an address names; None when it is not of our making."""
    try:
        return UUID(_SIGNER.unsign(token))
    except (signing.BadSignature, ValueError):
        return None
