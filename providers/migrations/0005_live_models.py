"""Models of today under names that users know; each provider's migration maps its own to them."""

from django.db import migrations

# id, display name, priority, description
MODELS = [
    (
        "seedance",
        "Seedance 2.5",
        40,
        "ByteDance's newest: 4 to 30 s, follows a start image closely.",
    ),
    ("seedance2", "Seedance 2.0", 45, "ByteDance's model before: 4 to 15 s, lower in price."),
    ("wan", "Wan 3.0", 50, "Alibaba's: 2 to 30 s, low in price."),
    ("hailuo", "Hailuo 3", 55, "MiniMax's H3: 5 to 15 s, strong motion."),
    ("veo", "Veo 3.1", 60, "Google's: 4, 6 or 8 s, with sound."),
    ("veofast", "Veo 3.1 Fast", 62, "The quicker and cheaper Veo: 4, 6 or 8 s."),
    ("kling", "Kling 3.0", 65, "Kuaishou's: 3 to 15 s."),
    ("grok", "Grok Imagine 1.5", 70, "xAI's: 1 to 15 s."),
    ("gen4", "Runway Gen-4.5", 75, "Runway's: 2 to 10 s."),
]


def seed(apps, schema_editor):
    VideoModel = apps.get_model("providers", "VideoModel")
    for pk, name, priority, description in MODELS:
        defaults = {"display_name": name, "priority": priority, "description": description}
        VideoModel.objects.get_or_create(pk=pk, defaults=defaults)


def remove(apps, schema_editor):
    VideoModel = apps.get_model("providers", "VideoModel")
    VideoModel.objects.filter(pk__in=[row[0] for row in MODELS]).delete()


class Migration(migrations.Migration):
    dependencies = [("providers", "0004_capabilities")]

    operations = [migrations.RunPython(seed, remove)]
