"""How runs and tasks look to clients. Answers only: nothing is written through these."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cineflow.api.auth import signed
from cineflow.core import ids
from providers import liveness
from runs.models import Attempt, Conform, Phase, Run, Status, Task


class RunSerializer(serializers.ModelSerializer[Run]):
    id = serializers.CharField(source="public_id")
    status = serializers.ChoiceField(Status.values)
    conform = serializers.ChoiceField(Conform.values)
    storyboard_id = serializers.SerializerMethodField()
    provider_id = serializers.SerializerMethodField()
    waiting_reason = serializers.SerializerMethodField()

    class Meta:
        model = Run
        # fmt: off
        fields = [
            "id", "status", "total_tasks", "completed", "failed", "download_failed", "created_at",
            "storyboard_id", "storyboard_name", "model_id", "dry_run", "queued", "running", "canceled",
            "started_at", "finished_at", "paused_at", "routing_strategy", "provider_id", "conform",
            "gen_count", "concurrency", "range", "output_mode", "output_path", "force", "waiting_reason",
        ]
        # fmt: on

    def get_storyboard_id(self, run: Run) -> str:
        return ids.show("sb", run.storyboard_uuid)

    def get_provider_id(self, run: Run) -> str | None:
        return run.provider_id or None

    def get_waiting_reason(self, run: Run) -> str | None:
        reason = "the run is paused" if run.paused_at else run.waiting_reason
        return (run.queued and reason) or None


class PlanEntrySerializer(serializers.Serializer[Any]):
    """A shot that does not fit exactly, and what would happen to it."""

    segment_index = serializers.IntegerField()
    seconds = serializers.IntegerField(help_text="As the storyboard wants it.")
    outcome = serializers.ChoiceField(
        ["no_provider", "longer", "shorter", "drawn"],
        help_text="`drawn`: the weighted strategy will choose among models of different lengths.",
    )
    provider_id = serializers.CharField(allow_null=True)
    provider_model_id = serializers.CharField(allow_null=True)
    asked_seconds = serializers.IntegerField(
        allow_null=True, help_text="Asked for and billed; null where that is open."
    )
    why = serializers.CharField()


class LaunchedSerializer(RunSerializer):
    """A new run, and what should be known before it is paid for; `plan` of the context is its conform plan."""

    conform_plan = serializers.SerializerMethodField(help_text="At most 1,000 shots.")
    conform_plan_rest = serializers.SerializerMethodField(help_text="How many more there are.")

    warnings = serializers.SerializerMethodField(
        help_text="Which models that it may go to their vendor ends soon, and when."
    )

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "conform_plan", "conform_plan_rest", "warnings"]

    @extend_schema_field(PlanEntrySerializer(many=True))
    def get_conform_plan(self, run: Run) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = self.context["plan"].entries
        return entries

    def get_conform_plan_rest(self, run: Run) -> int:
        return int(self.context["plan"].rest)

    def get_warnings(self, run: Run) -> list[str]:
        return liveness.sunsets_of_run(run.model_id, run.provider_id, timezone.now().date())


class TaskSerializer(serializers.Serializer[Task]):
    """One take of one segment. The run is expected to be at hand (`select_related`)."""

    id = serializers.CharField(source="public_id")
    status = serializers.ChoiceField(Status.values)
    video_url = serializers.SerializerMethodField()
    metadata_url = serializers.SerializerMethodField()
    full_prompt = serializers.CharField(allow_null=True)
    error_msg = serializers.SerializerMethodField()
    error_code = serializers.SerializerMethodField()
    retryable = serializers.BooleanField(allow_null=True)
    segment_index = serializers.IntegerField()
    run_id = serializers.SerializerMethodField()
    segment_id = serializers.SerializerMethodField()
    take = serializers.IntegerField()
    provider_id = serializers.SerializerMethodField()
    provider_model_id = serializers.SerializerMethodField()
    progress = serializers.IntegerField(allow_null=True)
    waiting_reason = serializers.SerializerMethodField()
    possibly_billed = serializers.BooleanField()
    attempts = serializers.IntegerField(source="attempt_count")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_video_url(self, task: Task) -> str | None:
        return signed(f"/api/v1/tasks/{task.public_id}/download") if task.video_id else None

    def get_metadata_url(self, task: Task) -> str:
        return f"/api/v1/tasks/{task.public_id}/metadata"

    def get_error_msg(self, task: Task) -> str | None:
        return task.error_msg or None

    def get_error_code(self, task: Task) -> str | None:
        return task.error_code or None

    def get_run_id(self, task: Task) -> str:
        return ids.show("run", task.run_id)

    def get_segment_id(self, task: Task) -> str:
        return ids.show("seg", task.segment_uuid)

    def get_provider_id(self, task: Task) -> str | None:
        return task.provider_id or None

    def get_provider_model_id(self, task: Task) -> str | None:
        return task.provider_model_id or None

    def get_waiting_reason(self, task: Task) -> str | None:
        return task.held_by or None


class DecisionSerializer(serializers.Serializer[Attempt]):
    """An attempt that may be billed and of which nobody knows; its task and run are at hand."""

    task_id = serializers.CharField(source="task.public_id")
    run_id = serializers.CharField(source="run.public_id")
    segment_index = serializers.IntegerField(source="task.segment_index")
    take = serializers.IntegerField(source="task.take")
    attempt = serializers.IntegerField(source="number")
    provider_id = serializers.CharField()
    provider_model_id = serializers.CharField()
    prompt = serializers.CharField()
    seconds = serializers.IntegerField()
    sent_at = serializers.DateTimeField()
    error_msg = serializers.CharField()
    actions = serializers.SerializerMethodField()

    def get_actions(self, attempt: Attempt) -> list[str]:
        return ["adopt", "submit_again", "give_up"]


class CancelSerializer(serializers.Serializer[Any]):
    """What a cancel reached, and what is spent all the same."""

    run = RunSerializer()
    ended = serializers.IntegerField(help_text="Tasks that had not started and are canceled now.")
    under_way = serializers.IntegerField(help_text="Tasks at a provider; they end as they can.")
    spent_usd = serializers.FloatField(
        help_text="Accepted jobs of the run by the catalogue's prices."
    )
    price_unknown = serializers.IntegerField(help_text="Accepted jobs whose price is not known.")
    possibly_billed = serializers.IntegerField(help_text="Attempts of which nobody knows.")


class MetadataSerializer(serializers.Serializer[Any]):
    """Everything that is known of a take; `runs.metadata` makes it."""

    id = serializers.CharField()
    run_id = serializers.CharField()
    segment_id = serializers.CharField()
    storyboard_id = serializers.CharField()
    segment_index = serializers.IntegerField()
    take = serializers.IntegerField()
    status = serializers.ChoiceField(Status.values)
    dry_run = serializers.BooleanField()
    model_id = serializers.CharField()
    segment = serializers.DictField()
    full_prompt = serializers.CharField()
    error_code = serializers.CharField(allow_null=True)
    error_msg = serializers.CharField(allow_null=True)
    retryable = serializers.BooleanField(allow_null=True)
    possibly_billed = serializers.BooleanField()
    attempts = serializers.ListField(child=serializers.DictField())
    file = serializers.DictField(allow_null=True)
    conform = serializers.ChoiceField(Conform.values)
    requested_seconds = serializers.IntegerField()
    cost = serializers.DictField()
    routing = serializers.DictField(allow_null=True)


class CandidateSerializer(serializers.Serializer[Any]):
    """A provider's model, the values that were looked at, and what became of it.

    Null is what is not known, or what this decision did not look at.
    """

    provider_id = serializers.CharField()
    provider_model_id = serializers.CharField()
    taken = serializers.BooleanField()
    why = serializers.CharField()
    asked_seconds = serializers.IntegerField(allow_null=True)
    priority = serializers.IntegerField()
    weight = serializers.IntegerField()
    price_per_second = serializers.FloatField(allow_null=True, help_text="US dollars.")
    price = serializers.FloatField(allow_null=True, help_text="Of the whole shot.")
    latency_p50 = serializers.FloatField(
        allow_null=True, help_text="Measured seconds from acceptance to the finished job."
    )
    latency_p95 = serializers.FloatField(allow_null=True)
    free_slots = serializers.IntegerField(allow_null=True, help_text="Null: no limit.")
    free_share = serializers.FloatField(
        allow_null=True, help_text="Of its tightest limit, 0 to 1; null: no limit."
    )
    left_this_minute = serializers.IntegerField(allow_null=True, help_text="Null: no limit.")
    balance = serializers.FloatField(allow_null=True)
    balance_currency = serializers.CharField(allow_null=True)
    held_until = serializers.DateTimeField(allow_null=True)


class RouteDecisionSerializer(serializers.Serializer[Any]):
    """A decision: who was considered, and why who was taken."""

    strategy = serializers.CharField()
    conform = serializers.ChoiceField(Conform.values)
    decided_at = serializers.DateTimeField(allow_null=True, help_text="Null: not yet.")
    requested_seconds = serializers.IntegerField(help_text="As the storyboard wants it.")
    asked_seconds = serializers.IntegerField(
        allow_null=True, help_text="Asked for and billed; null when nobody was taken."
    )
    provider_id = serializers.CharField(allow_null=True)
    provider_model_id = serializers.CharField(allow_null=True)
    looked_at = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    candidates = CandidateSerializer(many=True)


class RoutedAttemptSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    phase = serializers.ChoiceField(Phase.values)
    error_code = serializers.CharField(allow_null=True)
    decision = RouteDecisionSerializer(allow_null=True)


class RouteSerializer(RouteDecisionSerializer):
    """The newest decision of a task, what it waits for, and the decision of each of its attempts."""

    task_id = serializers.CharField()
    run_id = serializers.CharField()
    segment_index = serializers.IntegerField()
    take = serializers.IntegerField()
    status = serializers.ChoiceField(Status.values)
    waiting_for = serializers.CharField(allow_null=True)
    waiting_until = serializers.DateTimeField(
        allow_null=True, help_text="When it is looked at again, where that is known."
    )
    attempts = RoutedAttemptSerializer(many=True)
