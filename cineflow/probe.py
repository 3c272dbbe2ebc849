"""`python -m cineflow.probe web|worker`: the health checks of docker-compose.yml. Exit code 0 is healthy.

Without Django, whose start alone would cost a good part of a second of every probe.
"""

import os
import socket
import sys
import urllib.request

import psycopg

LATE_AFTER_SECONDS = 60


def web() -> bool:
    port = os.environ["GUNICORN_BIND"].rpartition(":")[2]
    # A proxy in the environment is for providers.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{port}/readyz", timeout=8) as answer:
        return bool(answer.status == 200)


def worker() -> bool:
    """A sweep of this host has beaten lately."""
    query = (
        "SELECT count(*) FROM runs_heartbeat"
        " WHERE starts_with(worker, %s) AND at > now() - make_interval(secs => %s)"
    )
    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
        row = connection.execute(query, (f"{socket.gethostname()}:", LATE_AFTER_SECONDS)).fetchone()
        return row is not None and row[0] > 0


if __name__ == "__main__":
    sys.exit(0 if {"web": web, "worker": worker}[sys.argv[1]]() else 1)
