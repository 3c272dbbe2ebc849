"""Accounts at providers."""

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from providers import catalogue, registry
from providers.admin import shown
from providers.admin.saving import OnlyChangedFields
from providers.models import DURATIONS, RESOLUTIONS, Provider, ProviderModel


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    supported_durations = forms.TypedMultipleChoiceField(
        choices=[(seconds, f"{seconds} s") for seconds in DURATIONS],
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
    )
    supported_resolutions = forms.MultipleChoiceField(
        choices=[(word, word) for word in RESOLUTIONS], widget=forms.CheckboxSelectMultiple
    )


class ProviderModelInline(admin.TabularInline):  # type: ignore[type-arg]
    """What is changed most; the rest is on each model's own page."""

    model = ProviderModel
    extra = 0
    fields = (
        "name",
        "pro",
        "price_per_second",
        "price_as_of",
        "max_in_flight",
        "max_per_minute",
        "retired_at",
        "breaker",
        "hold",
    )
    readonly_fields = ("breaker", "hold")
    show_change_link = True
    verbose_name = "model of this provider"
    verbose_name_plural = "models, under the names that this provider knows"

    @admin.display(description="breaker")
    def breaker(self, model: ProviderModel) -> str:
        return shown.breaker(model)

    @admin.display(description="hold", empty_value="none")
    def hold(self, model: ProviderModel) -> str | None:
        return shown.hold(model)


@admin.register(Provider)
class ProviderAdmin(shown.SunsetBanner, OnlyChangedFields):
    form = ProviderForm
    inlines = (ProviderModelInline,)
    list_display = (
        "display_name",
        "id",
        "enabled",
        "priority",
        "weight",
        "key_configured",
        "known_balance",
        "breaker",
        "hold",
    )
    list_editable = ("enabled", "priority", "weight")
    list_filter = ("enabled",)
    search_fields = ("id", "display_name")
    readonly_fields = (
        "id",
        "key_configured",
        "what_is_missing",
        "known_balance",
        "breaker",
        "hold",
    )
    fieldsets = (
        (None, {"fields": ("id", "display_name", "enabled", "key_configured", "what_is_missing")}),
        ("Routing", {"fields": ("priority", "weight")}),
        (
            "Limits",
            {
                "fields": (
                    ("max_in_flight", "max_per_minute"),
                    "known_balance",
                    "breaker",
                    "hold",
                )
            },
        ),
        ("When an answer is lost, or a run canceled", {"fields": ("recovery", "can_cancel")}),
        (
            "What it can make, where its models say nothing themselves",
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

    @admin.display(description="to do", empty_value="nothing")
    def what_is_missing(self, provider: Provider) -> str | None:
        return registry.missing(provider.pk) or None

    @admin.display(description="balance", ordering="balance", empty_value="not known")
    def known_balance(self, provider: Provider) -> str | None:
        if provider.balance is None or provider.balance_at is None:
            return None
        amount = f"{provider.balance:.2f} {provider.balance_currency}".strip()
        return f"{amount} on {timezone.localtime(provider.balance_at):%Y-%m-%d %H:%M} UTC"

    @admin.display(description="hold", ordering="not_before", empty_value="none")
    def hold(self, provider: Provider) -> str | None:
        return shown.hold(provider)

    @admin.display(description="breaker", ordering="trips")
    def breaker(self, provider: Provider) -> str:
        return shown.breaker(provider)

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
