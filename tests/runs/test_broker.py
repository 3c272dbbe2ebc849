"""A broker that is away, frozen, emptied or too talkative: rows are the truth, so nothing is lost and nobody waits."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from celery import current_app
from django.utils import timezone
from kombu import Connection

from runs import tasks
from runs.models import Attempt, Run, Status
from runs.tasks import broker_answers, hint, wake
from storyboards.models import Storyboard
from tests.api.served import served
from tests.processes import wait_for, workers
from tests.providers.simulated import simulator
from tests.runs.conftest import Machine, MakeBoard, MakeRun
from tests.runs.racing import assert_sound
from tests.runs.test_workers import FAST, PATIENT, has_ended, provider
from tests.servers import frozen_redis, redis_server

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = "redis://127.0.0.1:1/0"
FROZEN_SECONDS = 3.0


@pytest.fixture(autouse=True)
def as_late_as_it_is(machine: Machine) -> None:
    machine.now = timezone.now()


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=10)


@contextmanager
def again_and_again(work: Callable[[], object]) -> Iterator[None]:
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(0.05):
            work()

    with ThreadPoolExecutor(1) as pool:
        repeated = pool.submit(repeat)
        try:
            yield
        finally:
            ended.set()
        repeated.result()


class Client:
    """A person at the API; keeps the status of every answer."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"
        self.statuses: list[int] = []

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = requests.request(method, f"{self.url}/{path}", json=body, timeout=30)
        self.statuses.append(answer.status_code)
        return answer.json()

    def make_run(self, storyboard: Storyboard) -> Run:
        body = {"storyboard_id": storyboard.public_id, "model_id": "preview", "force": True}
        public_id = self.ask("POST", "runs", body)["id"]
        (run,) = (run for run in Run.objects.all() if run.public_id == public_id)
        return run

    def meddle(self, storyboard: Storyboard) -> Run:
        """A run, and everything else that sends a hint."""
        run = self.make_run(storyboard)
        for word in ("pause", "resume", "cancel"):
            self.ask("POST", f"runs/{run.public_id}/{word}", {})
        task = self.ask("GET", f"runs/{run.public_id}/tasks")["items"][0]
        self.ask("POST", f"tasks/{task['id']}/retry", {})
        return run


def test_a_run_completes_when_nobody_has_a_broker(board: MakeBoard, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    env = {**FAST, "REDIS_URL": NOBODY, "CINEFLOW_DATA_DIR": data}
    with served(tmp_path, **env) as web, workers(1, tmp_path, **env):
        person = Client(web.url)
        run = person.make_run(board("a city", "a river"))
        wait_for(lambda: has_ended(run))
    assert (run.status, person.statuses) == (Status.COMPLETED, [201])
    assert_sound(run)


def test_no_answer_is_an_error_while_the_broker_is_frozen(board: MakeBoard, tmp_path: Path) -> None:
    storyboard = board("a city")
    with redis_server() as url:
        env = {**FAST, "REDIS_URL": url, "CINEFLOW_DATA_DIR": str(tmp_path / "data")}
        with served(tmp_path, **env) as web, workers(1, tmp_path, **env):
            person = Client(web.url)
            runs = [person.make_run(storyboard)]
            wait_for(lambda: has_ended(runs[0]))
            with frozen_redis(url):
                until = time.monotonic() + FROZEN_SECONDS
                runs.append(person.meddle(storyboard))
                while time.monotonic() < until:
                    runs.append(person.meddle(storyboard))
            runs.append(person.make_run(storyboard))
            wait_for(lambda: all(map(has_ended, runs)))
    assert {status for status in person.statuses if status >= 500} == set()
    assert runs[-1].status == Status.COMPLETED
    for run in runs:
        assert_sound(run)


def callers(server: socket.socket) -> int:
    """How many have called a server that never answers."""
    server.setblocking(False)
    called = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            called += 1
    return called


@pytest.mark.parametrize("ask", [hint, broker_answers])
def test_a_silent_broker_is_called_once(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        monkeypatch.setenv("CELERY_BROKER_WRITE_URL", url)
        monkeypatch.setattr(tasks, "_silent_until", 0.0)
        ask()
        assert callers(server) == 1


def flush(url: str) -> None:
    with client(url) as connection:
        connection.flushall()


def hint_many_times(url: str) -> None:
    with Connection(url, transport_options={"global_keyprefix": "cineflow:"}) as connection:
        for _ in range(20):
            current_app.send_task(wake.name, connection=connection)


@pytest.mark.parametrize("disturb", [flush, hint_many_times])
def test_what_happens_to_messages_changes_no_row(
    disturb: Callable[[str], None], start: MakeRun, tmp_path: Path
) -> None:
    with redis_server() as url, simulator(seconds=0.5) as far_end:
        env = {**provider(far_end), **PATIENT, "REDIS_URL": url}
        with workers(2, tmp_path, **env), again_and_again(lambda: disturb(url)):
            run = start(*["a city"] * 30, concurrency=10)
            wait_for(lambda: has_ended(run))
        ledger = far_end.summary()
    assert (run.status, run.completed) == (Status.COMPLETED, 30)
    assert ledger["posts"] == ledger["created"] == Attempt.objects.count() == 30
    assert_sound(run)
