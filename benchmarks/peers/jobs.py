"""One job from its submit to its file, on asyncio and aiohttp: what the floor and the asynchronous queue share."""

import asyncio
from pathlib import Path

import aiohttp

from benchmarks.peers.load import HEADERS, Load, order

CONNECTIONS = 100


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS), headers=HEADERS)


async def make(http: aiohttp.ClientSession, load: Load, number: int, late: list[float]) -> None:
    async with http.post(f"{load.base_url}/videos", json=order(number)) as answer:
        job = (await answer.json())["id"]
    await _wait(http, f"{load.base_url}/videos/{job}", load.interval, late)
    async with http.get(f"{load.base_url}/videos/{job}/content") as answer:
        Path(load.folder, f"{number:05}.mp4").write_bytes(await answer.read())


async def _wait(http: aiohttp.ClientSession, url: str, interval: float, late: list[float]) -> None:
    clock = asyncio.get_running_loop().time
    status = ""
    while status != "completed":
        due = clock() + interval
        await asyncio.sleep(interval)
        async with http.get(url) as answer:
            status = (await answer.json())["status"]
        late.append(clock() - due)
