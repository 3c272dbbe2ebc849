"""What clients reported."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from providers.models import ClientEvent

EVENT_TYPES = ("ui_error", "api_error", "task_error", "i18n_error")


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
