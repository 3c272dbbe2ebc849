"""Whoever repeats a POST with its Idempotency-Key gets the first answer, and nothing happens twice."""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.utils import timezone
from rest_framework.test import APIClient

from cineflow.api import idempotency
from cineflow.models import IdempotencyKey
from providers.models import ClientEvent
from runs.models import Event, Run, Task
from runs.tasks import housekeeping
from storyboards import editing
from storyboards.models import Segment, Storyboard
from tests.api.hostile_cases import storyboard_file
from tests.api.mortal import ANSWER
from tests.api.mortal import HEADER as DIES_BEFORE
from tests.api.served import Server, served
from tests.storyboards.conftest import picture

RUNS = "/api/v1/runs"
REPLAYED = "Idempotent-Replayed"
EVENTS = {"events": [{"event_type": "ui_error", "message": "x"}]}


@pytest.fixture
def storyboard(api: APIClient) -> Storyboard:
    return editing.import_storyboard("film.json", storyboard_file())


@pytest.fixture
def body(storyboard: Storyboard) -> dict[str, Any]:
    return {"storyboard_id": storyboard.public_id, "model_id": "preview"}


def post(api: APIClient, path: str, body: Any = None, *, key: str = "k1", **more: Any) -> Any:
    return api.post(path, body, headers={"Idempotency-Key": key}, **more)


def upload(name: str = "film.json", content: bytes | None = None) -> dict[str, Any]:
    return {"file": SimpleUploadedFile(name, storyboard_file() if content is None else content)}


def errors(answer: Any) -> list[Any]:
    found: list[Any] = answer.json()["details"]["errors"]
    return found


# ---- the same again ----------------------------------------------------------------------------


