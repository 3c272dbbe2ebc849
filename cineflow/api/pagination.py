"""`{items, page, page_size, total}` around every list."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cineflow.api.query import only_value
from cineflow.core.errors import Invalid, Problem, problem

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
_MAX_DIGITS = 18


class PagePagination(BasePagination):
    def paginate_queryset(  # type: ignore[override]  # our lists are querysets, all of them
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        self.page, self.page_size = read_page(request)
        self.total = queryset.count()
        start = (self.page - 1) * self.page_size
        # A page past the end is empty, and its offset need not fit into the database's integers.
        return list(queryset[start : start + self.page_size]) if start < self.total else []

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {"items": data, "page": self.page, "page_size": self.page_size, "total": self.total}
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        whole = {"type": "integer", "minimum": 1}
        properties = {
            "items": schema,
            # The examples let drf-spectacular wrap a view's example of one item into a whole page.
            "page": {**whole, "example": 1},
            "page_size": {**whole, "maximum": MAX_PAGE_SIZE, "example": DEFAULT_PAGE_SIZE},
            "total": {"type": "integer", "minimum": 0, "example": 1},
        }
        return {"type": "object", "properties": properties, "required": list(properties)}

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return [
            _parameter("page", {"type": "integer", "minimum": 1, "default": 1}),
            _parameter(
                "page_size",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_PAGE_SIZE,
                    "default": DEFAULT_PAGE_SIZE,
                },
            ),
        ]


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def read_page(request: Request) -> tuple[int, int]:
    problems: list[Problem] = []
    page = _whole(request, "page", 1, None, problems)
    page_size = _whole(request, "page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, problems)
    if problems:
        raise Invalid(problems)
    return page, page_size


def _whole(
    request: Request, name: str, default: int, most: int | None, problems: list[Problem]
) -> int:
    text = only_value(request, name)
    if text is None:
        return default
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS:
        value = int(text)
        if value >= 1 and (most is None or value <= most):
            return value
    allowed = "a whole number from 1" + (f" to {most}" if most else "")
    problems.append(problem([name], f"'{name}' must be {allowed}.", "invalid"))
    return default
