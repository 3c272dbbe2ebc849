"""All processes of one chaos run: servers, simulator, wire, web, workers, beat. Ended by pid; none outlives us."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psycopg
import requests

from cineflow.core.child_process import start, stop
from tests.chaos.proxy import Proxy
from tests.processes import ROOT
from tests.servers import Postgres, Redis, free_port

WORKER_SLOTS = ("worker-1", "worker-2", "worker-3", "worker-4")

# Delays of minutes, in seconds: what a run of minutes can wait for. The order of their lengths is kept:
# send-by + request < submit lease < a zombie's sleep < the last look-up.
RHYTHM = {
    "POLL_INITIAL_WAIT_SECONDS": "1.5",
    "POLL_INTERVAL_SECONDS": "1",
    "POLL_LEASE_SECONDS": "4",
    "SUBMIT_LEASE_SECONDS": "8",
    "DOWNLOAD_LEASE_SECONDS": "5",
    "API_REQUEST_TIMEOUT_SECONDS": "5",
    "DOWNLOAD_TIMEOUT_SECONDS": "20",
    "SEND_WITHIN_SECONDS": "2",
    "RETRY_BACKOFF_SECONDS": "0.5",
    "BREAKER_SECONDS": "0.5",
    "SWEEP_INTERVAL_SECONDS": "0.5",
    "LOOK_UP_DELAYS": "2,8,20",
    "RESEND_DELAYS": "1,2,4,8,15,30,30,30",
    "MAX_ATTEMPTS": "12",
    "POISON_AFTER": "1000",  # here workers die of us, and of no task
    "IDLE_IN_TRANSACTION_SECONDS": "2",
    "SENDERS": "16",
    "DOWNLOADERS": "8",
}
ZOMBIE_SECONDS = 10.0


class Process:
    """One incarnation of a role; watched by its pidfd, since it is not our child."""

    def __init__(self, name: str, pid: int) -> None:
        self.name, self.pid, self.born = name, pid, time.monotonic()
        self._handle = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        return self.state not in ("", "Z")

    @property
    def state(self) -> str:
        """`T` while it is stopped; empty when it is gone."""
        with suppress(OSError):
            stat = Path(f"/proc/{self.pid}/stat").read_text()
            if self._send(0):
                return stat.rpartition(")")[2].split()[0]
        return ""

    def signal(self, signum: signal.Signals) -> None:
        self._send(signum)

    def kill(self) -> None:
        """It and its own children: the session is its own."""
        if self._send(0):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.005)

    def _send(self, signum: int) -> bool:
        try:
            signal.pidfd_send_signal(self._handle, signum)
        except ProcessLookupError:
            return False
        return True

    def __del__(self) -> None:
        os.close(self._handle)


class World:
    def __init__(self, folder: Path, *, recovery: str) -> None:
        self.folder, self.recovery = folder, recovery
        self.data = folder / "data"
        self.web_port = free_port()
        self.url = f"http://127.0.0.1:{self.web_port}"
        self.processes: dict[str, Process] = {}
        self._births = itertools.count(1)
        self._birth = threading.Lock()

    @contextmanager
    def running(self) -> Iterator["World"]:
        with ExitStack() as ending:
            self._start_servers(ending)
            self.python("manage.py", "migrate", "--verbosity", "0")
            self._prepare_database()
            self.nursery = self._start_nursery(ending)
            ending.callback(self._end_all)
            self.bear("web")
            self._wait_for_web()
            yield self

    # ---- beginnings --------------------------------------------------------------------------

    def _start_servers(self, ending: ExitStack) -> None:
        redis_folder, postgres_folder = self.folder / "redis", self.folder / "postgres"
        for made in (self.data, redis_folder, postgres_folder, self.folder / "logs"):
            made.mkdir()
        self.redis = Redis(redis_folder, keep=True)
        ending.callback(lambda: self.redis.stop())
        self.postgres = Postgres(postgres_folder, durable=True)
        ending.callback(lambda: self.postgres.stop())
        self.simulator_port = self._start_simulator(ending)
        self.proxy = Proxy(self.simulator_port)
        ending.callback(self.proxy.close)

    def _start_simulator(self, ending: ExitStack) -> int:
        command = [sys.executable, "manage.py", "simulator", "--port", "0", "--seconds", "3"]
        env = {**os.environ, "CINEFLOW_DATA_DIR": str(self.data)}
        process = start(command, cwd=ROOT, env=env, stdout=subprocess.PIPE)
        ending.callback(stop, process)
        assert process.stdout is not None
        found = re.search(rb":(\d+)/", process.stdout.readline())
        assert found, "the simulator did not start"
        port = int(found[1])
        wanted = {"idempotency": self.recovery == "token"}
        requests.post(f"http://127.0.0.1:{port}/__sim__/settings", json=wanted, timeout=10)
        return port

    def _prepare_database(self) -> None:
        sql = (Path(__file__).parent / "owners.sql").read_text()
        with self.connect() as connection:
            connection.execute("UPDATE providers_provider SET recovery = %s", [self.recovery])
            connection.execute(sql)

    def _start_nursery(self, ending: ExitStack) -> subprocess.Popen[bytes]:
        log = ending.enter_context((self.folder / "logs" / "nursery.log").open("wb"))
        nursery = start(
            [sys.executable, "-m", "tests.chaos.nursery"],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        ending.callback(stop, nursery)
        assert _line(nursery.stdout) == "ready", "see logs/nursery.log"
        return nursery

    def environment(self, **more: str) -> dict[str, str]:
        ours = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "CINEFLOW_DATA_DIR": str(self.data),
            "DJANGO_SETTINGS_MODULE": "cineflow.settings",
            "OPENAI_API_KEY": "sk-chaos",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.proxy.port}/openai/v1",
            "GUNICORN_BIND": f"127.0.0.1:{self.web_port}",
            "AUTH_TOKEN": "",
            "LOG_LEVEL": "WARNING",
            **RHYTHM,
        }
        return {**os.environ, **ours, **more}

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    # ---- births and deaths -------------------------------------------------------------------

    def bear(self, slot: str, *, fault: str = "") -> Process:
        """A new incarnation of a slot: `web`, `beat`, or a worker's."""
        with self._birth:
            name = f"{slot}.{next(self._births)}"
            order = {
                "role": slot.partition("-")[0],
                "name": name,
                "env": {"PGAPPNAME": name, "CINEFLOW_FAULT": fault},
                "log": str(self.folder / "logs" / f"{slot}.log"),
            }
            assert self.nursery.stdin is not None
            self.nursery.stdin.write(json.dumps(order).encode() + b"\n")
            self.nursery.stdin.flush()
            process = Process(name, int(_line(self.nursery.stdout)))
        self.processes[slot] = process
        return process

    def kill(self, slot: str) -> None:
        self.processes[slot].kill()

    def _end_all(self) -> None:
        for slot in list(self.processes):
            self.kill(slot)

    @property
    def web_deaths(self) -> int:
        """How often gunicorn has found its worker dead: killed whole, it finds nothing any more."""
        return (self.folder / "logs" / "web.log").read_text(errors="replace").count("sent SIGKILL")

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                if requests.get(f"{self.url}/readyz", timeout=5).ok:
                    return
            time.sleep(0.2)
        raise SystemExit(f"The web server does not get ready; see {self.folder / 'logs'}")

    # ---- what can be asked -------------------------------------------------------------------

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            self.postgres.url, autocommit=True, connect_timeout=5, application_name="checker"
        )

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        with self.connect() as connection:
            return connection.execute(sql, parameters).fetchall()

    def ledger(self) -> dict[str, Any]:
        answer = requests.get(f"http://127.0.0.1:{self.simulator_port}/__sim__/ledger", timeout=30)
        found: dict[str, Any] = answer.json()
        return found


def _line(stream: IO[bytes] | None) -> str:
    assert stream is not None
    return stream.readline().decode().strip()
