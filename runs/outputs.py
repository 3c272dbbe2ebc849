"""Where a run's files go, and how they get there without leaving their folder.

`output_folder` of a run and `path` of a file are relative to the data folder, or absolute below an output root.
"""

import hashlib
import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from django.conf import settings

from cineflow.core import ids
from cineflow.core.errors import Invalid, problem
from runs.models import Run, Task
from storyboards.models import Storyboard

MAX_PATH_LENGTH = 1024
_MAX_NAME_BYTES = 200


# ---- the folder of a run -----------------------------------------------------------------------


def folder_for(run: Run, storyboard: Storyboard) -> str:
    """The folder that a new run's files will lie in; raises `Invalid` for a path that leaves its root."""
    match run.output_mode:
        case "in_place":
            return str(PurePosixPath(storyboard.original).parent / run.public_id)
        case "custom":
            return str(_custom_folder(run.output_path) / run.public_id)
        case _:
            return f"output/{run.public_id}"


def _custom_folder(wanted: str | None) -> Path:
    if not wanted or not wanted.strip():
        raise _refused("output_mode 'custom' needs an output_path: a folder below the output root.")
    parts = PurePosixPath(wanted).parts
    if len(wanted) > MAX_PATH_LENGTH or any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        raise _refused("output_path is too long.")
    if "\\" in wanted or ":" in wanted or not wanted.isprintable():
        raise _refused("output_path may not hold backslashes, colons or control characters.")
    if wanted.startswith(("/", "~")) or ".." in parts or not parts:
        raise _refused("output_path must stay below the output root: a relative path without '..'.")
    root = _root_of(parts[0])
    folder = root
    for part in parts:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise _refused("output_path leads through a link or a file; name a plain folder.")
    return folder


def _root_of(first: str) -> Path:
    """The output root in which the folder already exists, else the first one."""
    roots: list[Path] = settings.OUTPUT_ROOTS
    return next((root for root in roots if (root / first).is_dir()), roots[0])


def _refused(message: str) -> Invalid:
    return Invalid([problem(["output_path"], message)])


# ---- files -------------------------------------------------------------------------------------


def absolute(path: str) -> Path:
    """Where a stored path lies on this machine."""
    return Path(settings.DATA_DIR) / path


def file_name(task: Task, attempt_number: int) -> str:
    """`00012-t1-a2.mp4`; attempt 0 is a reused take."""
    return f"{task.segment_index:05}-t{task.take}-a{attempt_number}.mp4"


def scratch(attempt_id: object, fence: int) -> Path:
    """A temporary file of one claim; a second worker with the same job has another fence."""
    return scratch_folder() / f"{attempt_id}-{fence}.part"


def scratch_folder() -> Path:
    return Path(settings.DATA_DIR) / "tmp"


def place(file: Path, run_folder: str, name: str) -> str:
    """Move a finished file into a run's folder under a name that nothing has yet; returns its stored path.

    The name is sure to last only after `sync_run_folders`.

    A crash may have left this very file there already: then it is taken for what it is. Another
    file of that name is left alone, and ours gets a name beside it.
    """
    path = _put(file, run_folder, name)
    file.unlink()
    return path


def link_copy(source: str, run_folder: str, name: str) -> str:
    """A stored file once more in another run's folder: a hard link where that works, else a copy."""
    return _put(absolute(source), run_folder, name)


def _put(file: Path, run_folder: str, name: str) -> str:
    """Under the first name that is free, or that this very file has already."""
    with _open_folder(run_folder) as folder:
        taken = next(
            candidate
            for candidate in _names(name)
            if _link(file, folder, candidate) or _same(file, folder, candidate)
        )
    return str(PurePosixPath(run_folder) / taken)


def _names(name: str) -> Iterator[str]:
    """Without an end: `a.mp4`, `a-2.mp4`, `a-3.mp4` …"""
    yield name
    stem = name.removesuffix(".mp4")
    for number in itertools.count(2):
        yield f"{stem}-{number}.mp4"


def _link(file: Path, folder: int, name: str) -> bool:
    try:
        os.link(file, name, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:  # another file system, or one without hard links
        return _copy(file, folder, name)
    return True


def _copy(file: Path, folder: int, name: str) -> bool:
    partial = f".{name}.{os.getpid()}.part"
    try:
        descriptor = os.open(
            partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640, dir_fd=folder
        )
        with os.fdopen(descriptor, "wb") as copy, file.open("rb") as source:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)
    return True


def _same(file: Path, folder: int, name: str) -> bool:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as there:
        if os.fstat(there.fileno()).st_size != file.stat().st_size:
            return False
        return hashlib.file_digest(there, "sha256").digest() == _digest(file)


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


@contextmanager
def _open_folder(run_folder: str) -> Iterator[int]:
    """The run's folder as a descriptor, made where it is missing, never through a link below its root."""
    root, parts = _root_and_parts(run_folder)
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            inner = _inner_folder(part, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _inner_folder(part: str, folder: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(part, flags, dir_fd=folder)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(part, 0o750, dir_fd=folder)
        return os.open(part, flags, dir_fd=folder)


def _root_and_parts(run_folder: str) -> tuple[Path, tuple[str, ...]]:
    folder = absolute(run_folder)
    for root in _roots():
        if folder.is_relative_to(root):
            return root, folder.relative_to(root).parts
    raise PermissionError(f"{run_folder} lies below no output root any more; see OUTPUT_ROOTS")


def is_stored(path: str, size: int) -> bool:
    """Whether a file of that size lies there, as a plain file."""
    try:
        facts = absolute(path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size == size


def what_is_wrong(path: str, size: int, sha256: str | None) -> str:
    """What a stored file is not as its row says; empty when it is. Without a hash it is not read."""
    file = absolute(path)
    try:
        facts = file.lstat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(facts.st_mode) or not _is_inside(file.parent):
        return "leads out of its root, or is no plain file"
    if facts.st_size != size:
        return f"has {facts.st_size} bytes, not {size}"
    if sha256 is not None and _digest(file).hex() != sha256:
        return "has another hash"
    return ""


def _is_inside(folder: Path) -> bool:
    """Links followed, the folder lies below the root that its name says."""
    real = folder.resolve()
    return any(
        folder.is_relative_to(root) and real.is_relative_to(root.resolve()) for root in _roots()
    )


def _roots() -> tuple[Path, ...]:
    """Folders that may be links or mounts themselves; nothing below them may. The inner one comes first."""
    data = Path(settings.DATA_DIR)
    return (data / "output", *settings.OUTPUT_ROOTS, data)


def all_files() -> Iterator[Path]:
    """What lies in the folders of runs, below every root, and in the folder for temporary files."""
    ours = [Path(settings.DATA_DIR) / name for name in ("output", "storyboards")]
    for root in (*ours, scratch_folder(), *settings.OUTPUT_ROOTS):
        for folder, _, names in os.walk(root):
            if folder == str(scratch_folder()) or ids.parse("run", Path(folder).name):
                yield from (Path(folder, name) for name in names)


def sync(file: Path) -> None:
    """Its contents onto the disk, before anything claims that they are there."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def sync_run_folders(run_folders: Iterable[str]) -> None:
    """The names in them onto the disk; once for all files of a group."""
    for run_folder in set(run_folders):
        with _open_folder(run_folder) as folder:
            os.fsync(folder)
