"""Replicate and what it makes of today's models. Rows that are there already are left as somebody set them."""

import datetime
from decimal import Decimal

from django.db import migrations

PRICES_OF = datetime.date(2026, 11, 1)
# A data URL may have 256 kB, of which base64 takes a quarter.
MAX_IMAGE_BYTES = 190_000

PROVIDER = {
    "display_name": "Replicate",
    "priority": 60,
    "weight": 10,
    "supported_durations": [4, 8, 10, 12, 15, 25],
    "supported_resolutions": ["horizontal", "vertical"],
    "recovery": "look_up",
    "can_cancel": True,
    "max_per_minute": 600,
}
HAILUO = {"image_field": "first_frame_image", "ratio_field": "ratio", "resolution": "768P"}
FINE = {"resolution": "720p"}

# ours: its name there; seconds; options; US dollars a second, if known; pro
MODELS = [
    ("seedance", "bytedance/seedance-2.5", {"min": 4, "max": 30}, FINE, None, "never"),
    ("seedance2", "bytedance/seedance-2.0", {"min": 4, "max": 15}, FINE, None, "never"),
    ("veo", "google/veo-3.1", [4, 6, 8], FINE, None, "never"),
    ("veofast", "google/veo-3.1-fast", [4, 6, 8], FINE, None, "never"),
    ("hailuo", "minimax/h3", {"min": 4, "max": 15}, HAILUO, "0.08", "never"),
    (
        "hailuo",
        "minimax/h3#2K",
        {"min": 4, "max": 15},
        HAILUO | {"resolution": "2K"},
        "0.13",
        "only",
    ),
]


def seed(apps, schema_editor):
    Provider = apps.get_model("providers", "Provider")
    ProviderModel = apps.get_model("providers", "ProviderModel")
    Provider.objects.get_or_create(pk="replicate", defaults=PROVIDER)
    positions = {}
    for ours, name, durations, options, price, pro in MODELS:
        known = {"durations": durations, "options": options, "pro": pro}
        known["max_image_bytes"] = MAX_IMAGE_BYTES
        if price:
            known |= {"price_per_second": Decimal(price), "price_as_of": PRICES_OF}
        found, _ = ProviderModel.objects.get_or_create(
            provider_id="replicate", name=name, defaults=known
        )
        position = positions[ours] = positions.get(ours, -1) + 1
        apps.get_model("providers", "Route").objects.get_or_create(
            model_id=ours, provider_model=found, defaults={"position": position}
        )


def remove(apps, schema_editor):
    apps.get_model("providers", "Provider").objects.filter(pk="replicate").delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0011_seed_fal")]

    operations = [migrations.RunPython(seed, remove)]
