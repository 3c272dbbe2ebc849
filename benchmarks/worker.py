"""The worker as it is. It also writes down when each poll was answered and how late: into its data folder."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from celery.signals import worker_shutdown

from cineflow.worker import app

__all__ = ["app"]

_late: list[tuple[float, float]] = []


class _Keep(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _late.extend((record.created, seconds) for seconds in getattr(record, "late", ()))


_polls = logging.getLogger("runs.steps.poll")
_polls.setLevel(logging.DEBUG)
_polls.propagate = False
_polls.addHandler(_Keep())


@worker_shutdown.connect
def _tell(**_: Any) -> None:
    Path(os.environ["CINEFLOW_DATA_DIR"], f"late-{os.getpid()}.json").write_text(json.dumps(_late))
