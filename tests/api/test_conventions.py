"""What holds for every address: who may call, from where, and how failure looks."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from cineflow.api.auth import LINK_LIVES_SECONDS, signed
from runs import launch
from runs.models import Run, Task, VideoFile
from storyboards import editing
from tests.api.failing_urls import SECRET
from tests.api.hostile_cases import GOOD_BOARD, TOKEN
from tests.api.served import Server, served

PAGE = "http://localhost:5173"
STRANGER = "https://evil.example"
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(range(256))


@pytest.fixture
def client(api: APIClient) -> APIClient:
    api.raise_request_exception = False
    return api


@pytest.fixture
def guarded(client: APIClient, settings: Settings) -> APIClient:
    """A client without a token of a server with one."""
    settings.AUTH_TOKEN = TOKEN
    return client


@pytest.fixture
def console(settings: Settings) -> dict[str, str]:
    """The headers of a page that the server lets in."""
    settings.CORS_ALLOWED_ORIGINS = [PAGE]
    return {"Origin": PAGE}


@pytest.fixture
def failing(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.api.failing_urls"


# ---- failures of ours --------------------------------------------------------------------------

SERVER_ERROR = {
    "code": "server_error",
    "message": "Something failed on our side; the log has the reason.",
}
UNAVAILABLE = {
    "code": "unavailable",
    "message": "The database cannot be reached; try again shortly.",
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("plain/bug", 500, SERVER_ERROR),
        ("view/bug", 500, SERVER_ERROR),
        ("plain/away", 503, UNAVAILABLE),
        ("view/away", 503, UNAVAILABLE),
    ],
)
def test_a_failure_of_ours_tells_nothing_but_that(
    client: APIClient,
    failing: None,
    settings: Settings,
    debug: bool,
    accept: str,
    path: str,
    status: int,
    body: Any,
) -> None:
    settings.DEBUG = debug
    answer: Any = client.get(f"/api/v1/{path}", headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert answer.json() == body
    assert SECRET not in str(answer.headers)


@pytest.mark.parametrize("path", ["plain/away", "view/away"])
def test_an_absent_database_is_worth_another_try(
    client: APIClient, failing: None, path: str
) -> None:
    assert client.get(f"/api/v1/{path}")["Retry-After"] == "2"


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("place", [1, -1])
def test_so_does_a_failing_middleware(
    client: APIClient, settings: Settings, debug: bool, place: int
) -> None:
    settings.DEBUG = debug
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(place if place > 0 else len(middleware), "tests.api.failing_middleware.fails")
    settings.MIDDLEWARE = middleware
    answer = APIClient(raise_request_exception=False).get("/api/v1/models")
    assert (answer.status_code, answer.json()) == (500, SERVER_ERROR)


@pytest.fixture(scope="module")
def without_a_database(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    url = "postgres://nobody:a-password@127.0.0.1:1/nothing"
    folder = tmp_path_factory.mktemp("away")
    with served(folder, ready="/healthz", DATABASE_URL=url, DEBUG="1", AUTH_TOKEN="") as server:
        yield server


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /api/v1/models",
        "GET /api/v1/storyboards",
        "GET /api/v1/runs/run_" + "0" * 26,
        "DELETE /api/v1/storyboards/sb_" + "0" * 26,
    ],
)
@pytest.mark.django_db
def test_without_a_database_the_api_is_unavailable(
    without_a_database: Server, request_line: str
) -> None:
    head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = without_a_database.ask(head.encode())
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert answer.json() == UNAVAILABLE


@pytest.mark.django_db
def test_without_a_database_the_server_is_alive_and_not_ready(without_a_database: Server) -> None:
    end = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert without_a_database.ask(b"GET /healthz" + end).status == 200
    ready = without_a_database.ask(b"GET /readyz" + end)
    assert (ready.status, ready.json()["status"]) == (503, "unavailable")
    assert b"a-password" not in ready.body


# ---- who may call ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/schema", "/api/docs"])
def test_some_addresses_are_open(guarded: APIClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_uploads_and_static_files_need_no_token(guarded: APIClient) -> None:
    assert guarded.get("/uploads/" + "0" * 40 + ".png").status_code == 404
    style: Any = guarded.get("/static/admin/css/base.css")
    assert (style.status_code, style["Content-Type"]) == (200, 'text/css; charset="utf-8"')
    style.close()


def test_the_admin_has_its_own_login(guarded: APIClient) -> None:
    for authorization in ("", f"Bearer {TOKEN}"):
        answer = guarded.get("/admin/", headers={"Authorization": authorization})
        assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/admin/")


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/models", "/metrics"]
)
def test_the_rest_is_guarded_before_it_is_looked_up(guarded: APIClient, path: str) -> None:
    answer = guarded.get(path)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json() == {"code": "unauthorized", "message": "Authentication required"}


@pytest.mark.parametrize("token", [TOKEN, "ключ-☃"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_right_token_opens(
    client: APIClient, settings: Settings, token: str, scheme: str
) -> None:
    settings.AUTH_TOKEN = token
    sent = token.encode().decode("latin-1")  # as WSGI hands it over
    assert client.get("/api/v1/models", HTTP_AUTHORIZATION=f"{scheme} {sent}").status_code == 200


# ---- links to videos ---------------------------------------------------------------------------


@pytest.fixture
def task(api: APIClient, data_dir: Path) -> Task:
    """A finished take, with its file."""
    board = editing.import_storyboard("film.json", GOOD_BOARD)
    config = launch.RunConfig(storyboard_id=board.pk, model_id="preview")
    run = launch.create_run(config, now=timezone.now())
    task = run.tasks.get()
    (data_dir / "output").mkdir()
    (data_dir / "output" / "clip.mp4").write_bytes(VIDEO)
    video = VideoFile.objects.create(
        task=task, path="output/clip.mp4", bytes=len(VIDEO), sha256="ab" * 32
    )
    ended = {"status": "completed", "finished_at": timezone.now()}
    Task.objects.filter(pk=task.pk).update(step="", due_at=None, video=video, **ended)
    Run.objects.filter(pk=run.pk).update(queued=0, completed=1, **ended)
    return task


def test_without_a_token_a_video_has_a_plain_address(api: APIClient, task: Task) -> None:
    url = api.get(f"/api/v1/tasks/{task.public_id}").json()["video_url"]
    assert url == f"/api/v1/tasks/{task.public_id}/download"
    assert download(api, url) == (200, VIDEO)


def test_with_a_token_the_address_carries_a_signature(guarded: APIClient, task: Task) -> None:
    path = f"/api/v1/tasks/{task.public_id}"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    url = guarded.get(path, headers=bearer).json()["video_url"]
    assert url.startswith(f"{path}/download?expires=")
    assert download(guarded, url) == (200, VIDEO)
    assert download(guarded, f"{path}/download", headers=bearer) == (200, VIDEO)
    assert guarded.head(url).status_code == 200


def test_a_signature_opens_nothing_else(guarded: APIClient, task: Task, settings: Settings) -> None:
    path = f"/api/v1/tasks/{task.public_id}"
    url = signed(f"{path}/download")
    expires = int(url.partition("expires=")[2].partition("&")[0])
    query = url.partition("?")[2]
    bad = [
        f"{path}?{query}",
        f"{path}/metadata?{query}",
        f"{path}/download",
        f"{path}/download/?{query}",
        url[:-1],
        url + "x",
        url.replace(str(expires), str(expires + 3600)),
        url.replace(str(expires), ""),
        url.partition("&")[0],
        signed(f"{path}/download", now=time.time() - LINK_LIVES_SECONDS - 3600),
    ]
    assert {link: guarded.get(link).status_code for link in bad} == dict.fromkeys(bad, 401)
    assert guarded.post(url).status_code == 401
    settings.AUTH_TOKEN = TOKEN[::-1]
    assert guarded.get(url).status_code == 401


def test_a_part_of_a_video_can_be_asked_for(api: APIClient, task: Task) -> None:
    path = f"/api/v1/tasks/{task.public_id}/download"
    assert download(api, path, headers={"Range": "bytes=4-7"}) == (206, b"ftyp")
    assert download(api, path, headers={"Range": "bytes=9-x"}) == (200, VIDEO)
    past = api.get(path, headers={"Range": "bytes=99999-"})
    assert (past.status_code, past.json()["code"]) == (416, "range_not_satisfiable")
    assert past["Content-Range"] == f"bytes */{len(VIDEO)}"
    etag = api.head(path)["ETag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    changed = api.get(path, headers={"If-Match": '"other"'})
    assert (changed.status_code, changed.json()["code"]) == (412, "precondition_failed")


def download(client: APIClient, url: str, **more: Any) -> tuple[int, bytes]:
    answer: Any = client.get(url, **more)
    return answer.status_code, answer.getvalue()


# ---- other origins -----------------------------------------------------------------------------


def test_a_preflight_needs_no_token(guarded: APIClient, console: dict[str, str]) -> None:
    asks = {
        **console,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = guarded.options("/api/v1/segments/x", headers=asks)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert words(answer["Access-Control-Allow-Methods"]) == {"get", "post", "patch", "delete"}
    assert words(answer["Access-Control-Allow-Headers"]) == {
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "last-event-id",
    }
    assert answer["Access-Control-Max-Age"] == "600"


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


def test_a_preflight_of_a_stranger_allows_nothing(
    guarded: APIClient, console: dict[str, str]
) -> None:
    asks = {"Origin": STRANGER, "Access-Control-Request-Method": "POST"}
    assert "Access-Control-Allow-Origin" not in guarded.options("/api/v1/runs", headers=asks)


@pytest.mark.parametrize(
    "path", ["models", "nothing", "runs?page=0", "view/bug", "plain/bug", "plain/away"]
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_allowed_page_may_read_every_answer(
    client: APIClient,
    console: dict[str, str],
    failing: None,
    settings: Settings,
    path: str,
    debug: bool,
) -> None:
    settings.DEBUG = debug
    for token in ("", TOKEN):
        settings.AUTH_TOKEN = token
        answer = client.get(f"/api/v1/{path}", headers=console)
        assert answer["Access-Control-Allow-Origin"] == PAGE
        assert words(answer["Access-Control-Expose-Headers"]) == {"etag", "location", "retry-after"}


def test_a_stranger_may_read_none(client: APIClient, console: dict[str, str]) -> None:
    assert "Access-Control-Allow-Origin" not in client.get(
        "/api/v1/models", headers={"Origin": STRANGER}
    )


def test_without_a_list_no_page_may_read(client: APIClient) -> None:
    assert "Access-Control-Allow-Origin" not in client.get(
        "/api/v1/models", headers={"Origin": PAGE}
    )


@pytest.mark.parametrize("method", ["post", "patch", "delete", "put"])
@pytest.mark.parametrize(
    "origin", [STRANGER, "null", "http://testserver:81", "https://testserver.evil.example"]
)
def test_a_foreign_page_writes_nothing_to_an_open_server(
    client: APIClient, console: dict[str, str], method: str, origin: str
) -> None:
    answer = client.generic(method.upper(), "/api/v1/runs", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("origin", [PAGE, "http://testserver", None])
def test_the_servers_own_and_allowed_pages_may_write(
    client: APIClient, console: dict[str, str], origin: str | None
) -> None:
    body = {"events": [{"event_type": "ui_error"}]}
    headers = {"Origin": origin} if origin else {}
    assert client.post("/api/v1/client-events", body, headers=headers).status_code == 202


def test_with_a_token_the_token_decides_and_not_the_origin(guarded: APIClient) -> None:
    body = {"events": [{"event_type": "ui_error"}]}
    headers = {"Origin": STRANGER, "Authorization": f"Bearer {TOKEN}"}
    assert guarded.post("/api/v1/client-events", body, headers=headers).status_code == 202


def test_any_page_is_let_in_by_a_star(client: APIClient, settings: Settings) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS = True
    answer = client.post("/api/v1/client-events", {}, headers={"Origin": STRANGER})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (400, "*")
