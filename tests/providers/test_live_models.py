"""The providers and models of today, as a fresh installation knows them."""

from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from providers import catalogue, registry
from providers.base import GenerationRequest, HttpCall
from providers.calls import label, vendors_name
from providers.models import Pro, Provider, ProviderModel, Route, VideoModel
from providers.simulator import ark, minimax, openrouter_models

pytestmark = pytest.mark.django_db

SEEDS = [
    import_module(f"providers.migrations.{name}")
    for name in ("0008_seed_openrouter", "0009_seed_ark_and_minimax")
]
OURS = ["openrouter", "ark", "minimax"]
OFFERED = {model["id"]: model for model in openrouter_models.MODELS}


def seeded(provider: str) -> list[ProviderModel]:
    return list(ProviderModel.objects.filter(provider=provider))


def map_of(model: str) -> dict[str, list[str]]:
    found = catalogue.provider_map(catalogue.get_model(model))
    return {provider: names for provider, names in found.items() if provider in OURS}


def test_the_live_models_are_mapped_to_who_makes_them() -> None:
    ark_25, ark_20 = "dreamina-seedance-2-5-260628", "dreamina-seedance-2-0-260128"
    seedance_20, grok = "bytedance/seedance-2.0", "x-ai/grok-imagine-video-1.5"
    assert {pk: map_of(pk) for pk in VideoModel.objects.values_list("pk", flat=True)} == {
        **{pk: {} for pk in ("sora2", "sora2pro", "preview")},
        "seedance": {
            "openrouter": ["bytedance/seedance-2.5"],
            "ark": [ark_25, f"{ark_25}#1080p"],
        },
        "seedance2": {
            "openrouter": [seedance_20, f"{seedance_20}#1080p"],
            "ark": [ark_20, f"{ark_20}#1080p"],
        },
        "wan": {"openrouter": ["alibaba/wan-3.0", "alibaba/wan-3.0#1080p"]},
        "hailuo": {"openrouter": ["minimax/hailuo-3"], "minimax": ["MiniMax-H3", "MiniMax-H3#2K"]},
        "veo": {"openrouter": ["google/veo-3.1", "google/veo-3.1#1080p"]},
        "veofast": {"openrouter": ["google/veo-3.1-fast", "google/veo-3.1-fast#1080p"]},
        "kling": {"openrouter": ["kwaivgi/kling-v3.0-pro"]},
        "grok": {"openrouter": [grok, f"{grok}#1080p"]},
        "gen4": {"openrouter": ["runway/gen-4.5"]},
    }


def test_they_are_asked_in_this_order_and_helped_in_these_ways() -> None:
    fields = ("pk", "priority", "recovery", "can_cancel", "max_in_flight", "max_per_minute")
    assert list(Provider.objects.filter(pk__in=OURS).values_list(*fields)) == [
        ("openrouter", 40, "none", False, None, None),
        ("ark", 50, "look_up", True, 10, 600),
        ("minimax", 55, "look_up", True, 30, 300),
    ]


def test_a_finer_picture_is_a_row_of_its_own_and_for_pro_shots_alone() -> None:
    for model in ProviderModel.objects.filter(provider__in=OURS):
        assert (model.pro == Pro.ONLY) == ("#" in model.name), model


@pytest.mark.parametrize("provider", OURS)
def test_each_row_makes_a_request_that_its_provider_takes(provider: str) -> None:
    account, adapter = registry.account(provider), registry.adapter(provider)
    for model in seeded(provider):
        call = adapter.submit(account, order(model))
        assert isinstance(call, HttpCall)
        assert call.json["model"] == vendors_name(model.name)


def order(model: ProviderModel) -> GenerationRequest:
    return GenerationRequest(
        token="att_1",
        model=model.name,
        prompt="A city at dusk",
        seconds=seconds_of(model)[0],
        resolution="horizontal",
        is_pro=model.pro == Pro.ONLY,
        segment_index=1,
        take=1,
        options=model.options,
    )


def seconds_of(model: ProviderModel) -> list[int]:
    made: Any = model.durations
    return made if isinstance(made, list) else list(range(made["min"], made["max"] + 1))


def test_openrouter_offers_each_of_its_rows_as_they_stand() -> None:
    for model in seeded("openrouter"):
        offer = OFFERED[vendors_name(model.name)]
        resolution = label(order(model), "720p")
        assert seconds_of(model) == sorted(offer["supported_durations"])
        assert resolution in offer["supported_resolutions"]
        assert {"16:9", "9:16"} <= set(offer["supported_aspect_ratios"])
        assert "first_frame" in offer["supported_frame_images"]
        sound = model.options.get("generate_audio", False)
        assert model.price_per_second == price(offer["pricing_skus"], resolution, sound=sound)


def price(skus: dict[str, str], resolution: str, *, sound: bool) -> Decimal:
    """Dollars a second, by the name that says most."""
    heard = "_with_audio" if sound else ""
    tokens = {"720p": 1280 * 720 * 24 // 1024, "1080p": 1920 * 1080 * 24 // 1024}
    rates = {
        f"duration_seconds{heard}_{resolution}": Decimal(1),
        f"duration_seconds{heard}": Decimal(1),
        f"cents_per_video_output_second_{resolution}": Decimal("0.01"),
        "cents_per_second_output": Decimal("0.01"),
        f"video_tokens_{resolution}": Decimal(tokens.get(resolution, 0)),
        "video_tokens": Decimal(tokens.get(resolution, 0)),
    }
    name = next(name for name in rates if name in skus)
    return (Decimal(skus[name]) * rates[name]).quantize(Decimal("0.0001"))


@pytest.mark.parametrize(("provider", "known"), [("ark", ark.MODELS), ("minimax", minimax.MODELS)])
def test_the_makers_offer_each_of_their_rows(provider: str, known: Any) -> None:
    default = {"ark": "720p", "minimax": "768P"}[provider]
    for model in seeded(provider):
        offer = known[vendors_name(model.name)]
        assert seconds_of(model) == list(offer.seconds)
        assert label(order(model), default) in offer.resolutions


def test_every_price_says_of_when_it_is() -> None:
    priced = ProviderModel.objects.filter(provider__in=OURS)
    assert not priced.filter(price_per_second=None).exists()
    assert not priced.filter(price_as_of=None).exists()


def test_seeding_again_changes_nothing_and_going_back_takes_it_away() -> None:
    Provider.objects.filter(pk="ark").update(priority=1)
    tables: list[Any] = [Provider, ProviderModel, Route]
    before = [list(rows.objects.order_by("pk").values()) for rows in tables]
    for seed in SEEDS:
        seed.seed(apps, None)
    assert [list(rows.objects.order_by("pk").values()) for rows in tables] == before
    for seed in SEEDS:
        seed.remove(apps, None)
    assert not Provider.objects.filter(pk__in=OURS).exists()
    assert not Route.objects.filter(provider_model__provider__in=OURS).exists()
