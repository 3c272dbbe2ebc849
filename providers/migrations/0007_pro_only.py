from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("providers", "0006_recovery_of_the_seeded")]

    operations = [
        migrations.AlterField(
            model_name="providermodel",
            name="pro",
            field=models.CharField(
                choices=[
                    ("never", "takes no pro segments"),
                    ("always", "is a pro model"),
                    ("on_request", "is told per request"),
                    ("only", "is for pro segments alone"),
                ],
                default="never",
                max_length=16,
            ),
        ),
    ]
