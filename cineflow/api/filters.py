"""Query filters that refuse what they do not understand, instead of ignoring it."""

from collections.abc import Iterable
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from cineflow.api.query import only_value


class StrictBooleanField(forms.Field):
    def to_python(self, value: Any) -> bool | None:
        if value is None:
            return None
        if value not in ("true", "false"):
            raise forms.ValidationError("Must be 'true' or 'false'.", code="invalid")
        return bool(value == "true")


class StrictBooleanFilter(django_filters.BooleanFilter):
    field_class = StrictBooleanField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "widget": forms.TextInput})


class StrictChoiceField(forms.CharField):
    def __init__(self, *, choices: Iterable[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allowed = tuple(value for value, _ in choices)

    def clean(self, value: Any) -> str | None:
        if value is None:
            return None
        if value not in self.allowed:
            raise forms.ValidationError(
                f"Must be one of: {', '.join(self.allowed)}.", code="invalid_choice"
            )
        return str(value)


class StrictChoiceFilter(django_filters.Filter):
    """`choices` is a plain list of words."""

    field_class = StrictChoiceField

    def __init__(self, *args: Any, choices: Iterable[str], **kwargs: Any) -> None:
        # Kept as pairs, where the OpenAPI document looks for them.
        super().__init__(*args, choices=[(word, word) for word in choices], **kwargs)


class WholeNumberField(forms.CharField):
    """Decimal digits only: forms' own integer field takes spaces, signs and '1.0'."""

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least, self.most = least, most

    def clean(self, value: Any) -> int | None:
        if value is None:
            return None
        if (
            value.isascii()
            and value.isdecimal()
            and len(value) <= 18
            and self.least <= int(value) <= self.most
        ):
            return int(value)
        raise forms.ValidationError(
            f"Must be a whole number from {self.least} to {self.most}.", code="invalid"
        )


class WholeNumberFilter(django_filters.Filter):
    field_class = WholeNumberField


class StrictFilterBackend(DjangoFilterBackend):
    """django-filter takes an empty value for an absent one; here it is a value, and usually a bad one."""

    def get_filterset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
        filterset = super().get_filterset(request, queryset, view)
        for name in filterset.filters if filterset else ():
            only_value(request, name)
        return filterset
