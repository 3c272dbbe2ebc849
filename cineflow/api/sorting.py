"""`sort=<field>&order=asc|desc` over a view's `sort_fields`; ties always end with the id."""

from typing import Any

from django.db.models import F, QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from cineflow.api.query import only_value
from cineflow.core.errors import Invalid, problem


class SortBackend(BaseFilterBackend):
    """A view names `sort_fields` (what a client may ask for) and `default_order` (what it gets unasked)."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        allowed: tuple[str, ...] = getattr(view, "sort_fields", ())
        if not allowed:
            return queryset
        sort, order = only_value(request, "sort"), only_value(request, "order")
        if order not in (None, "asc", "desc"):
            message = "'order' must be 'asc' or 'desc'."
            raise Invalid([problem(["order"], message, "invalid_choice")])
        if sort is None:
            return queryset.order_by(*view.default_order)  # type: ignore[attr-defined]
        if sort not in allowed:
            message = f"'sort' must be one of: {', '.join(allowed)}."
            raise Invalid([problem(["sort"], message, "invalid_choice")])
        # The two databases put nulls at different ends unless told.
        field = F(sort).asc(nulls_last=True) if order == "asc" else F(sort).desc(nulls_last=True)
        return queryset.order_by(field, "pk" if order == "asc" else "-pk")

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        allowed: tuple[str, ...] = getattr(view, "sort_fields", ())
        if not allowed:
            return []
        return [
            {
                "name": "sort",
                "in": "query",
                "required": False,
                "schema": {"type": "string", "enum": list(allowed)},
            },
            {
                "name": "order",
                "in": "query",
                "required": False,
                "description": "Direction of `sort`; without `sort` it has no effect.",
                "schema": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
            },
        ]
