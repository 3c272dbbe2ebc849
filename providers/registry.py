"""Which adapter, key and base URL belong to a provider."""

from providers.base import Account, Adapter


def account(provider_id: str) -> Account:
    raise NotImplementedError


def adapter(provider_id: str) -> Adapter:
    """Raises LookupError for a provider that no adapter speaks with."""
    raise NotImplementedError


def is_configured(provider_id: str) -> bool:
    return not missing(provider_id)


def missing(provider_id: str) -> str:
    """What a person must do before it can be used ("set OPENAI_API_KEY"); empty if nothing."""
    raise NotImplementedError


def is_vendor_base_url(provider_id: str) -> bool:
    """Whether calls go to the vendor itself: there, a retired model is dead."""
    raise NotImplementedError
