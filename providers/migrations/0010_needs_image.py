from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0009_seed_ark_and_minimax")]

    operations = [
        migrations.AddField(
            model_name="providermodel",
            name="needs_image",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Makes nothing without a start image."
            ),
        ),
    ]
