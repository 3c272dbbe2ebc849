"""Ends connections at their deadlines: one thread for all of them, instead of a timer for each."""

import heapq
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress


class Watch:
    """One connection's deadline."""

    __slots__ = ("_handle", "_lock", "_on_cut", "deadline")

    def __init__(
        self,
        deadline: float,
        handle: socket.socket,
        on_cut: Callable[[], None],
        lock: threading.Condition,
    ) -> None:
        self.deadline = deadline
        self._handle: socket.socket | None = handle
        self._on_cut: Callable[[], None] | None = on_cut
        self._lock = lock

    @property
    def is_over(self) -> bool:
        return self._handle is None

    def end(self) -> None:
        """After it, nothing is cut: the handle may be closed, and its number given out again."""
        with self._lock:
            self._handle = self._on_cut = None

    def cut(self) -> None:
        """Closes with a reset: what is still in the buffer is thrown away, not sent later."""
        if self._handle is None or self._on_cut is None:
            return
        self._on_cut()
        with suppress(OSError):
            self._handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._handle.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """Its thread starts with the first watch."""

    # So many that are over are kept before they are cleared away.
    _MAX_OVER = 1_000

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._clear_at = self._MAX_OVER

    def watch(self, handle: socket.socket, deadline: float, on_cut: Callable[[], None]) -> Watch:
        """`deadline` is of `time.monotonic`. The caller ends the watch before it closes the handle."""
        watch = Watch(deadline, handle, on_cut, self._changed)
        with self._changed:
            heapq.heappush(self._watches, (deadline, next(self._numbers), watch))
            if len(self._watches) > self._clear_at:
                self._clear()
            if self._watches[0][2] is watch:
                self._changed.notify()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
        return watch

    def _clear(self) -> None:
        self._watches = [entry for entry in self._watches if not entry[2].is_over]
        heapq.heapify(self._watches)
        self._clear_at = 2 * len(self._watches) + self._MAX_OVER

    def _run(self) -> None:
        with self._changed:
            while True:
                self._changed.wait(self._cut_overdue())

    def _cut_overdue(self) -> float | None:
        """Returns the seconds to the next deadline, if there is one."""
        while self._watches:
            deadline, _, watch = self._watches[0]
            left = deadline - time.monotonic()
            if left > 0 and not watch.is_over:
                return left
            heapq.heappop(self._watches)
            watch.cut()
        return None


WATCHDOG = Watchdog()
