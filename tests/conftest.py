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
