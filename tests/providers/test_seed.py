"""A fresh installation, as the migrations leave it."""

from datetime import date
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from providers import catalogue
from providers.models import Provider, ProviderModel, Route, VideoModel

pytestmark = pytest.mark.django_db

seed = import_module("providers.migrations.0002_seed")
recovery = import_module("providers.migrations.0006_recovery_of_the_seeded")
aihubmix = import_module("providers.migrations.0014_seed_aihubmix")
CONTRACT = [row[0] for row in seed.PROVIDERS]
CONTRACTS_MODELS = ProviderModel.objects.filter(
    provider__in=CONTRACT, name__in=[row[1] for row in seed.PROVIDER_MODELS]
)
TABLES: list[Any] = [Provider, VideoModel, ProviderModel, Route]


def test_the_seeded_providers_are_the_contracts_in_their_order() -> None:
    fields = ("id", "display_name", "priority", "weight", "enabled", "supported_durations")
    assert list(Provider.objects.filter(pk__in=CONTRACT).values_list(*fields)) == [
        ("sora_hk", "Sora.hk", 10, 10, True, [10, 15, 25]),
        ("openai", "OpenAI", 20, 10, True, [4, 8, 12]),
        ("aihubmix", "AI Hub Mix", 30, 10, True, [4, 8, 12]),
        ("preview", "Preview", 90, 10, True, [4, 8, 10, 12, 15, 25]),
    ]


def test_every_seeded_provider_takes_images_both_resolutions_and_pro() -> None:
    fields = ("supports_image_to_video", "supported_resolutions", "supports_pro")
    found = {
        (image, tuple(resolutions), pro)
        for image, resolutions, pro in Provider.objects.values_list(*fields)
    }
    assert found == {(True, ("horizontal", "vertical"), True)}


def test_lost_answers_are_looked_up_where_jobs_are_listed() -> None:
    found = Provider.objects.filter(pk__in=CONTRACT)
    assert dict(found.values_list("id", "recovery")) == {
        "sora_hk": "look_up",
        "openai": "look_up",
        "aihubmix": "none",
        "preview": "none",
    }


def test_a_class_that_somebody_has_set_stays() -> None:
    Provider.objects.filter(pk="openai").update(recovery="token")
    recovery.seed(apps, None)
    assert Provider.objects.get(pk="openai").recovery == "token"


def test_the_seeded_models_and_their_map_are_the_contracts() -> None:
    first = ["sora2", "sora2pro", "preview"]
    models = catalogue.with_routes(VideoModel.objects.filter(pk__in=first))
    assert {model.pk: catalogue.provider_map(model) for model in models} == {
        "sora2": {
            "sora_hk": ["sora2"],
            "openai": ["sora-2"],
            "aihubmix": ["sora-2", "web-sora-2"],
        },
        "sora2pro": {
            "sora_hk": ["sora2-pro"],
            "openai": ["sora-2-pro"],
            "aihubmix": ["sora-2-pro", "web-sora-2-pro"],
        },
        "preview": {"preview": ["preview"]},
    }
    assert [model.pk for model in VideoModel.objects.all()][:3] == first


def test_the_map_names_providers_in_the_order_they_are_asked() -> None:
    assert list(catalogue.provider_map(catalogue.get_model("sora2"))) == [
        "sora_hk",
        "openai",
        "aihubmix",
    ]


def test_each_provider_model_knows_how_it_relates_to_pro() -> None:
    found = CONTRACTS_MODELS.values_list("provider", "name", "pro")
    assert set(found) == {
        ("sora_hk", "sora2", "on_request"),
        ("sora_hk", "sora2-pro", "on_request"),
        ("openai", "sora-2", "never"),
        ("openai", "sora-2-pro", "always"),
        ("aihubmix", "sora-2", "never"),
        ("aihubmix", "web-sora-2", "never"),
        ("aihubmix", "sora-2-pro", "always"),
        ("aihubmix", "web-sora-2-pro", "always"),
        ("preview", "preview", "on_request"),
    }


def test_prices_are_seeded_only_where_they_are_known() -> None:
    priced = CONTRACTS_MODELS.exclude(price_per_second=None)
    found = priced.values_list("provider", "name", "price_per_second", "price_as_of", "retired_at")
    ended, as_of = date(2026, 9, 24), date(2026, 9, 1)
    assert set(found) == {
        ("openai", "sora-2", Decimal("0.1"), as_of, ended),
        ("openai", "sora-2-pro", Decimal("0.3"), as_of, ended),
        ("preview", "preview", Decimal(0), None, None),
    }


def test_seeding_again_changes_nothing_that_somebody_has_set() -> None:
    Provider.objects.filter(pk="openai").update(priority=1, enabled=False)
    Route.objects.filter(provider_model__name="sora-2-pro").delete()
    counts = [rows.objects.count() for rows in TABLES]
    seed.seed(apps, None)
    assert Provider.objects.filter(pk="openai", priority=1, enabled=False).exists()
    assert [rows.objects.count() for rows in TABLES] == [*counts[:3], counts[3] + 2]


def test_going_back_takes_the_seed_away() -> None:
    seed.remove(apps, None)
    ours = [row[0] for row in seed.PROVIDERS]
    assert not Provider.objects.filter(pk__in=ours).exists()
    assert not ProviderModel.objects.filter(provider__in=ours).exists()
    assert not VideoModel.objects.filter(pk__in=[row[0] for row in seed.MODELS]).exists()


def test_aihubmix_models_name_their_family() -> None:
    ours = ProviderModel.objects.filter(provider="aihubmix")
    families = {model.name: model.options.get("family") for model in ours}
    assert families == dict.fromkeys(aihubmix.SORA) | {
        "doubao-seedance-2-0-260128": "seedance",
        "doubao-seedance-2-0-fast-260128": "seedance",
        "veo-3.1-generate-preview": "veo",
        "veo-3.1-fast-generate-preview": "veo",
    }
    assert {tuple(model.image_inputs or ()) for model in ours if model.name in aihubmix.SORA} == {
        ("upload",)
    }
    routed = Route.objects.filter(provider_model__in=ours.exclude(name__in=aihubmix.SORA))
    assert set(routed.values_list("model_id", "provider_model__name")) == set(aihubmix.ROUTES)


def test_what_somebody_has_set_at_aihubmix_stays() -> None:
    ProviderModel.objects.filter(name="sora-2", provider="aihubmix").update(image_inputs=["url"])
    ProviderModel.objects.filter(name="veo-3.1-generate-preview").update(options={"family": "sora"})
    aihubmix.seed(apps, None)
    kept = ProviderModel.objects.filter(provider="aihubmix")
    assert kept.get(name="sora-2").image_inputs == ["url"]
    assert kept.get(name="veo-3.1-generate-preview").options == {"family": "sora"}