def test_the_same_key_and_body_get_the_first_answer(api: APIClient, body: dict[str, Any]) -> None:
    first = post(api, RUNS, body)
    api.post(f"{RUNS}/{first.json()['id']}/cancel")
    again = post(api, RUNS, body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Location"] == first["Location"]
    assert again["Content-Type"] == first["Content-Type"]
    assert (first.get(REPLAYED), again[REPLAYED]) == (None, "true")
    assert Run.objects.count() == 1


def test_a_body_is_what_it_says_and_not_how_it_is_written(
    api: APIClient, body: dict[str, Any]
) -> None:
    post(api, RUNS, body)
    written = json.dumps(dict(reversed(body.items())), indent=4)
    again = post(api, RUNS, written, content_type="application/json")
    assert (again.status_code, again[REPLAYED]) == (201, "true")


def test_another_body_is_refused(api: APIClient, body: dict[str, Any]) -> None:
    post(api, RUNS, body)
    other = post(api, RUNS, {**body, "gen_count": 2})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Run.objects.count() == 1


def test_without_a_key_each_request_is_one_of_its_own(api: APIClient, body: dict[str, Any]) -> None:
    answers = [api.post(RUNS, body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert Run.objects.count() == 2
    assert not IdempotencyKey.objects.exists()


def test_a_key_counts_for_one_address(api: APIClient, body: dict[str, Any]) -> None:
    post(api, RUNS, body)
    events = post(api, "/api/v1/client-events", EVENTS)
    assert (events.status_code, events.get(REPLAYED)) == (202, None)


def test_client_events_are_stored_once(api: APIClient) -> None:
    first, again = (post(api, "/api/v1/client-events", EVENTS) for _ in range(2))
    assert again.content == first.content
    assert ClientEvent.objects.count() == 1


@pytest.mark.parametrize("word", ["pause", "resume", "cancel"])
def test_a_word_to_a_run_counts_once(api: APIClient, body: dict[str, Any], word: str) -> None:
    run = api.post(RUNS, body).json()["id"]
    first = post(api, f"{RUNS}/{run}/{word}")
    # By now the run has ended, and a new request would be a conflict.
    api.post(f"{RUNS}/{run}/cancel")
    stories = Event.objects.count()
    again = post(api, f"{RUNS}/{run}/{word}", {})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert Event.objects.count() == stories


def test_a_retry_counts_once(api: APIClient, body: dict[str, Any]) -> None:
    run = api.post(RUNS, body).json()["id"]
    api.post(f"{RUNS}/{run}/cancel")
    address = f"/api/v1/tasks/{Task.objects.first().public_id}/retry"  # type: ignore[union-attr]
    first, again, other = post(api, address), post(api, address), post(api, address, key="k2")
    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 409]
    assert again.content == first.content
    assert Event.objects.filter(kind="retry").count() == 1


# ---- uploads -----------------------------------------------------------------------------------


def test_an_upload_is_stored_once(api: APIClient) -> None:
    first, again = (post(api, "/api/v1/storyboards", upload(), format="multipart") for _ in "12")
    assert (first.status_code, again.status_code, again[REPLAYED]) == (201, 201, "true")
    assert (again.content, again["Location"]) == (first.content, first["Location"])
    assert Storyboard.objects.count() == 1


@pytest.mark.parametrize(
    "other", [upload("other.json"), upload(content=storyboard_file() + b" ")], ids=["name", "bytes"]
)
def test_another_file_is_another_body(api: APIClient, other: dict[str, Any]) -> None:
    post(api, "/api/v1/storyboards", upload(), format="multipart")
    refused = post(api, "/api/v1/storyboards", other, format="multipart")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_a_start_image_is_stored_once(
    api: APIClient, storyboard: Storyboard, data_dir: Path
) -> None:
    segment = Segment.objects.filter(storyboard=storyboard).first()
    address = f"/api/v1/segments/{segment.public_id}/assets/start-image"  # type: ignore[union-attr]
    image = picture()
    first, again = (post(api, address, upload("a.png", image), format="multipart") for _ in "12")
    assert (again.status_code, again.content) == (200, first.content)
    assert len(list((data_dir / "uploads").iterdir())) == 1


# ---- what is not kept --------------------------------------------------------------------------


def test_a_refused_request_frees_its_key(api: APIClient, body: dict[str, Any]) -> None:
    wrongs: list[Any] = [{**body, "gen_count": 0}, {**body, "model_id": "none"}, [], "no object"]
    for wrong in wrongs:
        assert post(api, RUNS, wrong).status_code == 400
    missing = {**body, "storyboard_id": "sb_none"}
    assert post(api, RUNS, missing).status_code == 404
    assert post(api, RUNS, "{", content_type="application/json").status_code == 400
    assert post(api, RUNS, "x", content_type="text/plain").status_code == 415
    assert post(api, RUNS, body).status_code == 201


def test_a_file_that_is_no_storyboard_frees_its_key(api: APIClient, data_dir: Path) -> None:
    bad = post(api, "/api/v1/storyboards", upload(content=b"{}"), format="multipart")
    good = post(api, "/api/v1/storyboards", upload(), format="multipart")
    assert (bad.status_code, good.status_code) == (400, 201)


def test_a_conflict_is_not_kept(api: APIClient, body: dict[str, Any]) -> None:
    run = api.post(RUNS, body).json()["id"]
    api.post(f"{RUNS}/{run}/cancel")
    assert post(api, f"{RUNS}/{run}/pause").status_code == 409
    api.post(f"/api/v1/tasks/{Task.objects.all()[0].public_id}/retry")
    assert post(api, f"{RUNS}/{run}/pause").status_code == 200


@pytest.mark.parametrize("key", ["", "é", "a\tb", "x" * 256, " x", "\x7f"])
def test_a_bad_key_is_told(api: APIClient, body: dict[str, Any], key: str) -> None:
    answer = post(api, RUNS, body, key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [found["loc"] for found in errors(answer)] == [["Idempotency-Key"]]
    assert not Run.objects.exists()


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e-40d5"', "a b~!"])
def test_a_good_key_is_taken(api: APIClient, body: dict[str, Any], key: str) -> None:
    assert post(api, RUNS, body, key=key).status_code == 201


@pytest.mark.parametrize("run_id", ["x" * 5_000, "%00", "%E7%89%87" * 50, "%FF"])
def test_an_address_that_no_key_fits_is_not_found(api: APIClient, run_id: str) -> None:
    assert post(api, f"{RUNS}/{run_id}/cancel").status_code == 404


# ---- in progress -------------------------------------------------------------------------------


def leave_in_progress(*, seconds: float) -> None:
    """As if the server had died so long ago, before it could do anything."""
    Run.objects.all().delete()
    then = timezone.now() - timedelta(seconds=seconds)
    IdempotencyKey.objects.update(status=None, body="", location="", claimed_at=then)


def test_a_request_in_progress_is_a_conflict(api: APIClient, body: dict[str, Any]) -> None:
    post(api, RUNS, body)
    leave_in_progress(seconds=50)
    answer = post(api, RUNS, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer["Retry-After"] == "1"
    assert not Run.objects.exists()


def test_a_request_that_died_is_taken_over(api: APIClient, body: dict[str, Any]) -> None:
    post(api, RUNS, body)
    leave_in_progress(seconds=70)
    assert post(api, RUNS, {**body, "gen_count": 2}).status_code == 422
    first, again = post(api, RUNS, body), post(api, RUNS, body)
    assert (first.status_code, first.get(REPLAYED)) == (201, None)
    assert (again.content, again[REPLAYED]) == (first.content, "true")


def test_who_was_taken_over_commits_nothing(api: APIClient, body: dict[str, Any]) -> None:
    def taken_over(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "runs_run"'):
            IdempotencyKey.objects.update(holder=uuid.uuid4())
        return execute(sql, *rest)

    with connection.execute_wrapper(taken_over):
        late = post(api, RUNS, body)
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert (Run.objects.count(), Event.objects.count()) == (0, 0)


class Lost:
    """Wraps the statements of a request: before the n-th the database goes, and stays away."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> Any:
        self.left -= 1
        if self.left <= 0:
            raise OperationalError("gone")
        return execute(*statement)


@pytest.mark.django_db(transaction=True)
def test_wherever_the_database_is_lost_a_repetition_leaves_one_run(
    api: APIClient, body: dict[str, Any], settings: Any
) -> None:
    settings.IDEMPOTENCY_TAKE_OVER_SECONDS = 0
    for number in range(1, 100):
        lost = Lost(number)
        with connection.execute_wrapper(lost):
            answer = post(api, RUNS, body, key=f"k{number}")
        if lost.left > 0:
            break
        assert (answer.status_code, Run.objects.count()) == (503, number - 1)
        assert post(api, RUNS, body, key=f"k{number}").status_code == 201
        assert Run.objects.count() == number
    assert number > 10
    assert answer.status_code == 201


def at_once(count: int, ask: Callable[[int], Any]) -> list[Any]:
    """So many requests in threads that start together."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        try:
            barrier.wait()
            return ask(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_create_one_run(api: APIClient, body: dict[str, Any]) -> None:
    answers = at_once(50, lambda number: post(APIClient(), RUNS, body))
    done = [answer for answer in answers if answer.status_code == 201]
    assert Run.objects.count() == 1
    assert Counter(REPLAYED in answer for answer in done)[False] == 1
    assert len({answer.content for answer in done}) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_take_over_once(api: APIClient, body: dict[str, Any]) -> None:
    post(api, RUNS, body)
    leave_in_progress(seconds=70)
    answers = at_once(50, lambda number: post(APIClient(), RUNS, body))
    assert Run.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {201, 409}


@pytest.mark.django_db(transaction=True)
def test_keys_that_are_pruned_at_once_block_nobody(api: APIClient) -> None:
    make_keys(400, hours=49)
    answers = at_once(
        16, lambda number: post(APIClient(), "/api/v1/client-events", EVENTS, key=f"k{number}")
    )
    assert {answer.status_code for answer in answers} == {202}


# ---- killed ------------------------------------------------------------------------------------


@pytest.fixture
def mortal(api: APIClient, tmp_path: Path) -> Iterator[Server]:
    """A real web server, whose worker process dies on demand and is replaced."""
    more = {"DJANGO_SETTINGS_MODULE": "tests.api.mortal", "IDEMPOTENCY_TAKE_OVER_SECONDS": "0.5"}
    with served(tmp_path, **more) as server:
        yield server


def send(server: Server, path: str, *, key: str, dies: str = "", **said: Any) -> Any:
    """The answer, or None when the server died."""
    headers = {"Idempotency-Key": key, DIES_BEFORE: dies}
    with requests.Session() as client:
        client.trust_env = False
        try:
            return client.post(f"{server.url}{path}", headers=headers, timeout=20, **said)
        except requests.ConnectionError:
            return None


def repeat(server: Server, path: str, *, key: str, **said: Any) -> Any:
    """As a client does: until there is an answer that is none of "in progress" and "away"."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = send(server, path, key=key, **said)
        if answer is not None and answer.status_code not in (409, 503):
            return answer
        time.sleep(0.1)
    raise AssertionError("the server did not come back in time")


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_answer_is_lost_is_not_created_again(
    mortal: Server, body: dict[str, Any]
) -> None:
    assert send(mortal, RUNS, key="k1", dies=ANSWER, json=body) is None
    assert Run.objects.count() == 1
    again = repeat(mortal, RUNS, key="k1", json=body)
    assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
    run = Run.objects.get()
    assert (again.json()["id"], again.headers["Location"]) == (
        run.public_id,
        f"{RUNS}/{run.public_id}",
    )


@pytest.mark.django_db(transaction=True)
def test_a_run_that_died_before_its_commit_is_created_by_the_repetition(
    mortal: Server, body: dict[str, Any]
) -> None:
    before_the_commit = 'UPDATE "cineflow_idempotencykey"'
    assert send(mortal, RUNS, key="k1", dies=before_the_commit, json=body) is None
    assert [row.status for row in IdempotencyKey.objects.all()] == [None]
    again = repeat(mortal, RUNS, key="k1", json=body)
    assert (again.status_code, again.headers.get(REPLAYED)) == (201, None)
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_storyboard_whose_answer_is_lost_is_not_stored_again(mortal: Server) -> None:
    files = {"file": ("film.json", storyboard_file())}
    assert send(mortal, "/api/v1/storyboards", key="k1", dies=ANSWER, files=files) is None
    again = repeat(mortal, "/api/v1/storyboards", key="k1", files=files)
    assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
    assert Storyboard.objects.count() == 1


# ---- how long ----------------------------------------------------------------------------------


def make_keys(count: int, *, hours: float) -> None:
    then = timezone.now() - timedelta(hours=hours)
    IdempotencyKey.objects.bulk_create(
        IdempotencyKey(key=f"old{number}", path="/", fingerprint="", claimed_at=then, status=201)
        for number in range(count)
    )


def test_housekeeping_prunes_keys_after_two_days(db: None) -> None:
    make_keys(3, hours=48.1)
    young = IdempotencyKey(
        key="young", path="/", fingerprint="", claimed_at=timezone.now() - timedelta(hours=47.9)
    )
    young.save()
    housekeeping()
    assert [row.key for row in IdempotencyKey.objects.all()] == ["young"]


def test_each_request_prunes_more_than_it_adds(api: APIClient) -> None:
    make_keys(150, hours=49)
    post(api, "/api/v1/client-events", EVENTS)
    assert IdempotencyKey.objects.filter(key__startswith="old").count() == 50


def test_a_key_may_be_used_anew_after_two_days(api: APIClient, body: dict[str, Any]) -> None:
    post(api, RUNS, body)
    IdempotencyKey.objects.update(
        claimed_at=timezone.now() - timedelta(hours=idempotency.KEPT_HOURS, seconds=1)
    )
    assert post(api, RUNS, {**body, "gen_count": 2}).status_code == 201


# ---- the document ------------------------------------------------------------------------------


def test_every_post_of_the_document_takes_a_key(api: APIClient) -> None:
    document = api.get("/api/schema").json()
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    for path, operation in posts.items():
        headers = [given["name"] for given in operation["parameters"] if given["in"] == "header"]
        assert headers == ["Idempotency-Key"], path
        assert {"409", "422"} <= operation["responses"].keys(), path
    assert len(posts) == 9
