from django.db import migrations, models

# Tasks and attempts are written again and again. With room for the next version in its page, a write that touches no
# indexed column (a claim) touches no index either.
_ROOM = {"runs_task": 50, "runs_attempt": 70}


def make_room(apps, schema_editor):
    _set(
        schema_editor, {table: f"SET (fillfactor = {percent})" for table, percent in _ROOM.items()}
    )


def fill_up(apps, schema_editor):
    _set(schema_editor, dict.fromkeys(_ROOM, "RESET (fillfactor)"))


def _set(schema_editor, storage):
    if schema_editor.connection.vendor == "postgresql":
        for table, how in storage.items():
            schema_editor.execute(f"ALTER TABLE {table} {how}")


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0007_conform"),
    ]

    operations = [
        migrations.AlterField(
            model_name="task",
            name="routing",
            field=models.JSONField(
                blank=True,
                help_text="What was decided while nobody was asked: it waits, or found no provider. Else see its attempts.",
                null=True,
            ),
        ),
        migrations.RunPython(make_room, fill_up),
    ]
