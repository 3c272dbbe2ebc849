"""`GET /models` tells what can be made today, by whom, within which limits, and what ends soon."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from providers.models import Pro, Provider, ProviderModel, Route, VideoModel
from storyboards import editing
from tests.api.hostile_cases import storyboard_file

KEY = "sk-canary-1a2b3c4d"


@pytest.fixture(autouse=True)
def no_keys(settings: Any) -> None:
    settings.PROVIDERS = {
        provider_id: {**known, "key": ""} for provider_id, known in settings.PROVIDERS.items()
    }


@pytest.fixture
def keys(settings: Any) -> Callable[..., None]:
    def give(*provider_ids: str, **base_urls: str) -> None:
        known = dict(settings.PROVIDERS)
        for provider_id in (*provider_ids, *base_urls):
            known[provider_id] = {**known[provider_id], "key": KEY}
        for provider_id, base_url in base_urls.items():
            known[provider_id] = {**known[provider_id], "base_url": base_url}
        settings.PROVIDERS = known

    return give


def get(api: APIClient, path: str, **query: Any) -> Any:
    response = api.get(f"/api/v1/{path}", query)
    assert response.status_code == 200, response.content
    assert KEY not in response.content.decode()
    return response.json()


def offers(api: APIClient, model_id: str = "sora2") -> dict[tuple[str, str], Any]:
    found = get(api, f"models/{model_id}")["providers"]
    return {(each["provider_id"], each["provider_model_id"]): each for each in found}


def ends_in(days: int, name: str = "sora-2") -> date:
    day: date = timezone.now().date() + timedelta(days=days)
    ProviderModel.objects.filter(provider="openai", name=name).update(retired_at=day)
    return day


# ---- what is live ------------------------------------------------------------------------------


def test_a_model_without_a_key_says_which_variables_to_set(api: APIClient) -> None:
    model = get(api, "models/sora2")
    assert model["live"] is False
    assert model["why_not_live"] == (
        "Nobody can make it now. sora_hk: set SORA_API_KEY; openai: set OPENAI_API_KEY, and set OPENAI_BASE_URL "
        "to another server that makes it (its vendor ended it on 2026-09-24); aihubmix: set AIHUBMIX_API_KEY."
    )
    assert [each["live"] for each in model["providers"]] == [False] * 4


def test_a_key_makes_a_model_live(api: APIClient, keys: Callable[..., None]) -> None:
    keys("aihubmix")
    model = get(api, "models/sora2")
    assert (model["live"], model["why_not_live"]) == (True, None)
    assert {pair: each["live"] for pair, each in offers(api).items()} == {
        ("sora_hk", "sora2"): False,
        ("openai", "sora-2"): False,
        ("aihubmix", "sora-2"): True,
        ("aihubmix", "web-sora-2"): True,
    }


def test_a_retired_model_is_live_at_another_base_url(
    api: APIClient, keys: Callable[..., None]
) -> None:
    keys("openai")
    openai = offers(api)["openai", "sora-2"]
    assert (openai["configured"], openai["live"]) == (True, False)
    assert openai["why_not_live"] == (
        "set OPENAI_BASE_URL to another server that makes it (its vendor ended it on 2026-09-24)"
    )
    keys(openai="https://relay.example/v1")
    openai = offers(api)["openai", "sora-2"]
    assert (openai["live"], openai["why_not_live"]) == (True, None)
    assert openai["retired_at"] == "2026-09-24"
    assert openai["retires_in_days"] < 0


def test_a_switch_ends_it(api: APIClient) -> None:
    assert get(api, "models/preview")["live"] is True
    VideoModel.objects.filter(pk="preview").update(enabled=False)
    model = get(api, "models/preview")
    assert (model["live"], model["why_not_live"]) == (False, "The model is switched off.")
    VideoModel.objects.filter(pk="preview").update(enabled=True)
    Provider.objects.filter(pk="preview").update(enabled=False)
    assert get(api, "models/preview")["why_not_live"] == (
        "Nobody can make it now. preview: switch the provider on."
    )


@pytest.mark.parametrize("path", ["models", "admin/models"])
def test_the_list_can_be_narrowed_to_what_is_live(
    path: str, api: APIClient, keys: Callable[..., None]
) -> None:
    keys(openai="https://relay.example/v1")
    VideoModel.objects.filter(pk="sora2pro").update(enabled=False)
    everything = get(api, path, page_size=200)
    for value, wanted in (("true", True), ("false", False)):
        page = get(api, path, page_size=200, live=value)
        expected = [item["id"] for item in everything["items"] if item["live"] is wanted]
        assert [item["id"] for item in page["items"]] == expected
        assert page["total"] == len(expected) > 0
    assert get(api, path, live="true", enabled="false")["total"] == 0


@pytest.mark.parametrize("value", ["1", "True", "", "yes"])
def test_a_bad_value_of_the_filter_is_named(value: str, api: APIClient) -> None:
    response = api.get("/api/v1/models", {"live": value})
    assert response.status_code == 400
    assert response.json()["details"]["errors"][0]["loc"] == ["live"]


# ---- with what ---------------------------------------------------------------------------------


def test_an_offer_tells_what_the_model_can_do_by_its_own_limits(
    api: APIClient, keys: Callable[..., None]
) -> None:
    keys(openai="https://relay.example/v1")
    ProviderModel.objects.filter(provider="openai", name="sora-2").update(
        durations={"min": 4, "max": 15},
        resolutions=["vertical"],
        image_inputs=["url"],
        max_prompt_length=1000,
        max_in_flight=9,
        max_per_minute=60,
        price_per_second="0.1234",
        price_as_of=date(2026, 11, 1),
        retired_at=None,
        pro=Pro.ALWAYS,
    )
    Provider.objects.filter(pk="openai").update(max_in_flight=5)
    assert offers(api)["openai", "sora-2"] == {
        "provider_id": "openai",
        "provider_model_id": "sora-2",
        "configured": True,
        "live": True,
        "why_not_live": None,
        "retired_at": None,
        "retires_in_days": None,
        "durations": {"min": 4, "max": 15},
        "resolutions": ["vertical"],
        "image_inputs": ["url"],
        "pro": "always",
        "max_prompt_length": 1000,
        "price_per_second": 0.1234,
        "price_as_of": "2026-11-01",
        "limits": {"max_in_flight": 5, "max_per_minute": 60},
        "warnings": [],
    }


def test_an_offer_tells_its_providers_where_it_says_nothing(api: APIClient) -> None:
    sora_hk = offers(api)["sora_hk", "sora2"]
    assert sora_hk["durations"] == [10, 15, 25]
    assert sora_hk["resolutions"] == ["horizontal", "vertical"]
    assert sora_hk["image_inputs"] == ["url"]
    assert (sora_hk["price_per_second"], sora_hk["price_as_of"]) == (None, None)
    assert sora_hk["limits"] == {"max_in_flight": None, "max_per_minute": None}
    Provider.objects.filter(pk="sora_hk").update(supports_image_to_video=False)
    assert offers(api)["sora_hk", "sora2"]["image_inputs"] == []


def test_a_row_that_says_nothing_sensible_offers_nothing_and_breaks_nothing(
    api: APIClient,
) -> None:
    ProviderModel.objects.filter(provider="sora_hk", name="sora2").update(
        durations={"from": 4}, resolutions=["round"], image_inputs=["fax"]
    )
    sora_hk = offers(api)["sora_hk", "sora2"]
    assert (sora_hk["durations"], sora_hk["resolutions"], sora_hk["image_inputs"]) == ([], [], [])


# ---- what ends soon ----------------------------------------------------------------------------


def test_an_end_that_is_near_is_told_wherever_somebody_looks(
    api: APIClient, keys: Callable[..., None]
) -> None:
    keys("openai")
    day = ends_in(30)
    warning = f"openai sora-2 is ended by its vendor on {day}, in 30 days: from then on nothing is sent to it."
    openai = offers(api)["openai", "sora-2"]
    assert (openai["live"], openai["retired_at"]) == (True, day.isoformat())
    assert (openai["retires_in_days"], openai["warnings"]) == (30, [warning])
    assert get(api, "providers/openai")["warnings"] == [warning]
    providers = get(api, "providers")["items"]
    assert {each["id"]: each["warnings"] for each in providers if each["warnings"]} == {
        "openai": [warning]
    }


@pytest.mark.parametrize(("days", "told"), [(61, False), (60, True), (1, True), (0, False)])
def test_an_end_is_told_in_time_and_not_after_it(
    days: int, told: bool, api: APIClient, keys: Callable[..., None]
) -> None:
    keys("openai")
    ends_in(days)
    assert bool(offers(api)["openai", "sora-2"]["warnings"]) is told
    assert offers(api)["openai", "sora-2"]["live"] is (days > 0)


def create(api: APIClient, **body: Any) -> Any:
    board = editing.import_storyboard("film.json", storyboard_file(1))
    wanted = {"storyboard_id": board.public_id, "model_id": "sora2", "dry_run": True, **body}
    response = api.post("/api/v1/runs", wanted)
    assert response.status_code == 201, response.content
    return response.json()


def test_a_new_run_says_which_of_its_models_ends_soon(
    api: APIClient, keys: Callable[..., None], settings: Any
) -> None:
    keys("openai", "aihubmix")
    day = ends_in(10)
    warning = f"openai sora-2 is ended by its vendor on {day}, in 10 days: from then on nothing is sent to it."
    assert create(api)["warnings"] == [warning]
    assert create(api, model_id="sora2pro")["warnings"] == []
    manual = {"routing_strategy": "manual", "provider_id": "aihubmix"}
    assert create(api, **manual)["warnings"] == []
    assert "warnings" not in get(api, "runs")["items"][0]
    settings.SUNSET_WARNING_DAYS = 9
    assert create(api)["warnings"] == []


# ---- queries -----------------------------------------------------------------------------------


def more_models(count: int) -> None:
    made = list(ProviderModel.objects.all()[:5])
    for number in range(count):
        model = VideoModel.objects.create(pk=f"m{number}", display_name="M")
        Route.objects.bulk_create(Route(model=model, provider_model=one) for one in made)


@pytest.mark.parametrize("query", [{}, {"live": "true"}, {"live": "false"}])
@pytest.mark.parametrize("path", ["models", "admin/models"])
def test_a_hundred_models_take_the_same_three_queries_as_one(
    path: str, query: dict[str, str], api: APIClient, keys: Callable[..., None]
) -> None:
    counts = []
    VideoModel.objects.exclude(pk__in=["preview", "sora2"]).delete()
    for more in (0, 100):
        more_models(more)
        with CaptureQueriesContext(connection) as captured:
            get(api, path, page_size=200, **query)
        counts.append(len(captured))
    assert counts == [3, 3]


def test_one_model_takes_two_queries(api: APIClient) -> None:
    more_models(5)
    with CaptureQueriesContext(connection) as captured:
        get(api, "models/sora2")
    assert len(captured) == 2
