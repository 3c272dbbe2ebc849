"""What only a person can tell: paid calls whose answer was lost, and the three ways to go on with each."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from cineflow.core import clock
from cineflow.core.errors import DomainError
from runs import decisions
from runs.admin import actions, events, search, shown
from runs.admin.attempts import AttemptFacts, providers
from runs.admin.lists import ReadOnlyAdmin, Rows, RunFilter, one_of
from runs.decisions import Action
from runs.models import Attempt, Decision, Phase, Task
from runs.steps.recover import Sighting
from runs.tasks import hint

_START_OF_A_PROMPT = 300  # characters, in lists
_MOST_SIGHTINGS = 50
_SHORT = 40  # characters; what is longer is clipped
_LIST = "admin:runs_decision_changelist"
_CONFIRMATION = "admin/runs/decision/confirmation.html"

_DONE = {
    "adopt": "adopted: its job is followed from here on",
    "submit_again": "submitted again",
    "give_up": "given up",
}


# ---- for several at once -------------------------------------------------------------------------


@admin.action(description="Submit again…", permissions=["operate"])
def submit_again(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Decision]
) -> TemplateResponse | None:
    rows = _chosen(request, queryset)
    if not rows or "confirmed" in request.POST:
        _decide(request, rows, "submit_again")
        return None
    text = (
        f"Each of these shots is submitted, and paid, once more{_together(rows)}. Where the lost job was "
        "made after all, that one was paid for nothing.",
        "First look whether the provider has the job: adopting it costs nothing more.",
    )
    return actions.confirmation(
        model_admin, request, rows, "submit_again", "Submit again", text, _CONFIRMATION
    )


@admin.action(description="Give up…", permissions=["operate"])
def give_up(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Decision]
) -> TemplateResponse | None:
    rows = _chosen(request, queryset)
    if not rows or "confirmed" in request.POST:
        _decide(request, rows, "give_up")
        return None
    text = (
        "Nothing more is asked or paid, and the tasks stay failed. The lost jobs may be on the bill all "
        f"the same{_together(rows)}.",
        "A task can be retried later, which makes another job.",
    )
    return actions.confirmation(
        model_admin, request, rows, "give_up", "Give up", text, _CONFIRMATION
    )


def _chosen(request: HttpRequest, queryset: QuerySet[Decision]) -> list[Decision]:
    """Those that are still open; the others are told of."""
    rows = list(queryset[: actions.MOST_CONFIRMED])
    wanted = len(request.POST.getlist("_selected_action")[: actions.MOST_CONFIRMED])
    if wanted > len(rows):
        told = (
            f"{_attempts(wanted - len(rows))} of the chosen ones: a decision is no longer awaited."
        )
        messages.warning(request, told)
    return rows


def _together(rows: Sequence[Decision]) -> str:
    known = [row.stake for row in rows if row.stake is not None]  # type: ignore[attr-defined]
    if not known:
        return ""
    more = f", and {len(rows) - len(known)} of unknown price" if len(known) < len(rows) else ""
    return f" (about {shown.dollars(sum(known))}{more})"


def _decide(
    request: HttpRequest, rows: Sequence[Decision], action: Action, job_id: str | None = None
) -> None:
    """What is carried out, and a plain word on each that is not."""
    decided, refused = [], Counter[str]()
    for row in rows:
        try:
            decisions.decide(row.task_id, action, attempt_id=row.pk, job_id=job_id, now=clock.now())
        except DomainError as refusal:
            refused[_why(refusal)] += 1
        else:
            decided.append(row.task_id)
    hint()
    _tell(request, decided, refused, action)
    named = f" ({job_id})" if job_id else ""
    actions.log(request, Task.objects.filter(pk__in=decided), f"Decided: {action}{named}.")


def _why(refusal: DomainError) -> str:
    problems = (refusal.details or {}).get("errors", [])
    return " ".join(found["msg"] for found in problems) or refusal.message


def _tell(
    request: HttpRequest, decided: Sequence[UUID], refused: Counter[str], action: Action
) -> None:
    if decided:
        messages.success(request, f"{_attempts(len(decided))} {_DONE[action]}.")
    for why, number in refused.items():
        messages.error(request, f"{_attempts(number)} left as it was: {why}")


def _attempts(number: int) -> str:
    return f"{number:,} attempt{'' if number == 1 else 's'}"


# ---- the pages -----------------------------------------------------------------------------------


class AdoptForm(forms.Form):
    provider_job_id = forms.CharField(label="The job's id", max_length=512)


@admin.register(Decision)
class DecisionAdmin(AttemptFacts, ReadOnlyAdmin):
    list_display = (
        *("what", "sent_and_age", "provider_and_length", "prompt_in_short"),
        *("price_at_stake", "what_came"),
    )
    list_display_links = None
    list_filter = (RunFilter, one_of("provider_id", providers))
    wide = (
        *("prompt", "output", "links", "options"),
        *("task__snapshot", "task__routing", "task__full_prompt", "task__failed_providers"),
        *("run__range", "run__output_folder"),
    )
    ordering = ("sent_at", "id")
    sortable_by = ("sent_and_age", "price_at_stake")
    search_fields = ("task__id",)
    search_help_text = "The id of a task or run, or the attempt's token."
    actions = (submit_again, give_up)
    fieldsets = (
        (None, {"fields": (("of_run", "of_task"), "trouble", "price_at_stake")}),
        (
            "What was sent",
            {
                "fields": (
                    ("provider", "seconds", "sent_and_age"),
                    ("number", "token", "asked"),
                    "prompt_text",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Rows:
        rows = decisions.with_stakes(decisions.open_decisions())
        return rows.annotate(prompt_start=Left("prompt", _START_OF_A_PROMPT))

    def get_search_results(
        self, request: HttpRequest, queryset: Rows, search_term: str
    ) -> tuple[Rows, bool]:
        wanted = search_term.strip()
        return (queryset.filter(search.attempts(wanted)) if wanted else queryset), False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.adopt_view)
        own: list[URLPattern] = [path("<uuid:key>/adopt/", view, name="runs_decision_adopt")]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        at_stake = shown.stakes(decisions.stakes(decisions.open_decisions()))
        return super().changelist_view(request, {"stakes": at_stake, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if (
            self.has_view_permission(request)
            and self.get_object(request, unquote(object_id)) is None
        ):
            return _is_over(request, unquote(object_id))
        return super().change_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        attempt: Decision = kwargs["obj"]
        may_decide = self.has_operate_permission(request)
        context |= {
            "title": f"Decide: {attempt.run.storyboard_name} {attempt.task}",
            "subtitle": None,
            "events": events.page(attempt.task.events.all()),
            "events_url": reverse("admin:runs_task_events", args=[attempt.task_id]),
            "list_url": reverse(_LIST),
            "may_decide": may_decide,
            "price": _together([attempt]),
            "found": _found(attempt) if may_decide and "look" in request.GET else None,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def adopt_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        """One job is named for one attempt: first to be confirmed, then carried out."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        attempt = self.get_queryset(request).filter(pk=key).first()
        if attempt is None:
            return _is_over(request, str(key))
        form = AdoptForm(request.POST)
        if not form.is_valid():
            messages.error(request, "To adopt a job, name it, as the provider's own list shows it.")
            return redirect("admin:runs_decision_change", key)
        job_id = form.cleaned_data["provider_job_id"]
        if "confirmed" not in request.POST:
            return self._confirm_adoption(request, attempt, job_id)
        _decide(request, [attempt], "adopt", job_id)
        return redirect(_LIST)

    def _confirm_adoption(
        self, request: HttpRequest, attempt: Decision, job_id: str
    ) -> TemplateResponse:
        text = (
            f"The job {job_id} of {attempt.provider_id} becomes this attempt's. It is followed like any "
            "other from here on, and its video is fetched. Nothing is submitted or paid.",
            "If the provider does not know it, the task fails again and says so.",
        )
        more = {
            "provider_job_id": job_id,
            "back": reverse("admin:runs_decision_change", args=[attempt.pk]),
        }
        return actions.confirmation(
            self, request, [attempt], "adopt", "Adopt a job", text, _CONFIRMATION, more
        )

    # ---- columns and fields

    @admin.display(description="sent", ordering="sent_at")
    def sent_and_age(self, attempt: Decision) -> SafeString:
        age = shown.span(attempt.sent_at, timezone.now())
        return shown.together(self.sent(attempt), shown.quiet(f"{age} ago"))

    @admin.display(description="decide about")
    def what(self, attempt: Decision) -> SafeString:
        url = reverse("admin:runs_decision_change", args=[attempt.pk])
        return shown.together(shown.link(url, attempt.task), self.of_run(attempt))

    @admin.display(description="what came back")
    def what_came(self, attempt: Decision) -> SafeString:
        http_status = f"HTTP {attempt.http_status}: " if attempt.http_status else ""
        return shown.clipped(f"{http_status}{attempt.error_msg}")

    @admin.display(description="task")
    def of_task(self, attempt: Decision) -> SafeString:
        return shown.task_link(attempt.task_id, attempt.task)

    @admin.display(description="run")
    def of_run(self, attempt: Decision) -> SafeString:
        return shown.run_link(attempt.run_id, shown.clipped(attempt.run.storyboard_name))

    @admin.display(description="provider")
    def provider_and_length(self, attempt: Decision) -> SafeString:
        return shown.together(self.provider(attempt), shown.quiet(f"{attempt.seconds} s"))

    @admin.display(description="prompt")
    def prompt_in_short(self, attempt: Any) -> SafeString:
        return shown.clipped(attempt.prompt_start)

    @admin.display(description="at stake", ordering="stake")
    def price_at_stake(self, attempt: Any) -> str:
        return shown.NOTHING if attempt.stake is None else f"about {shown.dollars(attempt.stake)}"


