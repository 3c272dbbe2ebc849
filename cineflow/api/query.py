"""Query parameters as one reads them: each at most once."""

from rest_framework.request import Request

from cineflow.core.errors import Invalid, problem


def only_value(request: Request, name: str) -> str | None:
    """None when it is not sent. Of two values one would win silently, and seldom the one that was meant."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise Invalid([problem([name], f"'{name}' is given more than once.", "repeated")])
    return values[0] if values else None
