"""Every operation of the OpenAPI document, asked with all that the document allows and forbids.

FUZZ_EXAMPLES says how many requests are made up for each operation, beside those that cover
its rules one by one.
"""

import os
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection

from cineflow.wsgi import application
from runs import launch
from runs.models import Run, Task
from storyboards import editing
from storyboards.models import Storyboard
from tests.api.hostile_cases import GOOD_BOARD, png
from tests.seeds import seed

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))

# Rules between fields, or on what the database holds, make a request of the right shape wrong: no schema tells them.
_BEYOND_A_SCHEMA = {
    "positive_data_acceptance",
    "use_after_free",
    "ensure_resource_availability",
    "max_response_time",
}
# Who may call is tested elsewhere, with a token.
_ABOUT_ACCESS = {"ignored_auth", "object_level_authorization"}

load_all_checks()
api = schemathesis.openapi.from_wsgi("/api/schema", application)
checks = [
    check for check in CHECKS.get_all() if check.__name__ not in _BEYOND_A_SCHEMA | _ABOUT_ACCESS
]


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """A request's end would close the connection that the test's transaction lives on."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def rows(one_connection: None) -> dict[str, str]:
    """Path parameters that lead somewhere."""
    seed()
    board = _board()
    run = _run(board)
    Run.objects.filter(pk=run.pk).update(
        queued=0, completed=1, status="completed", finished_at=timezone.now()
    )
    Task.objects.filter(run=run).update(
        status="completed", step="", due_at=None, finished_at=timezone.now()
    )
    segment = board.segments.get()
    return {
        "storyboard_id": board.public_id,
        "segment_id": segment.public_id,
        "run_id": run.public_id,
        "task_id": run.tasks.get().public_id,
        "model_id": "sora2",
        "provider_id": "openai",
    }


def _board() -> Storyboard:
    return editing.import_storyboard("film.json", GOOD_BOARD)


def _run(board: Storyboard) -> Run:
    config = launch.RunConfig(storyboard_id=board.pk, model_id="sora2", dry_run=True)
    return launch.create_run(config, now=timezone.now())


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_every_answer_is_in_the_document(case: Any, rows: dict[str, str]) -> None:
    _lead_somewhere(case, rows)
    # What a form holds beside the file is ignored, so almost nothing in it can be wrong.
    is_form = str(case.media_type).startswith("multipart/")
    excluded = [negative_data_rejection] if is_form else []
    case.call_and_validate(checks=checks, excluded_checks=excluded)


def _lead_somewhere(case: Any, rows: dict[str, str]) -> None:
    """Three requests in four ask for what exists: made-up ids and files alone meet nothing but 404 and 400."""
    wanted = [name for name in rows if f"{{{name}}}" in case.path]
    made_up = crc32(repr((case.path_parameters, case.query, case.body)).encode()) % 4 == 0
    if made_up and set(wanted) <= set(case.path_parameters):
        return
    if case.method == "DELETE":
        rows = {**rows, "storyboard_id": _board().public_id}
    case.path_parameters = {name: rows[name] for name in wanted}
    if isinstance(case.body, dict) and not _is_wrong(case):
        case.body = {name: _existing(case, rows, name, value) for name, value in case.body.items()}


def _is_wrong(case: Any) -> bool:
    """Its body was made to break the document's rules, and shall stay so."""
    return bool(case.meta and case.meta.is_negative_at(ParameterLocation.BODY))


def _existing(case: Any, rows: dict[str, str], name: str, value: Any) -> Any:
    if name == "file":
        return png() if case.path.endswith("start-image") else GOOD_BOARD
    return rows[name] if name in rows and isinstance(value, str) else value
