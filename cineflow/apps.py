from django.apps import AppConfig

# Imported for its effect: the Celery app must exist before the entry points bind to it.
from cineflow import celery as celery


class CineflowConfig(AppConfig):
    name = "cineflow"
