"""The real settings, with an adapter that is broken and views that fail."""

from cineflow.settings import *  # noqa: F403
from cineflow.settings import INSTALLED_APPS, PROVIDERS, env

INSTALLED_APPS = [*INSTALLED_APPS, "tests.canary.broken.CanaryConfig"]
PROVIDERS = {
    **PROVIDERS,
    "broken": {
        "key": env.secret("BROKEN_API_KEY"),
        "base_url": env.str("BROKEN_BASE_URL", default=""),
    },
}
ROOT_URLCONF = "tests.canary.urls"
