"""The makers of Seedance and of Hailuo themselves, and which of their models make ours."""

import datetime
from decimal import Decimal

from django.db import migrations

AS_OF = datetime.date(2026, 11, 1)
POLLS = {
    "poll_initial_wait_seconds": 10,
    "poll_interval_seconds": 10,
    "max_poll_seconds": 2700,
}

# Both list their jobs and take a queued one back. The limits are those of a new account.
PROVIDERS = {
    "ark": {
        "display_name": "Volcengine Ark / BytePlus",
        "priority": 50,
        "supported_durations": [4, 8, 10, 12, 15, 25],
        "max_in_flight": 10,
        "max_per_minute": 600,
    },
    "minimax": {
        "display_name": "MiniMax",
        "priority": 55,
        "supported_durations": [4, 8, 10, 12, 15],
        "max_in_flight": 30,
        "max_per_minute": 300,
    },
}
SHARED = {
    "weight": 10,
    "supported_resolutions": ["horizontal", "vertical"],
    "recovery": "look_up",
    "can_cancel": True,
}


def between(first, last):
    return {"min": first, "max": last}


# Our model, provider, its name there, what it makes, pro, dollars a second at that resolution, options. Seedance is
# billed by tokens: these are for 16:9. A name with # is a model in a finer picture, at its own price.
MODELS = [
    ("seedance", "ark", "dreamina-seedance-2-5-260628", between(4, 30), "never", "0.216", {}),
    (
        "seedance",
        "ark",
        "dreamina-seedance-2-5-260628#1080p",
        between(4, 30),
        "only",
        "0.535",
        {"resolution": "1080p"},
    ),
    ("seedance2", "ark", "dreamina-seedance-2-0-260128", between(4, 15), "never", "0.142", {}),
    (
        "seedance2",
        "ark",
        "dreamina-seedance-2-0-260128#1080p",
        between(4, 15),
        "only",
        "0.354",
        {"resolution": "1080p"},
    ),
    ("hailuo", "minimax", "MiniMax-H3", between(4, 15), "never", "0.08", {}),
    ("hailuo", "minimax", "MiniMax-H3#2K", between(4, 15), "only", "0.13", {"resolution": "2K"}),
]


def seed(apps, schema_editor):
    Provider = apps.get_model("providers", "Provider")
    for pk, known in PROVIDERS.items():
        Provider.objects.get_or_create(pk=pk, defaults={**SHARED, **known})
    for model, provider, name, durations, pro, price, options in MODELS:
        known = {
            "durations": durations,
            "pro": pro,
            "price_per_second": Decimal(price),
            "price_as_of": AS_OF,
            "options": options,
            **POLLS,
        }
        route(apps, model, provider, name, known)


def route(apps, model, provider, name, known):
    ProviderModel = apps.get_model("providers", "ProviderModel")
    Route = apps.get_model("providers", "Route")
    made, _ = ProviderModel.objects.get_or_create(provider_id=provider, name=name, defaults=known)
    routes = Route.objects.filter(model_id=model, provider_model__provider_id=provider)
    Route.objects.get_or_create(
        model_id=model, provider_model=made, defaults={"position": routes.count()}
    )


def remove(apps, schema_editor):
    Provider = apps.get_model("providers", "Provider")
    Provider.objects.filter(pk__in=list(PROVIDERS)).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0008_seed_openrouter")]

    operations = [migrations.RunPython(seed, remove)]
