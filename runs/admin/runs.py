"""Runs: what is going on, at a glance."""

from typing import Any, get_args

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from cineflow.core import ids
from providers.models import VideoModel
from providers.strategies import Strategy
from runs import decisions
from runs.admin import actions, search, shown
from runs.admin.lists import CalendarQuerySet, LeanList, Rows, one_of, words
from runs.admin.story import StoryAdmin
from runs.models import ACTIVE, Run, Status
from storyboards.models import Storyboard


def _models() -> list[tuple[str, str]]:
    return list(VideoModel.objects.values_list("id", "display_name"))


class RunList(LeanList):
    def get_results(self, request: HttpRequest) -> None:
        """One more question, for what waits for a decision in the runs of this page."""
        super().get_results(request)
        waiting = decisions.open_by_run([run.pk for run in self.result_list])
        for run in self.result_list:
            run.open_decisions = waiting.get(run.pk, 0)


@admin.register(Run)
class RunAdmin(StoryAdmin):
    list_display = (
        *("short_id", "storyboard_and_model", "state_and_decisions"),
        *("progress", "created", "took"),
    )
    list_filter = (
        one_of("status", lambda: words(Status.values)),
        "dry_run",
        one_of("model_id", _models),
        one_of("routing_strategy", lambda: words(get_args(Strategy))),
        "created_at",
    )
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    sortable_by = ("created",)
    wide = ("range", "output_folder", "output_path")
    search_fields = ("storyboard_name",)
    search_help_text = (
        "The id of a run, storyboard, segment or task, a provider's job id, or part of the "
        "storyboard's name."
    )
    actions = (actions.cancel, actions.retry_failed)
    fieldsets = (
        (None, {"fields": ("public_id", "state", "waiting", "decisions", "progress", "counts")}),
        (
            "What was asked for",
            {
                "fields": (
                    *(
                        "storyboard_and_id",
                        ("model_id", "routing_strategy", "conform", "provider"),
                        "range",
                    ),
                    ("gen_count", "concurrency", "options"),
                )
            },
        ),
        ("Files", {"fields": ("output_mode", "output_path", "folder"), "classes": ("collapse",)}),
        ("Times", {"fields": (("created", "started", "finished", "took"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> Rows:
        return CalendarQuerySet(Run)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RunList

    def get_search_results(
        self, request: HttpRequest, queryset: Rows, search_term: str
    ) -> tuple[Rows, bool]:
        wanted = search_term.strip()
        return (queryset.filter(search.runs(wanted)) if wanted else queryset), False

    def buttons_for(self, row: Run) -> tuple[tuple[str, str], ...]:
        cancel = (("cancel", "Cancel…"),) if row.status in ACTIVE else ()
        return cancel + (
            (("retry_failed", "Retry failed tasks"),) if row.failed or row.download_failed else ()
        )

    @admin.display(description="id")
    def short_id(self, run: Run) -> SafeString:
        return shown.short_id("run", run.pk)

    @admin.display(description="id")
    def public_id(self, run: Run) -> SafeString:
        return shown.mono(run.public_id)

    @admin.display(description="status")
    def state(self, run: Run) -> SafeString:
        return shown.together(
            shown.badge(run.status), shown.badge("dry_run") if run.dry_run else ""
        )

    @admin.display(description="status")
    def state_and_decisions(self, run: Any) -> SafeString:
        return shown.together(self.state(run), shown.to_decide(run.open_decisions, run))

    @admin.display(description="decisions")
    def decisions(self, run: Run) -> SafeString | str:
        number = decisions.open_by_run([run.pk]).get(run.pk, 0)
        return shown.to_decide(number, run) or shown.NOTHING

    @admin.display(description="waits for")
    def waiting(self, run: Run) -> str:
        return (run.queued and run.waiting_reason) or shown.NOTHING

    @admin.display
    def progress(self, run: Run) -> SafeString:
        return shown.bar(run)

    @admin.display(description="tasks")
    def counts(self, run: Run) -> SafeString:
        return shown.counts(run)

    @admin.display(description="storyboard, model")
    def storyboard_and_model(self, run: Run) -> SafeString:
        return shown.together(shown.clipped(run.storyboard_name), shown.quiet(run.model_id))

    @admin.display(description="storyboard")
    def storyboard_and_id(self, run: Run) -> SafeString:
        name: Any = run.storyboard_name
        if run.storyboard_id and self.admin_site.is_registered(Storyboard):
            name = shown.link(
                reverse("admin:storyboards_storyboard_change", args=[run.storyboard_id]), name
            )
        return shown.together(name, shown.mono(ids.show("sb", run.storyboard_uuid)))

    @admin.display(description="provider, for the manual strategy")
    def provider(self, run: Run) -> str:
        return run.provider_id or shown.NOTHING

    @admin.display
    def options(self, run: Run) -> str:
        chosen = (("dry run", run.dry_run), ("force: nothing is reused", run.force))
        return ", ".join(name for name, is_on in chosen if is_on) or shown.NOTHING

    @admin.display(description="output folder")
    def folder(self, run: Run) -> SafeString:
        return shown.mono(run.output_folder)

    @admin.display(ordering="created_at")
    def created(self, run: Run) -> SafeString | str:
        return shown.moment(run.created_at)

    @admin.display
    def started(self, run: Run) -> SafeString | str:
        return shown.moment(run.started_at)

    @admin.display
    def finished(self, run: Run) -> SafeString | str:
        return shown.moment(run.finished_at)

    @admin.display
    def took(self, run: Run) -> str:
        return shown.span(run.started_at, run.finished_at or timezone.now())
