"""What the machine does. Rows are the truth; `lifecycle` is the only writer of a status or a phase."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from cineflow.core import ids
from providers.base import Job
from storyboards.models import Storyboard


class Status(models.TextChoices):
    """Of a task, and of a run as the sum of its tasks."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    DOWNLOAD_FAILED = "download_failed"
    CANCELED = "canceled"


ACTIVE = (Status.QUEUED, Status.RUNNING)
ENDED = (Status.COMPLETED, Status.FAILED, Status.DOWNLOAD_FAILED, Status.CANCELED)


class Step(models.TextChoices):
    """What the engine does next with a task."""

    NONE = "", "nothing"
    CHECK = "check", "check (dry run)"
    REUSE = "reuse", "reuse an earlier take"
    SUBMIT = "submit"
    SETTLE = "settle", "wait for the answer to a submit"
    LOOK_UP = "look_up", "look for the job of a lost answer"
    RESEND = "resend", "send the same submit again, under its token"
    POLL = "poll"
    ASK_ONCE = "ask_once", "ask a timed-out job once more"
    DOWNLOAD = "download"


class Phase(models.TextChoices):
    """Of an attempt, that is of one paid call and the job it made."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    DONE = "done"
    REJECTED = "rejected", "rejected: surely nothing was created"
    AMBIGUOUS = "ambiguous", "ambiguous: sent, no usable answer"
    ABSENT = "absent", "absent: a look-up proved that nothing was created"
    ABANDONED = "abandoned", "abandoned by a person's decision"
    FAILED = "failed"
    CANCELED = "canceled"


WAITING_STEPS = (Step.CHECK, Step.REUSE, Step.SUBMIT)
LIVE = (Phase.SENDING, Phase.ACCEPTED, Phase.AMBIGUOUS, Phase.DOWNLOADING)
IN_FLIGHT = (Phase.SENDING, Phase.ACCEPTED, Phase.AMBIGUOUS)
WITH_A_JOB = (Phase.ACCEPTED, Phase.DOWNLOADING, Phase.DONE)
OVER = (
    Phase.DONE,
    Phase.REJECTED,
    Phase.ABSENT,
    Phase.ABANDONED,
    Phase.FAILED,
    Phase.CANCELED,
)


class Conform(models.TextChoices):
    """What becomes of a shot whose exact length no model makes."""

    ROUTE = "route", "it fails with no_provider"
    STRICT = "strict", "the run is refused"
    NEAREST_LONGER = "nearest_longer", "a model's next longer length is made"
    NEAREST = "nearest", "a model's nearest length is made; of two the longer one"


class Run(models.Model):
    """A storyboard's chosen segments × takes, frozen into tasks."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    storyboard = models.ForeignKey(
        Storyboard, null=True, on_delete=models.SET_NULL, related_name="runs"
    )
    # Kept apart from the key above: an ended run outlives its storyboard.
    storyboard_uuid = models.UUIDField()
    storyboard_name = models.CharField(max_length=255)
    model_id = models.CharField(max_length=64)
    routing_strategy = models.CharField(max_length=16, default="default")
    provider_id = models.CharField(max_length=64, blank=True, help_text="For the manual strategy.")
    conform = models.CharField(
        max_length=16,
        choices=Conform.choices,
        default=Conform.ROUTE,
        db_default=Conform.ROUTE,
        help_text="What becomes of a shot whose exact length no model makes.",
    )
    gen_count = models.PositiveSmallIntegerField(default=1)
    concurrency = models.PositiveSmallIntegerField(default=3)
    range = models.TextField(default="all")
    output_mode = models.CharField(max_length=16, default="centralized")
    output_path = models.TextField(null=True, blank=True)  # noqa: DJ001 - null in the API
    output_folder = models.TextField(
        help_text="Relative to the data folder, or absolute below an output root."
    )
    dry_run = models.BooleanField(default=False)
    force = models.BooleanField(default=False)

    status = models.CharField(
        max_length=16, choices=Status.choices, default=Status.QUEUED, db_index=True
    )
    total_tasks = models.PositiveIntegerField(default=0)
    queued = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    download_failed = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    waiting_reason = models.CharField(
        max_length=255, blank=True, help_text="What holds its queued tasks."
    )
    paused_at = models.DateTimeField(null=True, blank=True, help_text="No new submits since.")
    event_count = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="run_newest"),
            models.Index(fields=["storyboard_uuid"], name="run_storyboard"),
            models.Index(fields=["created_at"], condition=Q(status__in=ACTIVE), name="run_active"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    total_tasks=models.F("queued")
                    + models.F("running")
                    + models.F("completed")
                    + models.F("failed")
                    + models.F("download_failed")
                    + models.F("canceled")
                ),
                name="run_counts_add_up",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ENDED, queued=0, running=0, finished_at__isnull=False)
                | Q(status__in=ACTIVE, finished_at__isnull=True)
                & (Q(queued__gt=0) | Q(running__gt=0)),
                name="run_ends_with_its_last_task",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.show("run", self.id)


