"""The catalogue and the clients' reports, for whoever runs this installation."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timeuntil

from providers import catalogue, registry
from providers.models import (
    DURATIONS,
    RESOLUTIONS,
    ClientEvent,
    Holdable,
    Provider,
    ProviderModel,
    Route,
    VideoModel,
)

EVENT_TYPES = ("ui_error", "api_error", "task_error", "i18n_error")


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    supported_durations = forms.TypedMultipleChoiceField(
        choices=[(seconds, f"{seconds} s") for seconds in DURATIONS],
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
    )
    supported_resolutions = forms.MultipleChoiceField(
        choices=[(word, word) for word in RESOLUTIONS], widget=forms.CheckboxSelectMultiple
    )


class OnlyChangedFields(admin.ModelAdmin):  # type: ignore[type-arg]
    """Django saves whole rows: it would undo what was written since the page was opened."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for row, names in formset.changed_objects:
            row.save(update_fields=names)
        for row in formset.new_objects:
            row.save()
        for row in formset.deleted_objects:
            row.delete()


def _hold(row: Holdable) -> str | None:
    now = timezone.now()
    until, reason = row.held_until(now), row.reason(now)
    if until is None:
        return f"over; it was: {reason}" if reason else None
    return f"{timeuntil(until, now)} left: {reason or 'no reason was given'}"


class ProviderModelInline(admin.TabularInline):  # type: ignore[type-arg]
    model = ProviderModel
    extra = 0
    # The engine's to write; a release clears them.
    exclude = ("not_before", "hold_reason", "trips")
    readonly_fields = ("breaker", "hold")
    verbose_name = "model of this provider"
    verbose_name_plural = "models, under the names that this provider knows"

    @admin.display(description="breaker")
    def breaker(self, model: ProviderModel) -> str:
        return str(model.breaker(timezone.now()).label)

    @admin.display(description="hold", empty_value="none")
    def hold(self, model: ProviderModel) -> str | None:
        return _hold(model)


@admin.register(Provider)
class ProviderAdmin(OnlyChangedFields):
    form = ProviderForm
    inlines = (ProviderModelInline,)
    list_display = (
        "display_name",
        "id",
        "enabled",
        "priority",
        "weight",
        "key_configured",
        "breaker",
        "hold",
    )
    list_editable = ("enabled", "priority", "weight")
    list_filter = ("enabled",)
    search_fields = ("id", "display_name")
    readonly_fields = ("id", "key_configured", "breaker", "hold")
    fieldsets = (
        (None, {"fields": ("id", "display_name", "enabled", "key_configured")}),
        ("Routing", {"fields": ("priority", "weight")}),
        ("Limits", {"fields": (("max_in_flight", "max_per_minute"), "breaker", "hold")}),
        ("When an answer is lost, or a run canceled", {"fields": ("recovery", "can_cancel")}),
        (
            "What it can make",
            {
                "fields": (
                    "supported_durations",
                    "supported_resolutions",
                    "supports_image_to_video",
                    "supports_pro",
                )
            },
        ),
    )
    actions = ("release_the_hold",)
    show_full_result_count = False

    @admin.display(description="key configured", boolean=True)
    def key_configured(self, provider: Provider) -> bool:
        return registry.is_configured(provider.pk)

    @admin.display(description="hold", ordering="not_before", empty_value="none")
    def hold(self, provider: Provider) -> str | None:
        return _hold(provider)

    @admin.display(description="breaker", ordering="trips")
    def breaker(self, provider: Provider) -> str:
        return str(provider.breaker(timezone.now()).label)

    @admin.action(description="Release the hold", permissions=["change"])
    def release_the_hold(self, request: HttpRequest, providers: QuerySet[Provider]) -> None:
        released = catalogue.release_hold(providers)
        self.message_user(request, f"Holds released: {released}.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A provider is code, an adapter, and comes with the version that brings it.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Provider | None = None) -> bool:
        # Its history names it; switching it off has the same effect.
        return False


class RouteInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Route
    extra = 0
    verbose_name = "provider's model"
    verbose_name_plural = "who can make it; a lower position is tried first within its provider"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        return super().get_queryset(request).select_related("provider_model")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        field: Any = formset.form.base_fields["provider_model"]
        # Read once: each row would ask for the same list of choices again.
        field.choices = [*field.choices]
        return formset


@admin.register(VideoModel)
class VideoModelAdmin(OnlyChangedFields):
    inlines = (RouteInline,)
    list_display = ("display_name", "id", "enabled", "priority", "made_by")
    list_editable = ("enabled", "priority")
    list_filter = ("enabled",)
    search_fields = ("id", "display_name")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[VideoModel]:
        return catalogue.with_routes(super().get_queryset(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Changing a primary key would make a second model.
        return ("id",) if obj else ()

    @admin.display(description="made by")
    def made_by(self, model: VideoModel) -> str:
        parts = catalogue.provider_map(model).items()
        return "; ".join(f"{provider}: {', '.join(names)}" for provider, names in parts)


class EventTypeFilter(admin.SimpleListFilter):
    """The known words; Django's own filter reads them from all rows, each time."""

    title = "event type"
    parameter_name = "event_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in EVENT_TYPES]

    def queryset(self, request: HttpRequest, rows: QuerySet[ClientEvent]) -> QuerySet[ClientEvent]:
        return rows.filter(event_type=self.value()) if self.value() else rows


@admin.register(ClientEvent)
class ClientEventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("received_at", "event_type", "severity", "message", "event_id")
    list_filter = (EventTypeFilter,)
    date_hierarchy = "received_at"
    search_fields = (
        "event_id",
        "body__message",
        "body__error_code",
        "body__run_id",
        "body__task_id",
    )
    search_help_text = "The event's id, or words of its message, error code, run id or task id."
    fields = ("received_at", "event_type", "event_id", "whole_event")
    show_full_result_count = False

    @admin.display(description="severity", empty_value="")
    def severity(self, event: ClientEvent) -> str | None:
        severity: str | None = event.body.get("severity")
        return severity

    @admin.display(description="message")
    def message(self, event: ClientEvent) -> str:
        return (event.body.get("message") or "")[:200]

    @admin.display(description="as it was sent")
    def whole_event(self, event: ClientEvent) -> str:
        return format_html("<pre>{}</pre>", json.dumps(event.body, indent=2, ensure_ascii=False))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ClientEvent | None = None) -> bool:
        return False
