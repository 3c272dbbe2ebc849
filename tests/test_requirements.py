"""The locked requirements are those of pyproject.toml, hashed, and name no registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-dev.txt": PROJECT["dependency-groups"]["dev"],
}


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _blocks(name: str) -> list[str]:
    """One a package: its pin with the hashes that follow."""
    return re.findall(r"^[A-Za-z0-9].*(?:\n    --hash.*)*", _text(name), re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_every_direct_dependency_is_locked_to_a_version_it_allows(name: str) -> None:
    pinned = dict(
        re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", _text(name), re.MULTILINE)
    )
    locked = {canonicalize_name(package): Version(version) for package, version in pinned.items()}
    for requirement in map(Requirement, FILES[name]):
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, (
            f"{requirement}: make lock"
        )


@pytest.mark.parametrize("name", FILES)
def test_every_package_has_hashes(name: str) -> None:
    assert _blocks(name)
    assert [block for block in _blocks(name) if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", FILES)
def test_no_registry_is_named(name: str) -> None:
    assert "//" not in _text(name)
    assert "index" not in _text(name).replace("importlib", "")


def test_both_files_agree_on_a_version() -> None:
    pins = [
        dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", _text(name), re.MULTILINE))
        for name in FILES
    ]
    runtime, development = pins
    assert {name: development[name] for name in runtime if name in development} == {
        name: version for name, version in runtime.items() if name in development
    }
