"""docker-compose.yml without Docker: its commands and its environment, as plain processes.

PostgreSQL and Redis are real ones; only their addresses, the data folder and the port differ from the file.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
import yaml
from django.conf import settings

from cineflow.core.child_process import start, stop
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
PROCESSES = ("web", "worker", "beat")
SET_IN_ENV_FILE = {
    "AUTH_TOKEN": "compose-token",
    "SECRET_KEY": "k" * 50,
    "POSTGRES_PASSWORD": "compose-password",
}
BOARD = {
    "segments": [
        {"segment_index": 1, "prompt_text": "A lighthouse at dusk.", "duration_seconds": 4}
    ]
}

pytestmark = pytest.mark.skipif(
    not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"),
    reason="compose is PostgreSQL only",
)


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AUTH_TOKEN", "SECRET_KEY", "POSTGRES_PASSWORD"])
def test_a_secret_has_no_default(name: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert set(re.findall(rf"\$\{{{name}[^}}]*\}}", text)) == {f"${{{name}:?set {name} in .env}}"}
    assert f"\n{name}=\n" in (ROOT / ".env.example").read_text(encoding="utf-8")


def test_only_the_web_is_reached_from_outside_and_from_this_host_only() -> None:
    ports = {
        name: service["ports"]
        for name, service in COMPOSE["services"].items()
        if "ports" in service
    }
    assert ports == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


@pytest.mark.parametrize("name", ["migrate", *PROCESSES])
def test_our_containers_have_no_privileges(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_does_not_run_as_root() -> None:
    assert "\nUSER cineflow\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


# ---- the processes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Composed:
    url: str
    running: dict[str, subprocess.Popen[bytes]]
    environments: dict[str, dict[str, str]]
    logs: Path

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {SET_IN_ENV_FILE['AUTH_TOKEN']}"}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **options)

    def healthy(self, service: str) -> bool:
        test = COMPOSE["services"][service]["healthcheck"]["test"][1:]
        done = subprocess.run(
            _here(test), cwd=ROOT, env=self.environments[service], capture_output=True, check=False
        )
        return done.returncode == 0


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Composed]:
    with ExitStack() as endings:
        database = endings.enter_context(_fresh_database())
        yield endings.enter_context(_up(database, tmp_path))


@contextmanager
def _fresh_database() -> Iterator[str]:
    """On the server the tests run on, so that its databases can be as many as one likes."""
    facts = settings.DATABASES["default"]
    address = f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}"
    name = f"compose_{secrets.token_hex(4)}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{address}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _up(database: str, folder: Path) -> Iterator[Composed]:
    port = free_port()
    services = ("migrate", *PROCESSES)
    environments = {
        name: _environment(name, database=database, data=folder / "data", port=port)
        for name in services
    }
    subprocess.run(
        _command("migrate", folder), cwd=ROOT, env=environments["migrate"], check=True, timeout=120
    )
    running: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as endings:
        for name in PROCESSES:
            log = endings.enter_context((folder / f"{name}.log").open("wb"))
            running[name] = start(
                _command(name, folder),
                cwd=ROOT,
                env=environments[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            endings.callback(stop, running[name])
        yield Composed(f"http://127.0.0.1:{port}", running, environments, folder)


def _command(service: str, folder: Path) -> list[str]:
    return [
        word.replace("/data/", f"{folder}/data/")
        for word in _here(COMPOSE["services"][service]["command"])
    ]


def _here(command: list[str]) -> list[str]:
    """The image's programs are modules of our own virtual environment."""
    program, *arguments = command
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


def _environment(service: str, *, database: str, data: Path, port: int) -> dict[str, str]:
    """As Docker gives it: nothing of ours but the way to programs, and the file's own words."""
    written = {
        name: _filled_in(str(value))
        for name, value in COMPOSE["services"][service]["environment"].items()
    }
    assert urlsplit(written["DATABASE_URL"]).hostname == "postgres"
    assert urlsplit(written["REDIS_URL"]).hostname == "valkey"
    elsewhere = {
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "CINEFLOW_DATA_DIR": str(data),
    }
    if "GUNICORN_BIND" in written:
        elsewhere["GUNICORN_BIND"] = f"127.0.0.1:{port}"
    path = {"PATH": os.environ["PATH"]}
    return {**path, **SET_IN_ENV_FILE, **written, **elsewhere}


def _filled_in(text: str) -> str:
    """`${NAME:?message}` and `${NAME:-default}`, as Docker reads them with our .env."""
    return re.sub(
        r"\$\{(\w+):[?-]([^}]*)\}", lambda found: SET_IN_ENV_FILE.get(found[1], found[2]), text
    )


def _eventually(what: str, check: Any, *, seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if result := check():
                return result
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def _finished(composed: Composed, run: dict[str, Any]) -> Any:
    def ended() -> Any:
        now = composed.call("GET", f"/api/v1/runs/{run['id']}").json()
        return now if now["status"] not in ("queued", "running") else None

    return _eventually(f"run {run['id']} ends", ended)


def _run(composed: Composed, storyboard: str, **more: Any) -> Any:
    created = composed.call(
        "POST", "/api/v1/runs", json={"storyboard_id": storyboard, "model_id": "preview", **more}
    )
    assert created.status_code == 201, created.text
    return _finished(composed, created.json())


def test_the_composed_services_make_a_clip_and_end_in_order(composed: Composed) -> None:
    _eventually("/readyz says ok", lambda: composed.call("GET", "/readyz").json()["status"] == "ok")
    assert requests.get(f"{composed.url}/api/v1/models", timeout=30).status_code == 401
    assert [composed.healthy(name) for name in ("web", "worker")] == [True, True]

    uploaded = composed.call(
        "POST", "/api/v1/storyboards", files={"file": ("board.json", json.dumps(BOARD).encode())}
    )
    assert uploaded.status_code == 201, uploaded.text
    storyboard = uploaded.json()["id"]

    assert _run(composed, storyboard, dry_run=True)["status"] == "completed"
    run = _run(composed, storyboard)
    (task,) = composed.call("GET", f"/api/v1/runs/{run['id']}/tasks").json()["items"]
    assert (run["status"], task["status"], task["error_msg"]) == ("completed", "completed", None)
    video = composed.call("GET", f"/api/v1/tasks/{task['id']}/download")
    assert video.content[4:8] == b"ftyp"
    assert len(video.content) == int(video.headers["Content-Length"])

    for process in composed.running.values():
        process.send_signal(signal.SIGTERM)
    codes = {name: process.wait(timeout=70) for name, process in composed.running.items()}
    assert codes == {"web": 0, "worker": 0, "beat": 0}
