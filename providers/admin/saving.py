"""Writing what a person changed and nothing else, and keeping in mind that it was a person."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from providers import origins
from providers.models import ProviderModel


class OnlyChangedFields(admin.ModelAdmin):  # type: ignore[type-arg]
    """Django saves whole rows: it would undo what was written since the page was opened."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        fields = _noted(obj, form.changed_data)
        if change:
            obj.save(update_fields=fields)
        else:
            super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for row, names in formset.changed_objects:
            row.save(update_fields=_noted(row, names))
        for row in formset.new_objects:
            _noted(row, [field.name for field in row._meta.fields if not _is_default(row, field)])
            row.save()
        for row in formset.deleted_objects:
            row.delete()


def _noted(row: Any, names: Iterable[str]) -> list[str]:
    """The fields to be saved: those changed and, of a provider's model, the note that a person did it."""
    changed = list(names)
    if not isinstance(row, ProviderModel) or not changed:
        return changed
    origins.note_hand(row, changed, timezone.now().date())
    return [*changed, "origins"]


def _is_default(row: Any, field: Any) -> bool:
    return bool(getattr(row, field.attname) == field.get_default())
