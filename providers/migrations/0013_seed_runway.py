"""Runway and what it makes of today's models. Rows that are there already are left as somebody set them.

A credit is a cent. No price means that it is not known for that resolution.
"""

import datetime
from decimal import Decimal

from django.db import migrations

PRICES_OF = datetime.date(2026, 11, 1)
# A data URL may have 5 MB, of which base64 takes a quarter.
MAX_IMAGE_BYTES = 3_700_000
# Counted in UTF-16 units there.
GEN4_PROMPT = 1000

PROVIDER = {
    "display_name": "Runway",
    "priority": 70,
    "weight": 10,
    "supported_durations": [4, 8, 10, 12, 15, 25],
    "supported_resolutions": ["horizontal", "vertical"],
    "recovery": "none",
    "can_cancel": True,
}
FULL_HD = {"ratios": {"horizontal": "1920:1080", "vertical": "1080:1920"}}
NAMED = {"ratios": {"horizontal": "16:9", "vertical": "9:16"}}
AUTO = {"ratios": {"horizontal": "auto_720p", "vertical": "auto_720p"}}
SOUND = {"inputs": {"audio": True}}

TEXT_ALONE = {"image_inputs": []}
PICTURE_ALONE = {"needs_image": True}
LONGEST = {"max_prompt_length": GEN4_PROMPT}


def between(first, last):
    return {"min": first, "max": last}


# ours: its name there; seconds; options; US dollars a second, if known; pro; what else
MODELS = [
    ("gen4", "gen4.5", between(2, 10), {}, "0.12", "never", LONGEST),
    ("veo", "veo3.1", [4, 6, 8], SOUND, "0.40", "never", LONGEST),
    ("veofast", "veo3.1_fast", [4, 6, 8], SOUND, "0.15", "never", LONGEST),
    ("kling", "kling3.0_pro", between(3, 15), FULL_HD, None, "always", {}),
    ("seedance", "seedance2_5", between(4, 30), {}, "0.30", "never", {}),
    ("seedance", "seedance2_5#1080p", between(4, 30), FULL_HD, "0.68", "only", {}),
    ("seedance2", "seedance2", between(4, 15), {}, None, "never", {}),
    ("wan", "wan3", between(2, 30), {}, "0.10", "never", TEXT_ALONE),
    ("wan", "wan3#image", between(2, 30), AUTO, "0.10", "never", PICTURE_ALONE),
    ("hailuo", "hailuo3", between(5, 15), NAMED | {"resolution": "768p"}, "0.10", "never", {}),
    ("hailuo", "hailuo3#2k", between(5, 15), NAMED | {"resolution": "2k"}, "0.15", "only", {}),
    (
        "grok",
        "grok_imagine_1_5",
        between(1, 15),
        NAMED | {"resolution": "720p"},
        None,
        "never",
        TEXT_ALONE,
    ),
    (
        "grok",
        "grok_imagine_1_5#image",
        between(1, 15),
        {"ratio_field": None, "resolution": "720p"},
        None,
        "never",
        PICTURE_ALONE,
    ),
]


def seed(apps, schema_editor):
    apps.get_model("providers", "Provider").objects.get_or_create(pk="runway", defaults=PROVIDER)
    ProviderModel = apps.get_model("providers", "ProviderModel")
    Route = apps.get_model("providers", "Route")
    positions = {}
    for ours, name, durations, options, price, pro, more in MODELS:
        known = {"durations": durations, "options": options, "pro": pro, **more}
        known["max_image_bytes"] = MAX_IMAGE_BYTES
        if price:
            known |= {"price_per_second": Decimal(price), "price_as_of": PRICES_OF}
        found, _ = ProviderModel.objects.get_or_create(
            provider_id="runway", name=name, defaults=known
        )
        position = positions[ours] = positions.get(ours, -1) + 1
        Route.objects.get_or_create(
            model_id=ours, provider_model=found, defaults={"position": position}
        )


def remove(apps, schema_editor):
    apps.get_model("providers", "Provider").objects.filter(pk="runway").delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0012_seed_replicate")]

    operations = [migrations.RunPython(seed, remove)]
