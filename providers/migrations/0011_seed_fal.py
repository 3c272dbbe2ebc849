"""fal and what it makes of today's models. Rows that are there already are left as somebody set them.

A start image has an endpoint of its own there, so most models come in two. Prices: US dollars a second of 720p (768P)
and with sound, where the price depends on it; none means that it is not known.
"""

import datetime
from decimal import Decimal

from django.db import migrations

PRICES_OF = datetime.date(2026, 11, 1)

PROVIDER = {
    "display_name": "fal",
    "priority": 45,
    "weight": 10,
    "supported_durations": [4, 8, 10, 12, 15, 25],
    "supported_resolutions": ["horizontal", "vertical"],
    "recovery": "look_up",
    "can_cancel": True,
}
SOUND = {"inputs": {"generate_audio": True}}
SEEDANCE = {"duration": "{}", "resolution": "720p"}
SEEDANCE_FINE = {"duration": "{}", "resolution": "1080p"}
VEO = {"duration": "{}s", "resolution": "720p", **SOUND}
KLING = {"duration": "{}", **SOUND}
HAILUO = {"resolution": "768P"}
HAILUO_FINE = {"resolution": "2K"}
WAN = {"resolution": "720p"}

TEXT, PICTURE = "text-to-video", "image-to-video"

# ours: what fal calls it, from a text and from a picture; the picture's field; seconds; options; dollars; pro
MODELS = [
    (
        "seedance",
        (f"bytedance/seedance-2.5/{TEXT}", f"bytedance/seedance-2.5/{PICTURE}"),
        "image_url",
        {"min": 4, "max": 30},
        SEEDANCE,
        "0.473",
        "never",
    ),
    (
        "seedance2",
        (f"bytedance/seedance-2.0/{TEXT}", f"bytedance/seedance-2.0/{PICTURE}"),
        "image_url",
        {"min": 4, "max": 15},
        SEEDANCE,
        "0.303",
        "never",
    ),
    (
        "seedance2",
        (f"bytedance/seedance-2.0/{TEXT}#1080p", f"bytedance/seedance-2.0/{PICTURE}#1080p"),
        "image_url",
        {"min": 4, "max": 15},
        SEEDANCE_FINE,
        "0.682",
        "only",
    ),
    (
        "veo",
        ("fal-ai/veo3.1", f"fal-ai/veo3.1/{PICTURE}"),
        "image_url",
        [4, 6, 8],
        VEO,
        "0.40",
        "never",
    ),
    (
        "veofast",
        ("fal-ai/veo3.1/fast", f"fal-ai/veo3.1/fast/{PICTURE}"),
        "image_url",
        [4, 6, 8],
        VEO,
        "0.15",
        "never",
    ),
    (
        "kling",
        (f"fal-ai/kling-video/v3/pro/{TEXT}", f"fal-ai/kling-video/v3/pro/{PICTURE}"),
        "start_image_url",
        {"min": 3, "max": 15},
        KLING,
        "0.168",
        "always",
    ),
    (
        "hailuo",
        (f"minimax/h3/{TEXT}", f"minimax/h3/{PICTURE}"),
        "image_url",
        {"min": 5, "max": 15},
        HAILUO,
        "0.06",
        "never",
    ),
    (
        "hailuo",
        (f"minimax/h3/{TEXT}#2K", f"minimax/h3/{PICTURE}#2K"),
        "image_url",
        {"min": 5, "max": 15},
        HAILUO_FINE,
        "0.13",
        "only",
    ),
    (
        "wan",
        (f"alibaba/wan-3.0/{TEXT}", f"alibaba/wan-3.0/{PICTURE}"),
        "start_image_url",
        {"min": 2, "max": 30},
        WAN,
        None,
        "never",
    ),
]


def seed(apps, schema_editor):
    apps.get_model("providers", "Provider").objects.get_or_create(pk="fal", defaults=PROVIDER)
    ProviderModel = apps.get_model("providers", "ProviderModel")
    Route = apps.get_model("providers", "Route")
    positions = {}
    for ours, (text, picture), image_field, durations, options, price, pro in MODELS:
        known = {"durations": durations, "pro": pro}
        if price:
            known |= {"price_per_second": Decimal(price), "price_as_of": PRICES_OF}
        from_text = {"image_inputs": [], "options": options}
        # What starts from a picture keeps its shape, which is made that of the shot before.
        from_picture = {
            "needs_image": True,
            "options": {**options, "image_field": image_field, "ratio_field": None},
        }
        for name, more in ((text, from_text), (picture, from_picture)):
            found, _ = ProviderModel.objects.get_or_create(
                provider_id="fal", name=name, defaults=known | more
            )
            position = positions[ours] = positions.get(ours, -1) + 1
            Route.objects.get_or_create(
                model_id=ours, provider_model=found, defaults={"position": position}
            )


def remove(apps, schema_editor):
    apps.get_model("providers", "Provider").objects.filter(pk="fal").delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0010_needs_image")]

    operations = [migrations.RunPython(seed, remove)]
