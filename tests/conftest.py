from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """A data folder of the test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings.DATA_DIR = folder
    settings.OUTPUT_ROOTS = [folder / "output"]
    return folder


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Nobody guesses the passwords of made-up users; hashing them well takes most of a second each."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


# Below these, a test that asks for no database has none.
_MAY_BE_WITHOUT = ("core", "providers", "storyboards")
_WITHOUT = ("test_requirements.py", "test_runner.py", "test_servers.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_without_database(item):
            item.add_marker("once")


def _is_without_database(item: pytest.Item) -> bool:
    place = item.path.relative_to(Path(__file__).parent)
    if place.name in _WITHOUT:
        return True
    fixtures: set[str] = set(getattr(item, "fixturenames", ()))
    asked = item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db"}
    return place.parts[0] in _MAY_BE_WITHOUT and not asked
