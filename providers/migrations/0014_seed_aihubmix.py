"""AIHubMix's models of today beside the Sora that it had; each is of a family with a body of its own.

Its price list is not public, so no prices. Its Veo makes wide video only and takes no start image (as
clients found in April 2026); Google ended those previews on 2026-10-22.
"""

import datetime

from django.db import migrations

PROVIDER = "aihubmix"
VEO_ENDED = datetime.date(2026, 10, 22)

SEEDANCE = {
    "durations": {"min": 4, "max": 15},
    "image_inputs": ["inline", "url"],
    "options": {"family": "seedance"},
}
VEO = {
    "durations": [4, 6, 8],
    "resolutions": ["horizontal"],
    "image_inputs": [],
    "options": {"family": "veo"},
    "retired_at": VEO_ENDED,
}

# its name for the model, what else is known of it
PROVIDER_MODELS = [
    ("doubao-seedance-2-0-260128", SEEDANCE),
    ("doubao-seedance-2-0-fast-260128", SEEDANCE),
    ("veo-3.1-generate-preview", VEO),
    ("veo-3.1-fast-generate-preview", VEO),
]
ROUTES = [
    ("seedance2", "doubao-seedance-2-0-260128"),
    ("veo", "veo-3.1-generate-preview"),
    ("veofast", "veo-3.1-fast-generate-preview"),
]
# Of these a start image is known to go along as a file and in no other way.
SORA = ["sora-2", "web-sora-2", "sora-2-pro", "web-sora-2-pro"]


def seed(apps, schema_editor):
    if not apps.get_model("providers", "Provider").objects.filter(pk=PROVIDER).exists():
        return
    ProviderModel = apps.get_model("providers", "ProviderModel")
    ours = ProviderModel.objects.filter(provider_id=PROVIDER)
    ours.filter(name__in=SORA, image_inputs__isnull=True).update(image_inputs=["upload"])
    found = {}
    for name, known in PROVIDER_MODELS:
        found[name], _ = ProviderModel.objects.get_or_create(
            provider_id=PROVIDER, name=name, defaults=known
        )
    Route = apps.get_model("providers", "Route")
    known_models = set(
        apps.get_model("providers", "VideoModel").objects.values_list("pk", flat=True)
    )
    for model, name in ROUTES:
        if model in known_models:
            Route.objects.get_or_create(model_id=model, provider_model=found[name])


def remove(apps, schema_editor):
    apps.get_model("providers", "ProviderModel").objects.filter(
        provider_id=PROVIDER, name__in=[name for name, _ in PROVIDER_MODELS]
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0013_seed_runway")]

    operations = [migrations.RunPython(seed, remove)]
