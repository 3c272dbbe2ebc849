from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0005_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="Decision",
            fields=[],
            options={
                "ordering": ["sent_at", "id"],
                "proxy": True,
                "default_permissions": ("view", "change"),
                "indexes": [],
                "constraints": [],
            },
            bases=("runs.attempt",),
        ),
    ]
