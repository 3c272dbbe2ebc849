"""Models, providers, and what clients report."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cineflow.api.bodies import read_body
from cineflow.api.filters import StrictBooleanFilter
from cineflow.api.idempotency import idempotent
from providers import catalogue, client_events, examples, liveness
from providers.bodies import ClientEventsIn, ModelPatch, ProviderPatch, RoutesPatch
from providers.models import Provider, VideoModel
from providers.serializers import (
    AdminModelSerializer,
    CapabilitiesSerializer,
    EventReceiptsSerializer,
    ModelSerializer,
    ProviderSerializer,
)


def _answer(value: Any, *, status: int = 200) -> OpenApiExample:
    return OpenApiExample("answer", value=value, response_only=True, status_codes=[str(status)])


def _request(value: Any) -> OpenApiExample:
    return OpenApiExample("request", value=value, request_only=True)


class CatalogueFilter(django_filters.FilterSet):
    enabled = StrictBooleanFilter()


class ModelFilter(CatalogueFilter):
    live = StrictBooleanFilter(
        method="of_liveness", help_text="Those that can be made right now, or those that cannot."
    )

    def of_liveness(
        self, models: QuerySet[VideoModel], name: str, wanted: bool
    ) -> QuerySet[VideoModel]:
        return liveness.with_live(models, wanted, timezone.now().date())


class CatalogueList(generics.ListAPIView[Any]):
    filterset_class = CatalogueFilter
    sort_fields = ("id", "display_name", "priority")
    default_order = ("priority", "id")


class OneModel(generics.RetrieveAPIView[VideoModel]):
    def get_object(self) -> VideoModel:
        return catalogue.get_model(self.kwargs["model_id"])


class OneProvider(generics.RetrieveAPIView[Provider]):
    def get_object(self) -> Provider:
        return catalogue.get_provider(self.kwargs["provider_id"])


@extend_schema(tags=["models"], examples=[_answer(examples.MODEL)])
class ModelList(CatalogueList):
    """The models that a run can name, which of them are live, and with what; by priority unless sorted."""

    serializer_class = ModelSerializer
    filterset_class = ModelFilter

    def get_queryset(self) -> QuerySet[VideoModel]:
        return catalogue.with_routes(VideoModel.objects.all())


@extend_schema(tags=["models"], examples=[_answer(examples.MODEL)])
class ModelDetail(OneModel):
    """One model."""

    serializer_class = ModelSerializer


@extend_schema(tags=["providers"], examples=[_answer(examples.PROVIDER)])
class ProviderList(CatalogueList):
    """The providers, in the order they are asked unless sorted."""

    serializer_class = ProviderSerializer

    def get_queryset(self) -> QuerySet[Provider]:
        return catalogue.with_models(Provider.objects.all())


@extend_schema(tags=["providers"], examples=[_answer(examples.PROVIDER)])
class ProviderDetail(OneProvider):
    """One provider. Its key is never shown, only whether there is one."""

    serializer_class = ProviderSerializer


@extend_schema(tags=["providers"], examples=[_answer(examples.CAPABILITIES)])
class ProviderCapabilities(OneProvider):
    """What a provider can make."""

    serializer_class = CapabilitiesSerializer


@extend_schema(tags=["administration"], examples=[_answer(examples.PROVIDER)])
class AdminProviderList(ProviderList):
    """The same list, for the console's settings page."""


@extend_schema(tags=["administration"], examples=[_answer(examples.PROVIDER)])
class AdminProviderDetail(OneProvider):
    """One provider and its settings."""

    serializer_class = ProviderSerializer

    @extend_schema(
        request=ProviderPatch,
        responses=ProviderSerializer,
        examples=[_request(examples.PROVIDER_PATCH), _answer(examples.PROVIDER)],
    )
    def patch(self, request: Request, provider_id: str) -> Response:
        """Change a provider. A field that is not sent stays; none can be null."""
        body = read_body(request, ProviderPatch)
        provider = catalogue.change_provider(provider_id, body.model_dump(exclude_unset=True))
        return Response(ProviderSerializer(provider).data)


@extend_schema(tags=["administration"], examples=[_answer(examples.ADMIN_MODEL)])
class AdminModelList(ModelList):
    """The models, each with the provider models that can make it."""

    serializer_class = AdminModelSerializer


@extend_schema(tags=["administration"], examples=[_answer(examples.ADMIN_MODEL)])
class AdminModelDetail(OneModel):
    """One model, with the provider models that can make it."""

    serializer_class = AdminModelSerializer

    @extend_schema(
        request=ModelPatch,
        responses=AdminModelSerializer,
        examples=[_request(examples.MODEL_PATCH), _answer(examples.ADMIN_MODEL)],
    )
    def patch(self, request: Request, model_id: str) -> Response:
        """Change a model. A field that is not sent stays; `provider_map` is replaced whole."""
        fields = read_body(request, ModelPatch).model_dump(exclude_unset=True)
        routes = fields.pop("provider_map", None)
        model = catalogue.change_model(model_id, fields, routes=routes)
        return Response(AdminModelSerializer(model).data)


@extend_schema(tags=["administration"])
class AdminModelProvider(APIView):
    @extend_schema(
        request=RoutesPatch,
        responses=AdminModelSerializer,
        examples=[_request(examples.ROUTES_PATCH), _answer(examples.ADMIN_MODEL)],
    )
    def patch(self, request: Request, model_id: str, provider_id: str) -> Response:
        """Set a provider's own names for a model, by order of choice; `[]` removes its entry."""
        names = read_body(request, RoutesPatch).provider_model_ids
        model = catalogue.change_routes(model_id, provider_id, names)
        return Response(AdminModelSerializer(model).data)


class ClientEvents(APIView):
    @extend_schema(
        tags=["client events"],
        request=ClientEventsIn,
        responses={202: EventReceiptsSerializer},
        examples=[_request(examples.CLIENT_EVENTS), _answer(examples.RECEIPTS, status=202)],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Report errors that a client met. The newest 100,000 are kept, for 90 days."""
        body = read_body(request, ClientEventsIn).model_dump(exclude_unset=True)
        stored = client_events.store(body["events"], now=timezone.now())
        receipts = EventReceiptsSerializer({"count": len(stored), "events": stored})
        return Response(receipts.data, status=202)
