"""How gunicorn serves CineFlow: `gunicorn --config python:cineflow.gunicorn cineflow.wsgi`."""

import os

from cineflow.gunicorn_worker import MAX_HEAD_BYTES

bind = os.environ.get("GUNICORN_BIND") or f"127.0.0.1:{os.environ.get('PORT') or 8000}"
worker_class = "cineflow.gunicorn_worker.Worker"
workers = int(os.environ.get("WEB_WORKERS") or 1)
threads = 16
worker_connections = 1000

# A worker whose main loop is stuck is replaced; requests run in threads and are not limited by this.
timeout = 60
graceful_timeout = 15
keepalive = 20

# As much as is read at all: a token of any size reaches Django, which refuses it as it refuses any wrong one.
limit_request_line = 8190
limit_request_field_size = MAX_HEAD_BYTES
limit_request_fields = 100

# Heartbeats of workers are written to a file; a disk that stalls must not look like a worker that does.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
# Its control socket lies in the home folder, where two servers of one user would share it.
control_socket_disable = True

accesslog = "-" if os.environ.get("ACCESS_LOG") else None
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'  # no query: it may hold a signature
