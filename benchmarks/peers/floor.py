"""The floor: one event loop and nothing else. It keeps nothing, so what it had in flight is lost with it."""

import asyncio

from benchmarks.peers import jobs
from benchmarks.peers.load import Load, Stopwatch


async def main() -> None:
    load, watch = Load.from_argument(), Stopwatch()
    late: list[float] = []
    async with jobs.session() as http:
        await asyncio.gather(*(jobs.make(http, load, n, late) for n in range(load.jobs)))
    watch.tell(late)


if __name__ == "__main__":
    asyncio.run(main())
