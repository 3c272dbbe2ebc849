"""The HTTP API of storyboards and segments: validate, one domain call, answer."""

from typing import ClassVar
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cineflow.api.bodies import UploadParser, read_body, uploaded_file
from cineflow.api.errors import error_response
from cineflow.api.idempotency import Keep, idempotent_upload
from cineflow.api.ranged import file_response
from cineflow.api.schema import ErrorSerializer
from cineflow.core import ids
from cineflow.core.errors import NotFound
from storyboards import editing, uploads
from storyboards.examples import CHANGES, SCHEMA_ERROR, SEGMENT, START_IMAGE, STORYBOARD
from storyboards.filters import SegmentFilter, StoryboardFilter
from storyboards.models import Segment, Storyboard
from storyboards.schema import SegmentChanges
from storyboards.serializers import (
    SegmentSerializer,
    StartImageSerializer,
    StoryboardSerializer,
)

UPLOAD = {
    "multipart/form-data": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
}
# The name of an upload is random and its bytes never change.
KEEP_FOR_EVER = "public, max-age=31536000, immutable"


class StoryboardsView(GenericAPIView[Storyboard]):
    queryset = Storyboard.objects.defer("metadata", "character_bible")
    serializer_class = StoryboardSerializer
    parser_classes = (UploadParser,)
    filterset_class = StoryboardFilter
    sort_fields = ("created_at", "name", "segment_count")
    default_order = ("-created_at", "-id")

    @extend_schema(
        operation_id="list_storyboards",
        responses=StoryboardSerializer(many=True),
        examples=[STORYBOARD],
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(StoryboardSerializer(page, many=True).data)

    @extend_schema(
        operation_id="upload_storyboard",
        request=UPLOAD,
        responses={
            201: StoryboardSerializer,
            400: OpenApiResponse(ErrorSerializer, description="The file is no storyboard."),
        },
        examples=[STORYBOARD, SCHEMA_ERROR],
    )
    @idempotent_upload
    def post(self, request: Request, keep: Keep) -> Response:
        file = uploaded_file(request)
        storyboard = editing.import_storyboard(
            file.name or "",
            file.read(),
            host=request.get_host(),
            on_stored=lambda stored: keep(_created(stored)),
        )
        return _created(storyboard)


class StoryboardView(APIView):
    more_errors: ClassVar = {"DELETE": [409]}

    @extend_schema(
        operation_id="get_storyboard", responses=StoryboardSerializer, examples=[STORYBOARD]
    )
    def get(self, request: Request, storyboard_id: str) -> Response:
        return Response(StoryboardSerializer(find_storyboard(storyboard_id)).data)

    @extend_schema(
        operation_id="delete_storyboard",
        responses={
            204: OpenApiResponse(description="Gone. Its ended runs stay, with their files.")
        },
    )
    def delete(self, request: Request, storyboard_id: str) -> Response:
        editing.delete_storyboard(_storyboard_key(storyboard_id))
        return Response(status=204)


class SegmentsView(GenericAPIView[Segment]):
    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    filterset_class = SegmentFilter
    sort_fields = ("segment_index", "duration_seconds")
    default_order = ("segment_index", "id")

    @extend_schema(
        operation_id="list_segments", responses=SegmentSerializer(many=True), examples=[SEGMENT]
    )
    def get(self, request: Request, storyboard_id: str) -> Response:
        storyboard = find_storyboard(storyboard_id)
        segments = self.filter_queryset(self.get_queryset().filter(storyboard=storyboard))
        page = self.paginate_queryset(segments)
        return self.get_paginated_response(SegmentSerializer(page, many=True).data)


class SegmentView(APIView):
    @extend_schema(operation_id="get_segment", responses=SegmentSerializer, examples=[SEGMENT])
    def get(self, request: Request, segment_id: str) -> Response:
        segment = Segment.objects.filter(pk=_segment_key(segment_id)).first()
        if segment is None:
            raise NotFound("There is no such segment.")
        return Response(SegmentSerializer(segment).data)

    @extend_schema(
        operation_id="edit_segment",
        request=SegmentChanges,
        responses=SegmentSerializer,
        examples=[CHANGES, SEGMENT],
    )
    def patch(self, request: Request, segment_id: str) -> Response:
        key = _segment_key(segment_id)
        changes = read_body(request, SegmentChanges, context={"host": request.get_host()})
        return Response(SegmentSerializer(editing.edit_segment(key, changes)).data)


class StartImageView(APIView):
    parser_classes = (UploadParser,)

    @extend_schema(
        operation_id="upload_start_image",
        request=UPLOAD,
        responses=StartImageSerializer,
        examples=[START_IMAGE],
    )
    @idempotent_upload
    def post(self, request: Request, segment_id: str, keep: Keep) -> Response:
        url = editing.set_start_image(
            _segment_key(segment_id),
            uploaded_file(request),
            on_stored=lambda stored: keep(_start_image(stored)),
        )
        return _start_image(url)


def _created(storyboard: Storyboard) -> Response:
    location = {"Location": f"/api/v1/storyboards/{storyboard.public_id}"}
    return Response(StoryboardSerializer(storyboard).data, status=201, headers=location)


def _start_image(url: str) -> Response:
    return Response(StartImageSerializer({"image_url": url}).data)


@require_safe
def serve_upload(request: HttpRequest, name: str) -> HttpResponseBase:
    """Open to all: who has the name may see the image, as an <img> cannot send a token."""
    path = uploads.find(name)
    if path is None:
        return error_response(404)
    kind = uploads.CONTENT_TYPES[path.suffix.removeprefix(".")]
    response = file_response(request, path, etag=f'"{path.stem}"', content_type=kind)
    response["Cache-Control"] = KEEP_FOR_EVER
    return response


def find_storyboard(public_id: str) -> Storyboard:
    found = Storyboard.objects.defer("metadata", "character_bible")
    storyboard = found.filter(pk=_storyboard_key(public_id)).first()
    if storyboard is None:
        raise NotFound("There is no such storyboard.")
    return storyboard


def _storyboard_key(public_id: str) -> UUID:
    key = ids.parse("sb", public_id)
    if key is None:
        raise NotFound("There is no such storyboard.")
    return key


def _segment_key(public_id: str) -> UUID:
    key = ids.parse("seg", public_id)
    if key is None:
        raise NotFound("There is no such segment.")
    return key
