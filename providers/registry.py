"""Which providers this installation can use."""

from django.conf import settings

_ADAPTERS = {"openai"}


def is_configured(provider_id: str) -> bool:
    """A key is there and an adapter exists; the preview needs no key."""
    if provider_id == "preview":
        return True
    account = settings.PROVIDERS.get(provider_id, {})
    return provider_id in _ADAPTERS and bool(account.get("key"))
