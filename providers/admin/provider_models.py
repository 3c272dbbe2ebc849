"""Providers' models: what they make, for how much, until when."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from providers import liveness, origins
from providers.admin import shown
from providers.admin.saving import OnlyChangedFields
from providers.models import ProviderModel, Route


class LiveFilter(admin.SimpleListFilter):
    title = "live"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "yes"), ("no", "no")]

    def queryset(
        self, request: HttpRequest, rows: QuerySet[ProviderModel]
    ) -> QuerySet[ProviderModel]:
        live = Q(pk__in=liveness.live_provider_models(timezone.now().date()))
        match self.value():
            case "yes":
                return rows.filter(live)
            case "no":
                return rows.exclude(live)
        return rows


class EndFilter(admin.SimpleListFilter):
    title = "end"
    parameter_name = "end"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("soon", "soon"), ("over", "over"), ("none", "not known")]

    def queryset(
        self, request: HttpRequest, rows: QuerySet[ProviderModel]
    ) -> QuerySet[ProviderModel]:
        today = timezone.now().date()
        match self.value():
            case "soon":
                return rows.filter(liveness.ending_soon(today))
            case "over":
                return rows.filter(retired_at__lte=today)
            case "none":
                return rows.filter(retired_at=None)
        return rows


class RouteInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Route
    extra = 0
    verbose_name = "model of ours"
    verbose_name_plural = (
        "which models it makes; a lower position is tried first within its provider"
    )


@admin.register(ProviderModel)
class ProviderModelAdmin(shown.SunsetBanner, OnlyChangedFields):
    inlines = (RouteInline,)
    list_display = (
        "name",
        "provider",
        "live",
        "to_do",
        "price_per_second",
        "price_as_of",
        "retirement",
        "mapped_to",
        "breaker",
    )
    list_filter = (LiveFilter, EndFilter, "provider")
    list_select_related = ("provider",)
    search_fields = ("name",)
    readonly_fields = ("live", "to_do", "retirement", "breaker", "hold", "who_set_what")
    fieldsets = (
        (None, {"fields": ("provider", "name", "live", "to_do")}),
        (
            "What it makes; where it says nothing, its provider does",
            {
                "fields": (
                    "durations",
                    "resolutions",
                    "pro",
                    "image_inputs",
                    "needs_image",
                    "max_image_bytes",
                    "max_prompt_length",
                )
            },
        ),
        ("Price", {"fields": (("price_per_second", "price_as_of"),)}),
        ("Limits", {"fields": (("max_in_flight", "max_per_minute"), "breaker", "hold")}),
        ("The end", {"fields": ("retired_at", "retirement")}),
        (
            "How often its jobs are asked for; empty: as the settings say",
            {
                "fields": (
                    "poll_initial_wait_seconds",
                    "poll_interval_seconds",
                    "max_poll_seconds",
                )
            },
        ),
        ("For its adapter", {"fields": ("options",)}),
        ("Where the values come from", {"fields": ("who_set_what",)}),
    )
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderModel]:
        return super().get_queryset(request).prefetch_related("routes")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # Compared with what the row holds: a default that is callable would be compared with what the page held.
        return super().formfield_for_dbfield(
            db_field, request, **{**kwargs, "show_hidden_initial": False}
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Its jobs are known by both; a model under another name is another model.
        return ("provider", "name", *self.readonly_fields) if obj else self.readonly_fields

    @admin.display(description="live", boolean=True)
    def live(self, model: ProviderModel) -> bool | None:
        return not liveness.why_not_live(model, timezone.now().date()) if model.pk else None

    @admin.display(description="to do", empty_value="nothing")
    def to_do(self, model: ProviderModel) -> str | None:
        why = liveness.why_not_live(model, timezone.now().date()) if model.pk else ""
        return why or None

    @admin.display(description="its vendor ends it", ordering="retired_at", empty_value="")
    def retirement(self, model: ProviderModel) -> str | None:
        return shown.retirement(model)

    @admin.display(description="mapped to", empty_value="nothing")
    def mapped_to(self, model: ProviderModel) -> str | None:
        return ", ".join(sorted(route.model_id for route in model.routes.all())) or None

    @admin.display(description="breaker", ordering="trips")
    def breaker(self, model: ProviderModel) -> str:
        return shown.breaker(model)

    @admin.display(description="hold", empty_value="none")
    def hold(self, model: ProviderModel) -> str | None:
        return shown.hold(model)

    @admin.display(description="set by", empty_value="as they came with this version")
    def who_set_what(self, model: ProviderModel) -> str | None:
        return origins.in_words(model) or None
