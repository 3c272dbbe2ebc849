from django.apps import AppConfig
from django.contrib.admin import apps as admin

# Imported for its effect: the Celery app must exist before the entry points bind to it.
from cineflow import celery as celery


class CineflowConfig(AppConfig):
    name = "cineflow"
    default = True


class CineflowAdminConfig(admin.AdminConfig):
    default = False
    default_site = "cineflow.admin_site.Site"
