"""OpenRouter, and which of its models make ours. Lengths and prices are those of its /videos/models."""

import datetime
from decimal import Decimal

from django.db import migrations

PROVIDER = "openrouter"
AS_OF = datetime.date(2026, 10, 9)
POLLS = {
    "poll_initial_wait_seconds": 10,
    "poll_interval_seconds": 15,
    "max_poll_seconds": 2700,
}


def between(first, last):
    return {"min": first, "max": last}


# Our model, its name there, what it makes, pro, dollars a second at that resolution, options. Seedance is billed by
# tokens, width × height × 24 / 1024 of them a second. A name with # is a model in a finer picture, at its own price.
MODELS = [
    ("seedance", "bytedance/seedance-2.5", between(4, 30), "never", "0.2311", {}),
    ("seedance2", "bytedance/seedance-2.0", between(4, 15), "never", "0.1512", {}),
    (
        "seedance2",
        "bytedance/seedance-2.0#1080p",
        between(4, 15),
        "only",
        "0.3742",
        {"resolution": "1080p"},
    ),
    ("wan", "alibaba/wan-3.0", between(2, 30), "never", "0.10", {}),
    ("wan", "alibaba/wan-3.0#1080p", between(2, 30), "only", "0.20", {"resolution": "1080p"}),
    ("hailuo", "minimax/hailuo-3", between(5, 15), "always", "0.13", {"resolution": "2K"}),
    ("veo", "google/veo-3.1", [4, 6, 8], "never", "0.40", {"generate_audio": True}),
    (
        "veo",
        "google/veo-3.1#1080p",
        [4, 6, 8],
        "only",
        "0.40",
        {"resolution": "1080p", "generate_audio": True},
    ),
    ("veofast", "google/veo-3.1-fast", [4, 6, 8], "never", "0.10", {"generate_audio": True}),
    (
        "veofast",
        "google/veo-3.1-fast#1080p",
        [4, 6, 8],
        "only",
        "0.12",
        {"resolution": "1080p", "generate_audio": True},
    ),
    (
        "kling",
        "kwaivgi/kling-v3.0-pro",
        between(3, 15),
        "always",
        "0.112",
        {"generate_audio": False},
    ),
    ("grok", "x-ai/grok-imagine-video-1.5", between(1, 15), "never", "0.14", {}),
    (
        "grok",
        "x-ai/grok-imagine-video-1.5#1080p",
        between(1, 15),
        "only",
        "0.25",
        {"resolution": "1080p"},
    ),
    ("gen4", "runway/gen-4.5", between(2, 10), "never", "0.12", {}),
]


def seed(apps, schema_editor):
    Provider = apps.get_model("providers", "Provider")
    defaults = {
        "display_name": "OpenRouter",
        "priority": 40,
        "weight": 10,
        "supported_durations": [4, 8, 10, 12, 15, 25],
        "supported_resolutions": ["horizontal", "vertical"],
        "recovery": "none",
    }
    Provider.objects.get_or_create(pk=PROVIDER, defaults=defaults)
    for model, name, durations, pro, price, options in MODELS:
        known = {
            "durations": durations,
            "pro": pro,
            "price_per_second": Decimal(price),
            "price_as_of": AS_OF,
            "options": options,
            **POLLS,
        }
        route(apps, model, name, known)


def route(apps, model, name, known):
    ProviderModel = apps.get_model("providers", "ProviderModel")
    Route = apps.get_model("providers", "Route")
    made, _ = ProviderModel.objects.get_or_create(provider_id=PROVIDER, name=name, defaults=known)
    routes = Route.objects.filter(model_id=model, provider_model__provider_id=PROVIDER)
    Route.objects.get_or_create(
        model_id=model, provider_model=made, defaults={"position": routes.count()}
    )


def remove(apps, schema_editor):
    apps.get_model("providers", "Provider").objects.filter(pk=PROVIDER).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0007_pro_only")]

    operations = [migrations.RunPython(seed, remove)]
