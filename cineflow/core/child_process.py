"""Server processes that live no longer than the process that started them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LOG_TAIL = 2_000

# Loaded here, not in the forked child: there, another thread's lock may be held for ever.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartFailed(RuntimeError):
    """A server could not be found, or did not come up."""


def start(
    command: Sequence[str | Path],
    *,
    dies_by: signal.Signals = signal.SIGKILL,
    **popen: Any,
) -> subprocess.Popen[bytes]:
    """`Popen` for a child that ends with us, and that a terminal's Ctrl-C does not reach.

    `dies_by` is sent to it when we die, even by KILL; but only Linux can do that, so call `stop`.
    The trap: Linux counts the *thread* that started the child as its parent. Start a server from
    a thread that lasts, or it dies with that thread.
    """
    follow = partial(_follow_parent, os.getpid(), dies_by)
    return subprocess.Popen(command, start_new_session=True, preexec_fn=follow, **popen)


def _follow_parent(parent: int, dies_by: signal.Signals) -> None:
    """Runs in the child between fork and exec.

    It must come after a change of user, which clears the setting: `Popen(user=…)` does it so.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(dies_by), 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked, so no signal will come
        os._exit(1)


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], *, log: Path, seconds: float
) -> None:
    """Returns once `ready()`; else ends the process and raises with the end of its log."""
    deadline = time.monotonic() + seconds
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.01)
        raise StartFailed(_why(process, log))
    except BaseException:
        stop(process)
        raise


def _why(process: subprocess.Popen[bytes], log: Path) -> str:
    state = "does not answer" if process.returncode is None else f"ended ({process.returncode})"
    tail = log.read_text(errors="replace")[-_LOG_TAIL:].strip() or "(empty)"
    return f"The server that was started {state}. The end of {log.name}:\n{tail}"


def stop(
    process: subprocess.Popen[bytes],
    *,
    by: signal.Signals = signal.SIGTERM,
    patience: float = 5.0,
) -> None:
    """Asks it to end, waits, and kills what does not. Does nothing to a process already ended."""
    process.send_signal(by)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    process.kill()
    process.wait()
