"""Procrastinate: a PostgreSQL queue, one asynchronous task a job, as many at once as there are jobs."""

import asyncio
import os

import aiohttp
from procrastinate import App, PsycopgConnector

from benchmarks.peers import jobs
from benchmarks.peers.load import Load, Stopwatch

app = App(connector=PsycopgConnector(conninfo=os.environ.get("DATABASE_URL", "")))
late: list[float] = []
http: aiohttp.ClientSession


@app.task(name="make", queue="jobs")  # type: ignore[untyped-decorator]
async def make(load: dict[str, object], number: int) -> None:
    await jobs.make(http, Load(**load), number, late)  # type: ignore[arg-type]


async def main() -> None:
    global http
    load = Load.from_argument()
    values = {name: getattr(load, name) for name in ("base_url", "jobs", "interval", "folder")}
    async with app.open_async(), jobs.session() as http:
        await app.schema_manager.apply_schema_async()
        watch = Stopwatch()
        await make.batch_defer_async(*({"load": values, "number": n} for n in range(load.jobs)))
        await app.run_worker_async(concurrency=load.jobs, wait=False, install_signal_handlers=False)
        watch.tell(late)


if __name__ == "__main__":
    asyncio.run(main())
