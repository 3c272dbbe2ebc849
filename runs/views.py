"""The HTTP API of runs and tasks: validate, one domain call, answer."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cineflow.api.bodies import read_body
from cineflow.api.filters import StrictBooleanFilter, StrictChoiceFilter, WholeNumberFilter
from cineflow.api.idempotency import idempotent
from cineflow.api.ranged import file_response
from cineflow.core import clock, ids
from cineflow.core.errors import NotFound
from providers.errors import Code
from runs import cancel, decisions, launch, lifecycle, metadata, outputs, routes
from runs.bodies import DecisionBody, EmptyBody, RetryBody, RunBody
from runs.examples import (
    FAILED_TASK,
    LAUNCHED,
    METADATA,
    ROUTE,
    RUN,
    RUN_REQUEST,
    TASK,
    WAITING_ROUTE,
)
from runs.models import Attempt, Run, Status, Task
from runs.serializers import (
    CancelSerializer,
    DecisionSerializer,
    LaunchedSerializer,
    MetadataSerializer,
    RouteSerializer,
    RunSerializer,
    TaskSerializer,
)
from runs.tasks import hint


def find_run(public_id: str) -> Run:
    key = ids.parse("run", public_id)
    run = Run.objects.filter(pk=key).first() if key else None
    if run is None:
        raise NotFound("There is no such run.")
    return run


def find_task(public_id: str, *related: str) -> Task:
    task = Task.objects.select_related("run", *related).filter(pk=_task_key(public_id)).first()
    if task is None:
        raise NotFound("There is no such task.")
    return task


def _task_key(public_id: str) -> UUID:
    key = ids.parse("task", public_id)
    if key is None:
        raise NotFound("There is no such task.")
    return key


class RunFilters(django_filters.FilterSet):
    status = StrictChoiceFilter(choices=Status.values)
    storyboard_id = django_filters.CharFilter(method="of_storyboard")

    def of_storyboard(self, queryset: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        key = ids.parse("sb", value)
        return queryset.filter(storyboard_uuid=key) if key else queryset.none()


class RunsView(GenericAPIView[Run]):
    queryset = Run.objects.all()
    serializer_class = RunSerializer
    filterset_class = RunFilters
    sort_fields = ("created_at", "status", "total_tasks")
    default_order = ("-created_at", "-id")
    more_errors = {"POST": [404]}

    @extend_schema(operation_id="list_runs", responses=RunSerializer(many=True), examples=[RUN])
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(RunSerializer(page, many=True).data)

    @extend_schema(
        operation_id="create_run",
        request=RunBody,
        responses={201: LaunchedSerializer},
        examples=[RUN_REQUEST, LAUNCHED],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = read_body(request, RunBody)
        storyboard_id = ids.parse("sb", body.storyboard_id)
        if storyboard_id is None:
            raise NotFound("There is no such storyboard.")
        config = launch.RunConfig(**{**body.model_dump(), "storyboard_id": storyboard_id})
        launched = launch.launch_run(config, now=clock.now())
        hint()
        location = {"Location": f"/api/v1/runs/{launched.run.public_id}"}
        answer = LaunchedSerializer(launched.run, context={"plan": launched.plan})
        return Response(answer.data, status=201, headers=location)


class RunView(APIView):
    @extend_schema(operation_id="get_run", responses=RunSerializer, examples=[RUN])
    def get(self, request: Request, run_id: str) -> Response:
        return Response(RunSerializer(find_run(run_id)).data)


class RunCancelView(APIView):
    more_errors = {"POST": [409]}

    @extend_schema(operation_id="cancel_run", request=EmptyBody, responses={202: CancelSerializer})
    @idempotent
    def post(self, request: Request, run_id: str) -> Response:
        run = find_run(run_id)
        read_body(request, EmptyBody)
        answer = cancel.cancel_run(run.pk, now=clock.now())
        hint()
        return Response(CancelSerializer(answer).data, status=202)


class RunPauseView(APIView):
    more_errors = {"POST": [409]}

    @extend_schema(operation_id="pause_run", request=EmptyBody, responses=RunSerializer)
    @idempotent
    def post(self, request: Request, run_id: str) -> Response:
        run = find_run(run_id)
        read_body(request, EmptyBody)
        lifecycle.set_paused(run.pk, paused=True, now=clock.now())
        return Response(RunSerializer(find_run(run_id)).data)


class RunResumeView(APIView):
    more_errors = {"POST": [409]}

    @extend_schema(operation_id="resume_run", request=EmptyBody, responses=RunSerializer)
    @idempotent
    def post(self, request: Request, run_id: str) -> Response:
        run = find_run(run_id)
        read_body(request, EmptyBody)
        lifecycle.set_paused(run.pk, paused=False, now=clock.now())
        hint()
        return Response(RunSerializer(find_run(run_id)).data)


class TaskFilters(django_filters.FilterSet):
    status = StrictChoiceFilter(choices=Status.values)
    segment_index = WholeNumberFilter(least=1, most=2**31 - 1)
    error_code = StrictChoiceFilter(choices=list(Code))
    retryable = StrictBooleanFilter()


class RunTasksView(GenericAPIView[Task]):
    queryset = Task.objects.defer("snapshot", "routing", "failed_providers")
    serializer_class = TaskSerializer
    filterset_class = TaskFilters
    sort_fields = ("segment_index", "status", "created_at", "updated_at", "error_code")
    default_order = ("segment_index", "take", "id")

    @extend_schema(
        operation_id="list_tasks", responses=TaskSerializer(many=True), examples=[TASK, FAILED_TASK]
    )
    def get(self, request: Request, run_id: str) -> Response:
        run = find_run(run_id)
        tasks = self.filter_queryset(self.get_queryset().filter(run=run))
        page: Any = self.paginate_queryset(tasks)
        for task in page:
            task.run = run
        return self.get_paginated_response(TaskSerializer(page, many=True).data)


class TaskView(APIView):
    @extend_schema(operation_id="get_task", responses=TaskSerializer, examples=[TASK, FAILED_TASK])
    def get(self, request: Request, task_id: str) -> Response:
        return Response(TaskSerializer(find_task(task_id)).data)


class TaskMetadataView(APIView):
    @extend_schema(
        operation_id="get_task_metadata", responses=MetadataSerializer, examples=[METADATA]
    )
    def get(self, request: Request, task_id: str) -> Response:
        return Response(metadata.of_task(find_task(task_id, "video")))


class TaskRouteView(APIView):
    @extend_schema(
        operation_id="get_task_route", responses=RouteSerializer, examples=[ROUTE, WAITING_ROUTE]
    )
    def get(self, request: Request, task_id: str) -> Response:
        """Who was considered for this take, with the values that were looked at, and why who was taken."""
        return Response(routes.of_task(find_task(task_id, "video")))


class TaskDownloadView(APIView):
    more_errors = {"GET": [412, 416]}

    @extend_schema(
        operation_id="download_task",
        responses={
            (200, "video/mp4"): OpenApiTypes.BINARY,
            (206, "video/mp4"): OpenApiTypes.BINARY,
            302: OpenApiResponse(
                description="The file lives in object storage; a signed address follows."
            ),
            304: OpenApiResponse(description="The file is the one that If-None-Match names."),
        },
    )
    def get(self, request: Request, task_id: str) -> HttpResponseBase:
        task = find_task(task_id, "video")
        video = task.video
        if video is None or not outputs.is_stored(video.path, video.bytes):
            raise NotFound("There is no file for this task (yet); a dry run never has one.")
        path = outputs.absolute(video.path)
        return file_response(
            request._request, path, etag=f'"{video.sha256}"', content_type="video/mp4"
        )


class DecisionsView(GenericAPIView[Attempt]):
    queryset = Attempt.objects.none()
    serializer_class = DecisionSerializer
    sort_fields = ("sent_at", "provider_id")
    default_order = ("sent_at", "id")

    @extend_schema(operation_id="list_decisions", responses=DecisionSerializer(many=True))
    def get(self, request: Request) -> Response:
        page: Any = self.paginate_queryset(self.filter_queryset(decisions.open_decisions()))
        return self.get_paginated_response(DecisionSerializer(page, many=True).data)


class TaskDecisionView(APIView):
    more_errors = {"POST": [409]}

    @extend_schema(
        operation_id="decide_task",
        request=DecisionBody,
        responses={202: TaskSerializer},
        examples=[TASK],
    )
    @idempotent
    def post(self, request: Request, task_id: str) -> Response:
        key = _task_key(task_id)
        body = read_body(request, DecisionBody)
        task = decisions.decide(key, body.action, job_id=body.provider_job_id, now=clock.now())
        hint()
        return Response(TaskSerializer(task).data, status=202)


class TaskRetryView(APIView):
    more_errors = {"POST": [404, 409]}

    @extend_schema(
        operation_id="retry_task",
        request=RetryBody,
        responses={202: TaskSerializer},
        examples=[TASK, OpenApiExample("again", value={"submit_again": True}, request_only=True)],
    )
    @idempotent
    def post(self, request: Request, task_id: str) -> Response:
        key = _task_key(task_id)
        body = read_body(request, RetryBody)
        task = launch.retry_task(key, submit_again=body.submit_again, now=clock.now())
        hint()
        return Response(TaskSerializer(task).data, status=202)
