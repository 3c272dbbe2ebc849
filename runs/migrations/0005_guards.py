import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0004_notices"),
    ]

    operations = [
        # The constraint below is an index of its own.
        migrations.AlterField(
            model_name="videofile",
            name="attempt",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="files",
                to="runs.attempt",
            ),
        ),
        migrations.AddConstraint(
            model_name="videofile",
            constraint=models.UniqueConstraint(
                condition=models.Q(("attempt__isnull", False)),
                fields=("attempt",),
                name="an_attempt_has_one_file",
            ),
        ),
        migrations.AddConstraint(
            model_name="attempt",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="attempts_count_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="attempt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("accepted_at__isnull", False), ("provider_job_id__isnull", False)),
                    models.Q(
                        ("accepted_at__isnull", True),
                        ("provider_job_id__isnull", True),
                        models.Q(("phase__in", ("accepted", "downloading", "done")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="accepted_means_a_job",
            ),
        ),
        migrations.AddConstraint(
            model_name="attempt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("phase", "accepted"), _negated=True),
                    ("deadline_at__isnull", False),
                    _connector="OR",
                ),
                name="no_job_is_waited_for_for_ever",
            ),
        ),
        migrations.AddConstraint(
            model_name="attempt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at__isnull", True),
                        ("phase__in", ("sending", "accepted", "ambiguous")),
                    ),
                    models.Q(("output__isnull", False), ("phase", "downloading")),
                    models.Q(
                        ("finished_at__isnull", False),
                        (
                            "phase__in",
                            ("done", "rejected", "absent", "abandoned", "failed", "canceled"),
                        ),
                    ),
                    _connector="OR",
                ),
                name="attempt_that_is_over_has_an_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="attempt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("phase", "ambiguous"), ("possibly_billed", True)),
                    ("phase", "abandoned"),
                    models.Q(
                        models.Q(("phase", "ambiguous"), _negated=True), ("possibly_billed", False)
                    ),
                    _connector="OR",
                ),
                name="only_lost_answers_possibly_billed",
            ),
        ),
        migrations.AddConstraint(
            model_name="event",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="events_count_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at__isnull", False),
                        ("queued", 0),
                        ("running", 0),
                        ("status__in", ("completed", "failed", "download_failed", "canceled")),
                    ),
                    models.Q(
                        ("finished_at__isnull", True),
                        ("status__in", ("queued", "running")),
                        models.Q(("queued__gt", 0), ("running__gt", 0), _connector="OR"),
                    ),
                    _connector="OR",
                ),
                name="run_ends_with_its_last_task",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "queued"), ("step__in", ("check", "reuse", "submit"))),
                    models.Q(
                        ("status", "running"),
                        models.Q(("step__in", ("check", "reuse", "submit")), _negated=True),
                    ),
                    ("status__in", ("completed", "failed", "download_failed", "canceled")),
                    _connector="OR",
                ),
                name="step_fits_the_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("status__in", ("queued", "running"))),
                    models.Q(
                        ("finished_at__isnull", False),
                        ("lease_until__isnull", True),
                        ("status__in", ("completed", "failed", "download_failed", "canceled")),
                    ),
                    _connector="OR",
                ),
                name="ended_tasks_have_an_end_and_no_lease",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("error_code", ""), ("status__in", ("queued", "running", "completed"))
                    ),
                    models.Q(
                        ("status__in", ("failed", "download_failed", "canceled")),
                        models.Q(("error_code", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="who_ends_without_a_take_says_why",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(("tries__lte", models.F("attempt_count"))),
                name="a_try_is_an_attempt",
            ),
        ),
        migrations.AddConstraint(
            model_name="videofile",
            constraint=models.CheckConstraint(
                condition=models.Q(("bytes__gt", 0)), name="a_take_is_not_empty"
            ),
        ),
    ]
