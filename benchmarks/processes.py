"""What running processes have cost so far, as Linux tells it."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from family(int(child))


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of the processes and of their children that have ended."""
    return sum(map(_cpu_ticks, pids)) / _TICKS


def _cpu_ticks(pid: int) -> int:
    with suppress(OSError):
        # The name, in brackets, may hold blanks itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0


def reset_peaks(pids: Iterable[int]) -> None:
    """Lets `peak_megabytes` start anew; without the right to do that it stays the peak since the start."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_megabytes(pids: Iterable[int]) -> float:
    """The most memory that was resident in one of the processes."""
    return max((_peak_kilobytes(pid) for pid in pids), default=0) / 1024


def peak_megabytes_together(pids: Iterable[int]) -> float:
    """Of all of them, each at its own peak."""
    return sum(map(_peak_kilobytes, pids)) / 1024


def _peak_kilobytes(pid: int) -> int:
    return _kilobytes(pid, "VmHWM:")


def resident_megabytes(pid: int) -> float:
    return _kilobytes(pid, "VmRSS:") / 1024


def _kilobytes(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0


def open_files(pid: int) -> int:
    """Files, sockets and pipes that a process holds open."""
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0
