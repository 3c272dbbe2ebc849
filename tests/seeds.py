"""The catalogue of a fresh installation, for a database that a transactional test has emptied."""

import pkgutil
from importlib import import_module

from django.apps import apps

from providers import migrations
from providers.models import Provider

_MODULES = [
    import_module(f"{migrations.__name__}.{found.name}")
    for found in sorted(pkgutil.iter_modules(migrations.__path__), key=lambda found: found.name)
]


def seed() -> None:
    """What the migrations put there, in their order; nothing where something is."""
    if Provider.objects.exists():
        return
    for module in _MODULES:
        if hasattr(module, "seed"):
            module.seed(apps, None)
