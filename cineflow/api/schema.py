"""The OpenAPI document: every operation with the errors that it can answer."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from cineflow.api import idempotency
from cineflow.api.errors import envelope


class ProblemSerializer(serializers.Serializer[Any]):
    """One fault of a request: where, what, and a stable word for it."""

    loc = serializers.ListField(
        child=serializers.JSONField(), help_text="Keys and indexes that lead to the fault."
    )
    msg = serializers.CharField()
    type = serializers.CharField()


class ErrorDetailsSerializer(serializers.Serializer[Any]):
    # The name of the field hides the property that only an input serializer is asked for.
    errors = ProblemSerializer(many=True, required=False)  # type: ignore[assignment]
    possibly_billed = serializers.BooleanField(required=False)


class ErrorSerializer(serializers.Serializer[Any]):
    """The envelope of every error."""

    code = serializers.CharField()
    message = serializers.CharField()
    details = ErrorDetailsSerializer(required=False)


_WITH_BODY = ("POST", "PATCH", "PUT")


_REPEATABLE = [
    OpenApiParameter(
        idempotency.HEADER,
        {"type": "string", "maxLength": idempotency.MAX_LENGTH, "pattern": idempotency.PATTERN},
        OpenApiParameter.HEADER,
        description="Makes the request safe to repeat: the same key and body get the first answer again, for "
        f"{idempotency.KEPT_HOURS} hours. 422 with another body, 409 while the first request is in progress.",
    ),
    OpenApiParameter(
        "Idempotent-Replayed",
        {"type": "string", "enum": ["true"]},
        OpenApiParameter.HEADER,
        description="This is the answer of an earlier request with the same Idempotency-Key.",
        response=[200, 201, 202],
    ),
]


class Schema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        return _REPEATABLE if self._is_repeatable() else []

    def _is_repeatable(self) -> bool:
        return idempotency.is_idempotent(getattr(self.view, self.method.lower(), None))

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._error_statuses():
            bodies.setdefault(str(status), self._error_body(status, direction))
        return bodies

    def _error_statuses(self) -> list[int]:
        statuses = [400, 401, 503]
        if "{" in self.path:
            statuses.append(404)
        if self.method in _WITH_BODY:
            statuses += [413, 415]
        if self.method != "GET":
            statuses.append(403)
        if self._is_repeatable():
            statuses += [409, 422]
        return sorted({*statuses, *getattr(self.view, "more_errors", {}).get(self.method, [])})

    def _error_body(self, status: int, direction: Any) -> Any:
        body = envelope(status)
        example = OpenApiExample(
            body["code"], value=body, response_only=True, status_codes=[str(status)]
        )
        described = OpenApiResponse(
            ErrorSerializer, description=body["message"], examples=[example]
        )
        # drf-spectacular leaves this method of its own without annotations.
        return self._get_response_for_code(  # type: ignore[no-untyped-call]
            described, str(status), direction=direction
        )
