"""Files that survive a crash and stay inside their folder."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, chunks: Iterable[bytes]) -> int:
    """Write `path` whole or not at all; returns its size in bytes."""
    with atomic_file(path) as file:
        for chunk in chunks:
            file.write(chunk)
        return file.tell()


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file under a temporary name that becomes `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """A rename is only on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kept_secret(path: Path) -> str:
    """The secret in `path`, made at first use; parallel first uses agree on one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    mine.touch(mode=0o600, exist_ok=False)
    mine.write_text(secrets.token_urlsafe(50), encoding="ascii")
    try:
        # A hard link fails when the name is taken: the first process wins, with a file already full.
        os.link(mine, path)
    except FileExistsError:
        pass
    finally:
        mine.unlink()
    return path.read_text(encoding="ascii").strip()
