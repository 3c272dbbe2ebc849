"""Celery as it is usually taken for this: one task a job, which sleeps in its thread between polls."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import requests
from celery import Celery
from celery.signals import worker_shutdown

from benchmarks.peers.load import HEADERS, Load, order

app = Celery("sleeping", broker=os.environ.get("REDIS_URL"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1)
late: list[float] = []
_local = threading.local()


def _http() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
        _local.session.headers.update(HEADERS)
        _local.session.trust_env = False
    return _local.session  # type: ignore[no-any-return]


@app.task(name="make")
def make(load: dict[str, Any], number: int) -> None:
    wanted, http = Load(**load), _http()
    videos = f"{wanted.base_url}/videos"
    job = http.post(videos, json=order(number), timeout=60).json()["id"]
    status = ""
    while status != "completed":
        due = time.monotonic() + wanted.interval
        time.sleep(wanted.interval)
        status = http.get(f"{videos}/{job}", timeout=60).json()["status"]
        late.append(time.monotonic() - due)
    content = http.get(f"{videos}/{job}/content", timeout=60).content
    Path(wanted.folder, f"{number:05}.mp4").write_bytes(content)


@worker_shutdown.connect
def _tell(**_: Any) -> None:
    Path(os.environ["LATE"]).write_text(json.dumps(late))
