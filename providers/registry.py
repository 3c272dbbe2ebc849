"""Which adapter, key and base URL belong to a provider.

To add one: an adapter, a line in `_ADAPTERS`, a line in `_VENDORS`, a line in the settings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from providers.adapters import openai
from providers.adapters.aihubmix import AIHubMix
from providers.adapters.ark import Ark
from providers.adapters.fal import FalQueue
from providers.adapters.minimax import MiniMax
from providers.adapters.openrouter import OpenRouter
from providers.adapters.preview import Preview
from providers.adapters.replicate import Replicate
from providers.adapters.runway import Runway
from providers.adapters.sora_hk import SoraHK
from providers.base import Account, Adapter, ImageInput

LOCAL = "preview"

# By dialect; a provider speaks the one of its own name unless its settings name another.
_ADAPTERS: Mapping[str, Adapter] = {
    LOCAL: Preview(),
    "sora_hk": SoraHK(),
    "fal": FalQueue(),
    **openai.DIALECTS,
    "aihubmix": AIHubMix(),
    "openrouter": OpenRouter(),
    "replicate": Replicate(),
    "runway": Runway(),
    "ark": Ark(),
    "minimax": MiniMax(),
}


@dataclass(frozen=True, slots=True)
class _Vendor:
    """How a provider's variables begin, which one holds its key, and the hosts at which the vendor itself answers."""

    variables: str
    key: str
    hosts: tuple[str, ...]
    dialects: Collection[str] = ()  # from which its settings choose; none: the one of its own name


_VENDORS: Mapping[str, _Vendor] = {
    "sora_hk": _Vendor("SORA", "SORA_API_KEY", ("api.sora.hk",)),
    "openai": _Vendor("OPENAI", "OPENAI_API_KEY", ("api.openai.com",), openai.DIALECTS),
    "aihubmix": _Vendor("AIHUBMIX", "AIHUBMIX_API_KEY", ("aihubmix.com",)),
    "openrouter": _Vendor("OPENROUTER", "OPENROUTER_API_KEY", ("openrouter.ai",)),
    "fal": _Vendor("FAL", "FAL_KEY", ("fal.run", "fal.ai")),
    "ark": _Vendor("ARK", "ARK_API_KEY", ("volces.com", "bytepluses.com")),
    "minimax": _Vendor("MINIMAX", "MINIMAX_API_KEY", ("minimax.io", "minimaxi.com")),
    "replicate": _Vendor("REPLICATE", "REPLICATE_API_TOKEN", ("api.replicate.com",)),
    "runway": _Vendor("RUNWAYML", "RUNWAYML_API_SECRET", ("runwayml.com",)),
}


def account(provider_id: str) -> Account:
    """An unknown provider has an account without a key."""
    found = settings.PROVIDERS.get(provider_id, {})
    return _account(provider_id, *(found.get(name, "").strip() for name in _SETTINGS))


_SETTINGS = ("base_url", "key", "dialect", "api_url")


# It is asked for several times a poll.
@lru_cache
def _account(provider_id: str, base_url: str, key: str, dialect: str, api_url: str) -> Account:
    return Account(
        provider_id,
        base_url=base_url.rstrip("/"),
        key=key,
        dialect=dialect or provider_id,
        api_url=api_url.rstrip("/"),
    )


def adapter(provider_id: str) -> Adapter:
    """Raises LookupError for a provider that no adapter speaks with."""
    return _ADAPTERS[account(provider_id).dialect]


def image_inputs(provider_id: str) -> tuple[ImageInput, ...]:
    """How its adapter takes start images; in no way where there is no adapter."""
    found = _ADAPTERS.get(account(provider_id).dialect)
    return found.image_inputs if found else ()


def is_configured(provider_id: str) -> bool:
    return not missing(provider_id)


def missing(provider_id: str) -> str:
    """What a person must do before it can be used ("set OPENAI_API_KEY"); empty if nothing."""
    if provider_id == LOCAL:
        return ""
    vendor = _VENDORS.get(provider_id)
    if vendor is None:
        return "no adapter of this version speaks with it"
    ours = account(provider_id)
    if ours.dialect not in (vendor.dialects or _ADAPTERS.keys() & {provider_id}):
        return _no_adapter(vendor)
    if not _host(ours.base_url):
        return f"set {vendor.variables}_BASE_URL to an address that begins with http(s)://"
    return "" if ours.key else f"set {vendor.key}"


def configured() -> list[str]:
    """The ids of all providers of which nothing is missing."""
    return [provider_id for provider_id in (LOCAL, *_VENDORS) if is_configured(provider_id)]


def at_their_vendors() -> list[str]:
    """The ids of those that are asked at their vendor's own address."""
    return [provider_id for provider_id in _VENDORS if is_vendor_base_url(provider_id)]


def key_variable(provider_id: str) -> str:
    """The setting that holds its key; empty for one that needs none."""
    vendor = _VENDORS.get(provider_id)
    return vendor.key if vendor else ""


def base_url_variable(provider_id: str) -> str:
    vendor = _VENDORS.get(provider_id)
    return f"{vendor.variables}_BASE_URL" if vendor else ""


def notice_secret(provider_id: str) -> str:
    """What the provider's webhooks are signed with; empty where none is set."""
    found: str = settings.PROVIDERS.get(provider_id, {}).get("webhook_secret", "")
    return found.strip()


def takes_notices(provider_id: str) -> bool:
    """Whether a webhook of this provider could be verified."""
    ours = account(provider_id)
    if ours.dialect not in _ADAPTERS:
        return False
    return (
        bool(notice_secret(provider_id)) or _ADAPTERS[ours.dialect].signing_keys(ours) is not None
    )


def is_vendor_base_url(provider_id: str) -> bool:
    """Whether calls go to the vendor itself: there, a retired model is dead."""
    vendor = _VENDORS.get(provider_id)
    host = _host(account(provider_id).base_url)
    return vendor is not None and any(
        host == ours or host.endswith("." + ours) for ours in vendor.hosts
    )


def _no_adapter(vendor: _Vendor) -> str:
    if not vendor.dialects:
        return "no adapter of this version speaks with it"
    return f"set {vendor.variables}_DIALECT to one of: {', '.join(sorted(vendor.dialects))}"


def _host(url: str) -> str:
    """Empty when it is no web address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
