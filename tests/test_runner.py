import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = """
import os, pathlib
def test_url():
    url = os.environ["DATABASE_URL"]
    pathlib.Path(__file__).with_name("seen").open("a").write(url.partition(":")[0] + "\\n")
    assert os.environ["REDIS_URL"].startswith("redis://127.0.0.1:")
    assert os.environ["CINEFLOW_DATA_DIR"]
"""


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner pytest knows nothing of Django, and starts ten times faster."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def command(folder: Path, source: str, *arguments: str) -> list[str]:
    test, ini = folder / "test_dummy.py", folder / "pytest.ini"
    test.write_text(source)
    ini.write_text("[pytest]\n")
    plain = ["-c", str(ini), "-p", "no:cacheprovider", str(test)]
    return [sys.executable, "-m", "tests", *arguments, *plain]


def run(folder: Path, source: str, *arguments: str) -> tuple[int, list[str]]:
    """Its exit code, and its lines after the last of pytest's."""
    done = subprocess.run(
        command(folder, source, *arguments), cwd=ROOT, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    halves = [i for i, line in enumerate(lines) if line.startswith(("sqlite: ", "postgres: "))]
    return done.returncode, lines[halves[0] :]


def test_all_runs_on_either_database_and_is_summed_up(tmp_path: Path) -> None:
    code, (sqlite, postgres, last) = run(tmp_path, SETTINGS)
    assert (tmp_path / "seen").read_text() == "sqlite\npostgres\n"
    assert sqlite.startswith("sqlite: 1 passed, 0 failed, 0 skipped · SQLite 3.")
    assert postgres.startswith("postgres: 1 passed, 0 failed, 0 skipped · PostgreSQL ")
    assert (code, last) == (0, "2 passed, 0 failed")


def test_only_one_half_runs_when_asked(tmp_path: Path) -> None:
    code, (_, last) = run(tmp_path, SETTINGS, "--only", "sqlite")
    assert (tmp_path / "seen").read_text() == "sqlite\n"
    assert (code, last) == (0, "1 passed, 0 failed")


def test_a_failed_test_and_a_failed_teardown_count_as_failed(tmp_path: Path) -> None:
    source = (
        "import pytest\n"
        "@pytest.fixture\n"
        "def broken():\n    yield\n    raise OSError\n"
        "def test_bad(): assert 0\n"
        "def test_teardown(broken): pass\n"
        "def test_skipped(): pytest.skip()\n"
        "def test_good(): pass\n"
    )
    code, (_, last) = run(tmp_path, source, "--only=sqlite")
    assert (code, last) == (1, "1 passed, 2 failed")


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("", []),
        ("def test_a(): pass\n", ["-k", "no_such_test"]),
        ("import pytest\ndef test_a(): pytest.skip()\n", []),
        ("def test_a(): pass\n", ["--no-such-option"]),
    ],
)
def test_a_half_without_a_test_fails(tmp_path: Path, source: str, arguments: list[str]) -> None:
    code, (half, last) = run(tmp_path, source, "--only", "sqlite", *arguments)
    assert "FAILED: no test ran" in half
    assert (code, last) == (1, "0 passed, 0 failed")


def test_a_killed_pytest_fails(tmp_path: Path) -> None:
    source = "import os\ndef test_a(): os.kill(os.getpid(), 9)\n"
    code, (half, last) = run(tmp_path, source, "--only", "sqlite")
    assert half.endswith("FAILED: pytest was killed by SIGKILL")
    assert (code, last) == (1, "0 passed, 0 failed")


def test_a_server_that_is_named_is_used_and_one_that_is_away_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    code, (half, last) = run(tmp_path, SETTINGS, "--only", "sqlite")
    assert "its servers are not usable" in half
    assert (code, last) == (1, "0 passed, 0 failed")


def test_an_interrupt_lets_pytest_finish(tmp_path: Path) -> None:
    source = (
        "import pathlib, time\n"
        "here = pathlib.Path(__file__)\n"
        "def test_a():\n"
        "    here.with_name('began').touch()\n"
        "    try: time.sleep(60)\n"
        "    finally: here.with_name('cleaned').touch()\n"
    )
    with subprocess.Popen(
        command(tmp_path, source, "--only", "sqlite"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / "began").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    assert (tmp_path / "cleaned").exists()
