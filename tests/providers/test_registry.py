import pytest
from pytest_django import Settings

from providers import registry
from providers.adapters.openai import OpenAIVideos
from providers.adapters.preview import Preview
from providers.base import Accepted, Account, GenerationRequest, Job, RenderLocally
from providers.errors import UnexpectedReply


@pytest.fixture(autouse=True)
def providers(settings: Settings) -> dict[str, dict[str, str]]:
    found = {
        "sora_hk": {"key": "", "base_url": "https://api.sora.hk/v1"},
        "openai": {"key": "sk-1", "base_url": "https://api.openai.com/v1", "dialect": "openai"},
    }
    settings.PROVIDERS = found
    return found


def test_an_account_is_made_of_settings(providers: dict[str, dict[str, str]]) -> None:
    providers["openai"] |= {"key": " sk-1\n", "base_url": "http://127.0.0.1:9/openai/v1/"}
    expected = Account("openai", "http://127.0.0.1:9/openai/v1", "sk-1", "openai")
    assert registry.account("openai") == expected


def test_a_provider_with_a_key_and_an_adapter_is_configured() -> None:
    assert registry.is_configured("openai")
    assert isinstance(registry.adapter("openai"), OpenAIVideos)


def test_the_preview_needs_nothing() -> None:
    assert registry.is_configured("preview")
    assert isinstance(registry.adapter("preview"), Preview)
    assert not registry.is_vendor_base_url("preview")


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"key": ""}, "set OPENAI_API_KEY"),
        ({"key": " "}, "set OPENAI_API_KEY"),
        ({"base_url": ""}, "set OPENAI_BASE_URL to an address that begins with http(s)://"),
        (
            {"base_url": "api.openai.com"},
            "set OPENAI_BASE_URL to an address that begins with http(s)://",
        ),
        (
            {"dialect": "esperanto"},
            "set OPENAI_DIALECT to one of: azure, litellm, newapi, openai, sglang, vllm_omni",
        ),
    ],
)
def test_what_is_missing_is_told_by_its_variable(
    change: dict[str, str], missing: str, providers: dict[str, dict[str, str]]
) -> None:
    providers["openai"] |= change
    assert registry.missing("openai") == missing
    assert not registry.is_configured("openai")


def test_a_provider_without_an_adapter_is_not_configured() -> None:
    assert registry.missing("nobody") == "no adapter of this version speaks with it"
    with pytest.raises(LookupError):
        registry.adapter("nobody")


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.openai.com/v1", True),
        ("https://API.OpenAI.com:443/v1/", True),
        ("https://eu.api.openai.com/v1", True),
        ("http://127.0.0.1:8000/openai/v1", False),
        ("https://api.openai.com.relay.example/v1", False),
        ("https://notapi.openai.com/v1", False),
        ("", False),
        ("https://[broken", False),
    ],
)
def test_a_retired_model_is_dead_at_its_vendors_own_address_only(
    base_url: str, expected: bool, providers: dict[str, dict[str, str]]
) -> None:
    providers["openai"]["base_url"] = base_url
    assert registry.is_vendor_base_url("openai") is expected


def test_a_preview_is_accepted_at_once_and_drawn_here() -> None:
    request = GenerationRequest("att_1", "preview", "dusk", 4, "vertical", False, 1, 1)
    adapter, account = Preview(), registry.account("preview")
    assert adapter.submit(account, request) == Accepted("preview-att_1", {})
    assert adapter.fetch(account, Job("preview-att_1"), {}) == RenderLocally()
    with pytest.raises(UnexpectedReply):
        adapter.poll(account, Job("preview-att_1"))
