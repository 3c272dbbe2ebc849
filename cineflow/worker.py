"""The worker's entry: ``celery -A cineflow.worker worker --pool threads``. Starts the sweep with it.

The sweep is a boot step of the worker and not of its consumer, so it runs before there is a broker, and without one.
"""

import gc
import logging
import os
from typing import Any

import django
from celery import bootsteps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cineflow.settings")
django.setup()

from cineflow.celery import app  # noqa: E402 - the models behind the sweep need the apps to be set up
from runs import tasks  # noqa: E402
from runs.sweep import Sweep  # noqa: E402

logger = logging.getLogger(__name__)


class SweepStep(bootsteps.StartStopStep):
    """Starts the lanes with the worker and lets them end in order with it."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.sweep = Sweep()

    def start(self, worker: Any) -> None:
        tasks.sweep = self.sweep
        # What was imported stays for good: the collector need not look through it again and again.
        gc.freeze()
        # A turn builds thousands of objects, and their counts free them.
        gc.set_threshold(10_000)
        self.sweep.start()
        logger.info("the sweep has started")

    def stop(self, worker: Any) -> None:
        self.sweep.stop()
        logger.info("the sweep has stopped")

    def terminate(self, worker: Any) -> None:
        self.stop(worker)


app.steps["worker"].add(SweepStep)

__all__ = ["app"]
