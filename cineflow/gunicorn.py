"""How gunicorn serves CineFlow: `gunicorn --config python:cineflow.gunicorn cineflow.wsgi`."""

import os

bind = os.environ.get("GUNICORN_BIND") or f"127.0.0.1:{os.environ.get('PORT') or 8000}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 1)
threads = 12
