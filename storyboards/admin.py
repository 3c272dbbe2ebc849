"""Storyboards to look at. They are written through the API, which knows the rules."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from cineflow.core import ids
from storyboards.models import Segment, Storyboard


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page that shows, and finds rows by their public id as well."""

    show_full_result_count = False
    id_prefix = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if key := ids.parse(self.id_prefix, search_term.strip()):
            return queryset.filter(pk=key), False
        return super().get_search_results(request, queryset, search_term)


@admin.register(Storyboard)
class StoryboardAdmin(ReadOnlyAdmin):
    id_prefix = "sb"
    list_display = ("name", "public_id", "created_at", "segment_count", "segments")
    search_fields = ("name",)
    search_help_text = "Part of the name, or a whole id (sb_…)"
    date_hierarchy = "created_at"
    fields = (
        "public_id",
        "name",
        "created_at",
        "segment_count",
        "segments",
        "original",
        "metadata",
        "character_bible",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Storyboard]:
        # Both can be megabytes, and only one storyboard's own page shows them.
        return super().get_queryset(request).defer("metadata", "character_bible")

    @admin.display(description="segments")
    def segments(self, storyboard: Storyboard) -> SafeString:
        """A page of their own: a storyboard may have ten thousand."""
        url = reverse("admin:storyboards_segment_changelist")
        return format_html('<a href="{}?storyboard__id__exact={}">Show</a>', url, storyboard.pk)


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    id_prefix = "seg"
    list_display = (
        "segment_index",
        "public_id",
        "prompt",
        "duration_seconds",
        "resolution",
        "is_pro",
        "storyboard",
    )
    list_filter = ("resolution", "is_pro")
    list_select_related = ("storyboard",)
    search_fields = ("prompt_text",)
    search_help_text = "Part of the prompt, or a whole id (seg_…)"
    fields = (
        "public_id",
        "storyboard",
        "segment_index",
        "prompt_text",
        "director_intent",
        "image_url",
        "asset",
        "is_pro",
        "duration_seconds",
        "resolution",
    )

    @admin.display(description="prompt")
    def prompt(self, segment: Segment) -> str:
        return Truncator(segment.prompt_text).chars(80)
