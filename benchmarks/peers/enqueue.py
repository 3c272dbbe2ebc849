"""Hands the jobs to Celery's queue, as a web server would."""

from dataclasses import asdict

from benchmarks.peers.celery_sleeping import app, make
from benchmarks.peers.load import Load

if __name__ == "__main__":
    load = Load.from_argument()
    with app.producer_or_acquire() as producer:
        for number in range(load.jobs):
            make.apply_async((asdict(load), number), producer=producer)