def _is_over(request: HttpRequest, key: str) -> HttpResponseRedirect:
    """Somebody decided, or the job was found after all."""
    token = search.uuid(key)
    attempt = Attempt.objects.select_related("task").filter(pk=token).first() if token else None
    if attempt is None:
        messages.error(request, "There is no such attempt.")
    else:
        phase = Phase(attempt.phase).label
        told = f"{attempt.task}: a decision is no longer awaited, the attempt is {phase}."
        messages.warning(request, told)
    return HttpResponseRedirect(reverse(_LIST))


# ---- what the provider's own list shows ----------------------------------------------------------


def _found(attempt: Decision) -> dict[str, Any]:
    found = decisions.look(attempt)
    if isinstance(found, str):
        return {"why": found}
    rows = [_sighting(attempt, seen) for seen in found[:_MOST_SIGHTINGS]]
    return {"rows": rows, "more": len(found) - len(rows)}


def _sighting(attempt: Decision, seen: Sighting) -> dict[str, Any]:
    made = datetime.fromtimestamp(seen.job.created_at, UTC)
    return {
        "job_id": seen.job.job_id,
        "made": shown.moment(made),
        "matches": seen.matches,
        "facts": shown.facts([(name, _short(value)) for name, value in seen.job.facts.items()]),
    }


def _short(value: str) -> SafeString | str:
    return value if len(value) < _SHORT else shown.clipped(value)
