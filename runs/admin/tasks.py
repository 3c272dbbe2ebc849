"""Tasks: usually those of one run; all of them, a million perhaps, from the newest on."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cineflow.api.auth import signed
from cineflow.core import ids
from providers.errors import Code
from runs.admin import actions, routes, search, shown
from runs.admin.attempts import AttemptInline, providers
from runs.admin.lists import ReadOnlyInline, Rows, RunFilter, one_of, run_of, words
from runs.admin.story import StoryAdmin
from runs.models import ENDED, Decision, Status, Step, Task, VideoFile


def _steps() -> list[tuple[str, str]]:
    return [(step.value, str(step.label).lower()) for step in Step if step.value]


class FileInline(ReadOnlyInline):
    model = VideoFile
    fk_name = "task"
    verbose_name_plural = "stored files"
    fields = ("file", "size", "facts", "made_by", "stored")

    @admin.display
    def file(self, video: VideoFile) -> SafeString:
        return shown.together(shown.mono(video.path), shown.mono(f"sha256 {video.sha256}"))

    @admin.display(description="bytes")
    def size(self, video: VideoFile) -> str:
        return f"{video.bytes:,}"

    @admin.display
    def facts(self, video: VideoFile) -> str:
        length = f"{video.seconds:g} s" if video.seconds else ""
        size = f"{video.width} × {video.height}" if video.width else ""
        return ", ".join(fact for fact in (length, size) if fact) or shown.NOTHING

    @admin.display
    def made_by(self, video: VideoFile) -> str:
        return "an attempt" if video.attempt_id else "reuse of an earlier take"

    @admin.display
    def stored(self, video: VideoFile) -> SafeString | str:
        return shown.moment(video.created_at)


@admin.register(Task)
class TaskAdmin(StoryAdmin):
    list_display = (
        "short_id",
        "take_name",
        "state_and_step",
        "made_by",
        "trouble_in_short",
        "of_run",
        "updated",
    )
    list_filter = (
        RunFilter,
        one_of("status", lambda: words(Status.values)),
        one_of("error_code", lambda: words(Code)),
        one_of("step", _steps),
        one_of("provider_id", providers),
        "possibly_billed",
    )
    list_select_related = ("run",)
    wide = (
        "snapshot",
        "routing",
        "full_prompt",
        "failed_providers",
        "run__range",
        "run__output_folder",
    )
    search_fields = ("segment_uuid",)
    search_help_text = "The id of a task, run or segment, or a provider's job id."
    actions = (actions.retry, actions.retry_accepting)
    inlines = (AttemptInline, FileInline)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "public_id",
                    "run_and_name",
                    ("take_name", "segment_id"),
                    ("state", "doing"),
                    ("trouble", "to_decide"),
                    "video_link",
                )
            },
        ),
        ("Provider", {"fields": ("made_by", "decision")}),
        ("Prompt and segment", {"fields": ("prompt", "segment"), "classes": ("collapse",)}),
        ("Times", {"fields": (("created", "started", "finished", "updated", "took"),)}),
        (
            "Engine",
            {
                "fields": (
                    ("step", "due_at", "lease_until", "fence"),
                    ("attempt_count", "tries", "errors_in_a_row", "failed_providers"),
                    *(("cancel_requested_at", "retryable", "possibly_billed"), "fingerprint"),
                ),
                "classes": ("collapse",),
            },
        ),
    )

    # ---- the list

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Along an index: a run's as in its storyboard, else newest first (ids sort by time)."""
        return ("run_id", "segment_index", "take") if "run" in request.GET else ("-id",)

    def get_sortable_by(self, request: HttpRequest) -> tuple[str, ...]:
        # One run's tasks are sorted in no time; a million are not.
        return ("take_name", "state_and_step", "updated") if "run" in request.GET else ()

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        of_one_run = "run" in request.GET
        return tuple(name for name in self.list_display if not (of_one_run and name == "of_run"))

    def get_search_results(
        self, request: HttpRequest, queryset: Rows, search_term: str
    ) -> tuple[Rows, bool]:
        wanted = search_term.strip()
        return (queryset.filter(search.tasks(wanted)) if wanted else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        run = run_of(request)
        about = (
            {"title": f"Tasks of {run.storyboard_name}", "run": run, "run_bar": shown.bar(run)}
            if run
            else {}
        )
        return super().changelist_view(request, {**about, **(extra_context or {})})

    # ---- the detail page

    def list_url(self, row: Task) -> str:
        return shown.tasks_url(row.run)

    def buttons_for(self, row: Task) -> tuple[tuple[str, str], ...]:
        if row.status not in ENDED:
            return ()
        if row.possibly_billed:
            return (("retry_accepting", "Retry, paying again perhaps…"),)
        return (("retry", "Retry"),)

    # ---- columns and fields

    @admin.display(description="id")
    def short_id(self, task: Task) -> SafeString:
        return shown.short_id("task", task.pk)

    @admin.display(description="id")
    def public_id(self, task: Task) -> SafeString:
        return shown.mono(task.public_id)

    @admin.display(description="segment, take", ordering="segment_index")
    def take_name(self, task: Task) -> str:
        return str(task)

    @admin.display(description="segment's id")
    def segment_id(self, task: Task) -> SafeString:
        return shown.mono(ids.show("seg", task.segment_uuid))

    @admin.display(description="status", ordering="status")
    def state(self, task: Task) -> SafeString:
        return shown.badge(task.status)

    @admin.display(description="status", ordering="status")
    def state_and_step(self, task: Task) -> SafeString:
        return shown.together(
            self.state(task), "" if task.status in ENDED else shown.quiet(self.doing(task))
        )

    @admin.display
    def doing(self, task: Task) -> str:
        """The next step and what it waits for, or how far the provider says it is."""
        if task.status in ENDED:
            return shown.NOTHING
        step = str(Step(task.step).label).lower()
        progress = f"{task.progress} %" if task.progress is not None else ""
        wish = "cancel asked for" if task.cancel_requested_at else ""
        return " · ".join(part for part in (step, progress, task.held_by, wish) if part)

    @admin.display(description="provider, attempts")
    def made_by(self, task: Task) -> SafeString | str:
        number = (
            f"{task.attempt_count} attempt{'' if task.attempt_count == 1 else 's'}"
            if task.attempt_count
            else ""
        )
        name = f"{task.provider_id} {task.provider_model_id}".strip()
        return shown.together(name, shown.quiet(number) if number else "") or shown.NOTHING

    @admin.display(description="error")
    def trouble(self, task: Task) -> SafeString | str:
        return shown.error(task)

    @admin.display(description="decision")
    def to_decide(self, task: Task) -> SafeString | str:
        key = Decision.objects.filter(task=task).values_list("pk", flat=True).first()
        if key is None:
            return shown.NOTHING
        return shown.link(reverse("admin:runs_decision_change", args=[key]), "Decide how to go on")

    @admin.display(description="error")
    def trouble_in_short(self, task: Task) -> SafeString | str:
        return shown.error(task, clip=True)

    @admin.display(description="run")
    def of_run(self, task: Task) -> SafeString:
        return shown.run_link(task.run_id, shown.clipped(task.run.storyboard_name))

    @admin.display(description="run")
    def run_and_name(self, task: Task) -> SafeString:
        return shown.together(self.of_run(task), shown.mono(task.run.public_id))

    @admin.display(description="video")
    def video_link(self, task: Task) -> SafeString | str:
        if not task.video_id:
            return shown.NOTHING
        url = signed(f"/api/v1/tasks/{task.public_id}/download")
        player = '<video class="cf-video" controls preload="metadata" src="{}"></video>'
        return shown.together(format_html(player, url), shown.link(url, "Open the video"))

    @admin.display(description="routing")
    def decision(self, task: Task) -> SafeString | str:
        return routes.table(task.newest_routing)

    @admin.display(description="full prompt")
    def prompt(self, task: Task) -> SafeString | str:
        return shown.text(task.full_prompt)

    @admin.display(description="segment as it was")
    def segment(self, task: Task) -> SafeString | str:
        return shown.document(task.snapshot)

    @admin.display
    def created(self, task: Task) -> SafeString | str:
        return shown.moment(task.created_at)

    @admin.display
    def started(self, task: Task) -> SafeString | str:
        return shown.moment(task.started_at)

    @admin.display
    def finished(self, task: Task) -> SafeString | str:
        return shown.moment(task.finished_at)

    @admin.display(ordering="updated_at")
    def updated(self, task: Task) -> SafeString | str:
        return shown.moment(task.updated_at)

    @admin.display
    def took(self, task: Task) -> str:
        return shown.span(task.started_at, task.finished_at or timezone.now())
