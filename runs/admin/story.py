"""The page of what has a story: its newest events, a way to all of them, and buttons."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from runs.admin import events
from runs.admin.lists import ReadOnlyAdmin

_LARGEST = 2**63 - 1


class StoryAdmin(ReadOnlyAdmin):
    buttons: tuple[
        tuple[str, str], ...
    ] = ()  # actions that the detail page offers, with their labels

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.events_view)
        own: list[URLPattern] = [path("<uuid:key>/events/", view, name=self._events_name())]
        return own + super().get_urls()

    def _events_name(self) -> str:
        return f"runs_{self.opts.model_name}_events"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs["obj"]
        context |= {
            "events": events.page(row.events.all()),
            "events_url": reverse(f"admin:{self._events_name()}", args=[row.pk]),
            "list_url": self.list_url(row),
            "buttons": self.buttons_for(row) if self.has_operate_permission(request) else (),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def list_url(self, row: Any) -> str:
        """Where an action started from the detail page ends."""
        return reverse(f"admin:runs_{self.opts.model_name}_changelist")

    def buttons_for(self, row: Any) -> tuple[tuple[str, str], ...]:
        return self.buttons

    def events_view(self, request: HttpRequest, key: UUID) -> HttpResponse:
        row = get_object_or_404(self.model, pk=key)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        start = _number(request.GET.get("before", ""))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Events of {row.public_id}",
            "opts": self.opts,
            "original": row,
            "media": self.media,
            "events": events.page(row.events.all(), before=start),
            "is_newest": start is None,
        }
        return TemplateResponse(request, "admin/runs/all_events.html", context)


def _number(text: str) -> int | None:
    fits = text.isascii() and text.isdecimal() and len(text) < 20
    return min(int(text), _LARGEST) if fits else None
