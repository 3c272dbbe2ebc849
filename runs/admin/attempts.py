"""Attempts (one a paid call: what was sent to whom, what became of it), and workers' heartbeats."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from providers.models import Provider
from runs.admin import routes, search, shown
from runs.admin.lists import (
    CalendarQuerySet,
    ReadOnlyAdmin,
    ReadOnlyInline,
    Rows,
    RunFilter,
    one_of,
    words,
)
from runs.models import LIVE, Attempt, Heartbeat, Phase

_MOVING = set(LIVE) - {Phase.AMBIGUOUS}


def providers() -> list[tuple[str, str]]:
    return list(Provider.objects.values_list("id", "display_name"))


class AttemptFacts:
    """How an attempt is shown, in its task and in lists of its own."""

    @admin.display(description="phase")
    def state(self, attempt: Attempt) -> SafeString:
        return shown.badge(attempt.phase, str(Phase(attempt.phase).label))

    @admin.display
    def provider(self, attempt: Attempt) -> SafeString:
        return shown.together(attempt.provider_id, attempt.provider_model_id)

    @admin.display(description="job id")
    def job(self, attempt: Attempt) -> SafeString | str:
        return shown.mono(attempt.provider_job_id) if attempt.provider_job_id else shown.NOTHING

    @admin.display(ordering="sent_at")
    def sent(self, attempt: Attempt) -> SafeString | str:
        return shown.moment(attempt.sent_at)

    @admin.display
    def accepted(self, attempt: Attempt) -> SafeString | str:
        return shown.moment(attempt.accepted_at)

    @admin.display
    def finished(self, attempt: Attempt) -> SafeString | str:
        return shown.moment(attempt.finished_at)

    @admin.display
    def deadline(self, attempt: Attempt) -> SafeString | str:
        return shown.moment(attempt.deadline_at)

    @admin.display
    def took(self, attempt: Attempt) -> str:
        if attempt.finished_at is None and attempt.phase not in _MOVING:
            return shown.NOTHING
        return shown.span(attempt.sent_at, attempt.finished_at or timezone.now())

    @admin.display(description="error")
    def trouble(self, attempt: Attempt) -> SafeString | str:
        return shown.error(attempt)

    @admin.display(description="error")
    def trouble_in_short(self, attempt: Attempt) -> SafeString | str:
        return shown.error(attempt, clip=True)

    @admin.display(description="cost")
    def price(self, attempt: Attempt) -> str:
        return shown.NOTHING if attempt.cost is None else shown.dollars(attempt.cost)

    @admin.display
    def token(self, attempt: Attempt) -> SafeString:
        return shown.mono(attempt.pk)

    @admin.display(description="prompt as sent")
    def prompt_text(self, attempt: Attempt) -> SafeString | str:
        return shown.text(attempt.prompt)

    @admin.display(description="decision")
    def decision(self, attempt: Attempt) -> SafeString | str:
        return routes.table(attempt.routing)

    @admin.display(description="where the video is")
    def finished_video(self, attempt: Attempt) -> SafeString | str:
        return shown.document(attempt.output)


class AttemptInline(AttemptFacts, ReadOnlyInline):
    model = Attempt
    show_change_link = True
    fields = ("state", "provider", "job", "times", "trouble", "price", "more")

    @admin.display
    def times(self, attempt: Attempt) -> SafeString:
        told = (
            ("sent", self.sent(attempt)),
            ("accepted", self.accepted(attempt)),
            ("finished", self.finished(attempt)),
            ("deadline", self.deadline(attempt)),
            ("took", self.took(attempt)),
        )
        return shown.facts([(name, value) for name, value in told if value != shown.NOTHING])

    @admin.display
    def more(self, attempt: Attempt) -> SafeString:
        told = [("token", self.token(attempt)), ("seconds", attempt.seconds)]
        folded = format_html(
            "<details><summary>Prompt</summary>{}</details>", self.prompt_text(attempt)
        )
        return shown.together(shown.facts(told), folded, routes.folded(attempt.routing))


@admin.register(Attempt)
class AttemptAdmin(AttemptFacts, ReadOnlyAdmin):
    list_display = (
        "sent",
        "state",
        "provider",
        "job",
        "of_task",
        "of_run",
        "trouble_in_short",
        "price",
        "took",
    )
    list_filter = (
        RunFilter,
        one_of("phase", lambda: words(Phase.values)),
        one_of("provider_id", providers),
        "possibly_billed",
    )
    list_select_related = ("task", "run")
    wide = (
        "prompt",
        "output",
        "routing",
        "task__snapshot",
        "task__routing",
        "task__full_prompt",
        "task__failed_providers",
        "run__range",
        "run__output_folder",
    )
    date_hierarchy = "sent_at"
    ordering = ("-sent_at", "-id")
    sortable_by = ("sent",)
    search_fields = ("provider_job_id",)
    search_help_text = "A provider's job id, the attempt's token, or the id of a task or run."
    fieldsets = (
        (None, {"fields": ("token", ("number", "state"), ("of_task", "of_run"), "trouble")}),
        (
            "Provider",
            {
                "fields": (
                    ("provider", "job"),
                    ("seconds", "price", "possibly_billed"),
                    "finished_video",
                )
            },
        ),
        ("Times", {"fields": (("sent", "accepted", "finished", "deadline", "took"),)}),
        ("Routing", {"fields": ("decision",)}),
        ("Prompt", {"fields": ("prompt_text",)}),
    )

    def get_queryset(self, request: HttpRequest) -> Rows:
        return CalendarQuerySet(Attempt)

    def get_search_results(
        self, request: HttpRequest, queryset: Rows, search_term: str
    ) -> tuple[Rows, bool]:
        wanted = search_term.strip()
        return (queryset.filter(search.attempts(wanted)) if wanted else queryset), False

    @admin.display(description="task")
    def of_task(self, attempt: Attempt) -> SafeString:
        return shown.task_link(attempt.task_id, attempt.task)

    @admin.display(description="run")
    def of_run(self, attempt: Attempt) -> SafeString:
        return shown.run_link(attempt.run_id, shown.clipped(attempt.run.storyboard_name))


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("worker", "seen", "ago")
    list_display_links = None
    sortable_by = ()

    @admin.display(description="last turn of its sweep")
    def seen(self, beat: Heartbeat) -> SafeString | str:
        return shown.moment(beat.at)

    @admin.display
    def ago(self, beat: Heartbeat) -> str:
        return shown.span(beat.at, timezone.now())
