"""A list costs as many queries for a hundred rows as for one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from providers.models import Provider, ProviderModel, Route, VideoModel
from runs import launch
from runs.models import Run
from storyboards import editing
from storyboards.models import Storyboard
from tests.api.hostile_cases import storyboard_file

MANY = 100


def make_boards(count: int) -> str:
    for _ in range(count):
        board()
    return "storyboards"


def make_segments(count: int) -> str:
    return f"storyboards/{board(segments=count).public_id}/segments"


def make_runs(count: int) -> str:
    of = board()
    for _ in range(count):
        run(of)
    return "runs"


def make_tasks(count: int) -> str:
    return f"runs/{run(board(segments=count)).public_id}/tasks"


def make_providers(count: int) -> str:
    Provider.objects.all().delete()
    made = Provider.objects.bulk_create(
        Provider(id=f"p{n}", display_name="P", supported_durations=[4]) for n in range(count)
    )
    ProviderModel.objects.bulk_create(ProviderModel(provider=one, name="m") for one in made)
    return "providers"


def make_models(count: int) -> str:
    """Each with two routes, which only the administration's list shows."""
    VideoModel.objects.all().delete()
    made = ProviderModel.objects.filter(provider="openai")[:2]
    for number in range(count):
        model = VideoModel.objects.create(id=f"m{number}", display_name="M")
        Route.objects.bulk_create(Route(model=model, provider_model=one) for one in made)
    return "models"


def board(*, segments: int = 1) -> Storyboard:
    return editing.import_storyboard("film.json", storyboard_file(segments))


def run(of: Storyboard) -> Run:
    config = launch.RunConfig(storyboard_id=of.pk, model_id="sora2", dry_run=True)
    return launch.create_run(config, now=timezone.now() - timedelta(hours=1))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("make", "prefix"),
    [
        (make_boards, ""),
        (make_segments, ""),
        (make_runs, ""),
        (make_tasks, ""),
        (make_providers, ""),
        (make_providers, "admin/"),
        (make_models, ""),
        (make_models, "admin/"),
    ],
)
def test_a_list_makes_the_same_queries_for_one_row_and_for_a_hundred(
    make: Callable[[int], str], prefix: str, api: APIClient
) -> None:
    counts = []
    for rows in (1, MANY):
        path = f"/api/v1/{prefix}{make(rows)}"
        with CaptureQueriesContext(connection) as queries:
            answer: Any = api.get(path, {"page_size": 200}).json()
        assert len(answer["items"]) >= rows
        counts.append(len(queries))
    assert counts[0] == counts[1]
