"""A wire between the workers and the provider that can be cut and slowed."""

import asyncio
import socket
import struct
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards TCP in a thread of its own. What it still holds when a client goes is thrown away, never sent late."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.cutting = False
        self.cut_connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        started: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="proxy")
        self._thread.start()
        self.port = started.result(10)

    def cut(self) -> None:
        """Reset every connection, and new ones as soon as they stand, until `heal`."""
        self.cutting = True
        self._loop.call_soon_threadsafe(self._reset_all)

    def slow(self, seconds: float) -> None:
        """Each piece waits so long on its way, until `heal`."""
        self.delay = seconds

    def heal(self) -> None:
        self.delay, self.cutting = 0.0, False

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, started: "Future[int]") -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: "Future[int]") -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        self._reset_all()
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._forward(reader, writer))
        self._served.add(serving)
        serving.add_done_callback(self._served.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.cutting:
                self._reset(writer)
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._open.add(far_writer)
            ways = [self._pump(reader, far_writer), self._pump(far_reader, writer)]
            with suppress(OSError):
                await asyncio.gather(*ways)
            self._open.discard(far_writer)
            far_writer.close()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            if self.delay:
                await asyncio.sleep(self.delay)
                if reader.exception():
                    return
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    def _reset_all(self) -> None:
        for writer in list(self._open):
            self._reset(writer)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self.cut_connections += 1
        raw: Any = writer.get_extra_info("socket")
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
