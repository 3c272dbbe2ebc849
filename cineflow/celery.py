"""The Celery app: it carries hints, never work (docs/engine.md)."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cineflow.settings")

app = Celery("cineflow")
app.conf.update(
    broker_url=settings.REDIS_URL,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=False,  # a hint that is lost costs a second; one that returns for ever costs more
    task_store_errors_even_if_ignored=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    broker_pool_acquire_timeout=2,
    broker_pool_limit=2,
    broker_transport_options={
        "visibility_timeout": 600,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "unacked_mutex_expire": 30,
        "global_keyprefix": "cineflow:",
    },
    timezone="UTC",
    enable_utc=True,
    beat_schedule={"housekeeping": {"task": "runs.tasks.housekeeping", "schedule": 3600.0}},
)
app.autodiscover_tasks(["runs"])
