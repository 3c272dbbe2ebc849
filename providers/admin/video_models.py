"""Models as users name them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from providers import catalogue, liveness
from providers.admin import shown
from providers.admin.saving import OnlyChangedFields
from providers.models import Route, VideoModel


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
class VideoModelAdmin(shown.SunsetBanner, OnlyChangedFields):
    inlines = (RouteInline,)
    list_display = ("display_name", "id", "enabled", "live", "priority", "made_by")
    list_editable = ("enabled", "priority")
    list_filter = ("enabled",)
    search_fields = ("id", "display_name")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[VideoModel]:
        return catalogue.with_routes(super().get_queryset(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Changing a primary key would make a second model.
        return ("id",) if obj else ()

    @admin.display(description="live", boolean=True)
    def live(self, model: VideoModel) -> bool:
        return not liveness.why_model_not_live(model, timezone.now().date())

    @admin.display(description="made by")
    def made_by(self, model: VideoModel) -> str:
        parts = catalogue.provider_map(model).items()
        return "; ".join(f"{provider}: {', '.join(names)}" for provider, names in parts)
