"""Celery entry points, and the hint that calls them. A hint says "there is due work" and nothing else."""

import logging
import threading
import time
from datetime import timedelta

from celery import current_app, shared_task
from django.db import transaction
from django.utils import timezone
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cineflow.api import idempotency
from cineflow.core.faults import fault
from providers import client_events, liveness
from runs import leftovers, notices, start_images
from runs.models import Heartbeat
from runs.sweep import Sweep

logger = logging.getLogger(__name__)

# The sweep of this process, when it is a worker's; set by the worker's boot step.
sweep: Sweep | None = None

# After a failed hint none is sent for a while: a frozen broker costs one request half a second, not every request.
_SILENCE_SECONDS = 10.0
_silent_until = 0.0
_publishing = threading.Lock()


@shared_task(name="runs.tasks.wake")
def wake() -> None:
    if sweep is not None:
        sweep.wake()


@shared_task(name="runs.tasks.housekeeping")
def housekeeping() -> None:
    """What no task waits for: old heartbeats, client events and keys, files that a crash has left, ends to be told."""
    now = timezone.now()
    Heartbeat.objects.filter(at__lt=now - timedelta(days=1)).delete()
    client_events.prune(now=now)
    idempotency.prune(now=now)
    notices.prune(now=now)
    start_images.forget_fetched()
    leftovers.sweep(time.time())
    liveness.log_sunsets(now.date())


def hint() -> None:
    """After the commit, wake a worker. Losing it costs a second: the sweep finds the row anyway."""
    transaction.on_commit(_publish, robust=True)


def _publish() -> None:
    global _silent_until
    fault("committed_before_hint")
    if time.monotonic() < _silent_until or not _publishing.acquire(blocking=False):
        return
    try:
        with _connection() as connection:
            # The stubs know only some of what the publisher takes.
            wake.apply_async(connection=connection, retry=False)  # type: ignore[call-arg]
    except (OperationalError, RedisError, OSError) as error:
        _silent_until = time.monotonic() + _SILENCE_SECONDS
        logger.warning(
            "the broker did not take a hint (%s); the sweep finds the work", type(error).__name__
        )
    finally:
        _publishing.release()


def _connection() -> Connection:
    """With short time-outs of its own: an API request must not hang on a broker that has frozen."""
    short = {
        "socket_timeout": 0.5,
        "socket_connect_timeout": 0.5,
        "retry_on_timeout": False,
        "max_connections": 2,
        "max_retries": 0,  # without it kombu tries three times, and sleeps in between
    }
    connection: Connection = current_app.connection_for_write(transport_options=short)
    return connection


def broker_answers() -> bool:
    try:
        with _connection() as connection:
            connection.ensure_connection(max_retries=0)
            # Redis's channel has a client; the stubs know what all channels have.
            connection.default_channel.client.ping()  # type: ignore[attr-defined]
    except (OperationalError, RedisError, OSError) as error:
        logger.info("the broker does not answer: %s", type(error).__name__)
        return False
    return True