class Task(models.Model):
    """One take of one segment."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    # A unique constraint begins with it, so it needs no index of its own; the same below.
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tasks", db_index=False)
    segment_uuid = models.UUIDField(help_text="Not a foreign key: the segment may be deleted.")
    segment_index = models.PositiveIntegerField()
    take = models.PositiveSmallIntegerField(default=1)
    snapshot = models.JSONField(
        help_text="The segment as it was when the task was made or last retried."
    )
    full_prompt = models.TextField()
    fingerprint = models.CharField(
        max_length=64, help_text="Of everything that decides how the take looks."
    )

    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    step = models.CharField(max_length=16, choices=Step.choices, blank=True, default=Step.NONE)
    due_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(
        default=0, help_text="Rises with every claim; a write must know it."
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    waiting_reason = models.CharField(max_length=255, blank=True)

    attempt_count = models.PositiveSmallIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts since the task was made or last retried."
    )
    errors_in_a_row = models.PositiveSmallIntegerField(
        default=0, help_text="Of polls or downloads."
    )
    crashes = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Workers that died over it since it last got on."
    )
    alone = models.BooleanField(
        default=False, db_default=False, help_text="It was claimed alone, being suspected."
    )
    failed_providers = models.JSONField(default=list, help_text="Not asked again until a retry.")
    provider_id = models.CharField(max_length=64, blank=True)
    provider_model_id = models.CharField(max_length=255, blank=True)
    routing = models.JSONField(
        null=True,
        blank=True,
        help_text="What was decided while nobody was asked: it waits, or found no provider. Else see its attempts.",
    )
    progress = models.PositiveSmallIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    error_msg = models.TextField(blank=True)
    retryable = models.BooleanField(null=True, blank=True)
    possibly_billed = models.BooleanField(default=False)
    # Indexed below, and only where it is set: most tasks are written several times before that, or without.
    video = models.ForeignKey(
        "VideoFile",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    reuse_of = models.ForeignKey(
        "VideoFile",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["segment_index", "take", "id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "segment_index", "take"], name="take_is_unique"),
            models.CheckConstraint(
                condition=Q(status__in=ACTIVE) & ~Q(step="") & Q(due_at__isnull=False)
                | Q(status__in=ENDED, step="", due_at__isnull=True),
                name="only_active_tasks_are_due",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.QUEUED, step__in=WAITING_STEPS)
                | Q(status=Status.RUNNING) & ~Q(step__in=WAITING_STEPS)
                | Q(status__in=ENDED),
                name="step_fits_the_status",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ACTIVE, finished_at__isnull=True)
                | Q(status__in=ENDED, finished_at__isnull=False, lease_until__isnull=True),
                name="ended_tasks_have_an_end_and_no_lease",
            ),
            models.CheckConstraint(
                condition=Q(status__in=(*ACTIVE, Status.COMPLETED), error_code="")
                | Q(status__in=(Status.FAILED, Status.DOWNLOAD_FAILED, Status.CANCELED))
                & ~Q(error_code=""),
                name="who_ends_without_a_take_says_why",
            ),
            models.CheckConstraint(
                condition=Q(tries__lte=models.F("attempt_count")), name="a_try_is_an_attempt"
            ),
            models.CheckConstraint(
                condition=Q(status=Status.FAILED) | Q(possibly_billed=False),
                name="only_failed_possibly_billed",
            ),
        ]
        indexes = [
            # Ended tasks are not due. Both databases see from `due_at <= …` that these two may be used.
            models.Index(
                fields=["step", "due_at"], condition=Q(due_at__isnull=False), name="task_due"
            ),
            models.Index(
                fields=["run", "step", "due_at"],
                condition=Q(due_at__isnull=False),
                name="task_due_of_run",
            ),
            models.Index(fields=["run", "status"], name="task_run_status"),
            models.Index(
                fields=["fingerprint"], condition=Q(video__isnull=False), name="task_reusable"
            ),
            models.Index(fields=["video"], condition=Q(video__isnull=False), name="task_video"),
            models.Index(
                fields=["reuse_of"], condition=Q(reuse_of__isnull=False), name="task_reuse_of"
            ),
            models.Index(fields=["segment_uuid"], name="task_segment"),
            models.Index(fields=["step"], condition=Q(crashes__gt=0), name="task_suspected"),
            # What an operator looks for among a million: few rows, so small indexes.
            models.Index(
                fields=["error_code", "-id"], condition=~Q(error_code=""), name="task_errors"
            ),
            models.Index(
                fields=["-id"], condition=Q(possibly_billed=True), name="task_possibly_billed"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.segment_index} take {self.take}"

    @property
    def public_id(self) -> str:
        return ids.show("task", self.id)

    @property
    def newest_routing(self) -> Any:
        """The newest decision: the candidates, and why each was or was not taken. An attempt keeps its own."""
        if self.routing is not None:
            return self.routing
        decided = self.attempts.order_by("-number").values_list("routing", flat=True)
        return decided.first()

    @property
    def held_by(self) -> str:
        """What holds the task itself, or else all queued tasks of its run; empty where nothing does."""
        if self.status not in ACTIVE:
            return ""
        if self.waiting_reason or self.status != Status.QUEUED:
            return self.waiting_reason
        return "the run is paused" if self.run.paused_at else self.run.waiting_reason


class Attempt(models.Model):
    """One paid submit to one provider. Its id is the token that goes along where a provider takes one."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, related_name="attempts", db_index=False
    )
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    phase = models.CharField(max_length=16, choices=Phase.choices, default=Phase.SENDING)
    provider_id = models.CharField(max_length=64)
    provider_model_id = models.CharField(max_length=255)
    provider_job_id = models.CharField(max_length=512, null=True, blank=True)  # noqa: DJ001 - unique when present
    output = models.JSONField(
        null=True, blank=True, help_text="Where the provider keeps the finished video."
    )
    links = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="What its acceptance said beside the id."
    )
    prompt = models.TextField()
    seconds = models.PositiveSmallIntegerField(
        help_text="Asked for and billed; the wish stands in the routing."
    )
    routing = models.JSONField(
        null=True, blank=True, help_text="The decision that this attempt came from."
    )
    options = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="The provider model's options as they were sent.",
    )
    sent_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="A job not done by then has timed out."
    )
    error_code = models.CharField(max_length=32, blank=True)
    error_msg = models.TextField(blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    provider_code = models.CharField(
        max_length=64, blank=True, db_default="", help_text="The provider's own word for the error."
    )
    possibly_billed = models.BooleanField(default=False)
    asked = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Look-ups or re-sends since its answer was lost."
    )
    cancel_asked_at = models.DateTimeField(null=True, blank=True)
    cost = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, blank=True, help_text="US dollars."
    )

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="attempt_number_is_unique"),
            models.UniqueConstraint(
                fields=["task"], condition=Q(phase__in=LIVE), name="one_live_attempt_a_task"
            ),
            models.UniqueConstraint(
                fields=["provider_job_id", "provider_id"],
                condition=Q(provider_job_id__isnull=False),
                name="a_job_belongs_to_one_attempt",
            ),
            models.CheckConstraint(condition=Q(number__gte=1), name="attempts_count_from_one"),
            models.CheckConstraint(
                condition=Q(provider_job_id__isnull=False, accepted_at__isnull=False)
                | Q(provider_job_id__isnull=True, accepted_at__isnull=True)
                & ~Q(phase__in=WITH_A_JOB),
                name="accepted_means_a_job",
            ),
            models.CheckConstraint(
                condition=~Q(phase=Phase.ACCEPTED) | Q(deadline_at__isnull=False),
                name="no_job_is_waited_for_for_ever",
            ),
            models.CheckConstraint(
                condition=Q(phase__in=IN_FLIGHT, finished_at__isnull=True)
                | Q(phase=Phase.DOWNLOADING, output__isnull=False)
                | Q(phase__in=OVER, finished_at__isnull=False),
                name="attempt_that_is_over_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(phase=Phase.AMBIGUOUS, possibly_billed=True)
                | Q(phase=Phase.ABANDONED)
                | ~Q(phase=Phase.AMBIGUOUS) & Q(possibly_billed=False),
                name="only_lost_answers_possibly_billed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["run", "provider_id"],
                condition=Q(phase__in=IN_FLIGHT),
                name="attempt_in_flight",
            ),
            models.Index(fields=["provider_id", "finished_at"], name="attempt_latency"),
            models.Index(fields=["provider_id", "sent_at"], name="attempt_rate"),
            models.Index(fields=["sent_at"], condition=Q(phase="ambiguous"), name="attempt_open"),
            models.Index(fields=["-sent_at", "-id"], name="attempt_newest"),
            models.Index(
                fields=["-sent_at", "-id"],
                condition=Q(possibly_billed=True),
                name="attempt_possibly_billed",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"

    @property
    def job(self) -> Job:
        return Job(self.provider_job_id or "", self.provider_model_id, self.links)


class _OpenDecisions(models.Manager["Decision"]):
    def get_queryset(self) -> models.QuerySet["Decision"]:
        # What is ambiguous is possibly billed, by a constraint above; said here for the sake of a small index.
        waiting = {"possibly_billed": True, "phase": Phase.AMBIGUOUS, "task__status": Status.FAILED}
        return super().get_queryset().filter(**waiting)


class Decision(Attempt):
    """An attempt of which nobody but a person can tell what came of it, for as long as it waits for that word."""

    objects: ClassVar[_OpenDecisions] = _OpenDecisions()

    class Meta:
        proxy = True
        ordering = ["sent_at", "id"]
        default_permissions = ("view", "change")


class Notice(models.Model):
    """A verified webhook of a provider. It says that there is something to ask; the answer to a poll says what."""

    provider_id = models.CharField(max_length=64)
    event_id = models.CharField(max_length=255, help_text="The same in every delivery.")
    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="notices")
    job_id = models.CharField(max_length=512)
    received_at = models.DateTimeField(db_index=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["received_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "provider_id"], name="a_notice_is_taken_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["received_at"], condition=Q(handled_at__isnull=True), name="notice_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.event_id}"


class VideoFile(models.Model):
    """A stored take. Never overwritten; checked, hashed and on disk before this row exists."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="files")
    attempt = models.ForeignKey(
        Attempt,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="files",
        db_index=False,
    )
    reused_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    path = models.TextField(
        help_text="Relative to the data folder, or absolute below an output root."
    )
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    seconds = models.FloatField(null=True, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["attempt"],
                condition=Q(attempt__isnull=False),
                name="an_attempt_has_one_file",
            ),
            models.CheckConstraint(condition=Q(bytes__gt=0), name="a_take_is_not_empty"),
        ]

    def __str__(self) -> str:
        return self.path


class Event(models.Model):
    """The story of a run, append-only and without gaps: what moved, when, and why."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_index=False)
    number = models.PositiveBigIntegerField()
    task = models.ForeignKey(
        Task, null=True, blank=True, on_delete=models.CASCADE, related_name="events"
    )
    attempt_number = models.PositiveSmallIntegerField(null=True, blank=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=32)
    before = models.CharField(max_length=16, blank=True)
    after = models.CharField(max_length=16, blank=True)
    why = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="event_number_is_unique"),
            models.CheckConstraint(condition=Q(number__gte=1), name="events_count_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"


class Heartbeat(models.Model):
    """When a worker's sweep last turned; the readiness check reads the newest."""

    worker = models.CharField(primary_key=True, max_length=128)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return self.worker
