"""What a fresh installation knows. Rows that are there already are left as somebody set them."""

import datetime
from decimal import Decimal

from django.db import migrations

BOTH = ["horizontal", "vertical"]

# id, display name, priority, durations in seconds
PROVIDERS = [
    ("sora_hk", "Sora.hk", 10, [10, 15, 25]),
    ("openai", "OpenAI", 20, [4, 8, 12]),
    ("aihubmix", "AI Hub Mix", 30, [4, 8, 12]),
    ("preview", "Preview", 90, [4, 8, 10, 12, 15, 25]),
]

# id, display name, priority, description
MODELS = [
    ("sora2", "Sora2", 10, "For everyday shots: quick and low in cost."),
    (
        "sora2pro",
        "Sora2 Pro",
        20,
        "For final shots: finer detail, slower, and several times the price.",
    ),
    (
        "preview",
        "Preview",
        30,
        "An animatic drawn on this machine, free and without a key: check prompts, order and timing before you pay.",
    ),
]

# OpenAI ended its Videos API and every model of it on that day; relays and self-hosted servers go on.
OPENAI_ENDED = {"retired_at": datetime.date(2026, 9, 24)}
OPENAI_PRICES_OF = datetime.date(2026, 9, 1)

# provider, its name for the model, what else is known of it. No price means that it is not known:
# Sora.hk names one price per video (3 and 30 cents) but bills other sums; AIHubMix's list is not public.
PROVIDER_MODELS = [
    ("sora_hk", "sora2", {"pro": "on_request"}),
    ("sora_hk", "sora2-pro", {"pro": "on_request"}),
    (
        "openai",
        "sora-2",
        {"pro": "never", "price_per_second": Decimal("0.10"), "price_as_of": OPENAI_PRICES_OF}
        | OPENAI_ENDED,
    ),
    (
        "openai",
        "sora-2-pro",
        {"pro": "always", "price_per_second": Decimal("0.30"), "price_as_of": OPENAI_PRICES_OF}
        | OPENAI_ENDED,
    ),
    ("aihubmix", "sora-2", {"pro": "never"}),
    ("aihubmix", "web-sora-2", {"pro": "never"}),
    ("aihubmix", "sora-2-pro", {"pro": "always"}),
    ("aihubmix", "web-sora-2-pro", {"pro": "always"}),
    ("preview", "preview", {"pro": "on_request", "price_per_second": Decimal(0)}),
]

ROUTES = {
    "sora2": [
        ("sora_hk", "sora2"),
        ("openai", "sora-2"),
        ("aihubmix", "sora-2"),
        ("aihubmix", "web-sora-2"),
    ],
    "sora2pro": [
        ("sora_hk", "sora2-pro"),
        ("openai", "sora-2-pro"),
        ("aihubmix", "sora-2-pro"),
        ("aihubmix", "web-sora-2-pro"),
    ],
    "preview": [("preview", "preview")],
}


def seed(apps, schema_editor):
    seed_providers(apps.get_model("providers", "Provider"))
    seed_models(apps.get_model("providers", "VideoModel"))
    seed_routes(apps.get_model("providers", "ProviderModel"), apps.get_model("providers", "Route"))


def seed_providers(Provider):
    for pk, name, priority, durations in PROVIDERS:
        defaults = {
            "display_name": name,
            "priority": priority,
            "weight": 10,
            "supported_durations": durations,
            "supported_resolutions": BOTH,
        }
        Provider.objects.get_or_create(pk=pk, defaults=defaults)


def seed_models(VideoModel):
    for pk, name, priority, description in MODELS:
        defaults = {"display_name": name, "priority": priority, "description": description}
        VideoModel.objects.get_or_create(pk=pk, defaults=defaults)


def seed_routes(ProviderModel, Route):
    found = {}
    for provider, name, known in PROVIDER_MODELS:
        found[provider, name], _ = ProviderModel.objects.get_or_create(
            provider_id=provider, name=name, defaults=known
        )
    for model, names in ROUTES.items():
        position = dict.fromkeys((provider for provider, _ in names), 0)
        for provider, name in names:
            Route.objects.get_or_create(
                model_id=model,
                provider_model=found[provider, name],
                defaults={"position": position[provider]},
            )
            position[provider] += 1


def remove(apps, schema_editor):
    apps.get_model("providers", "VideoModel").objects.filter(
        pk__in=[row[0] for row in MODELS]
    ).delete()
    apps.get_model("providers", "Provider").objects.filter(
        pk__in=[row[0] for row in PROVIDERS]
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0001_initial")]

    operations = [migrations.RunPython(seed, remove)]
