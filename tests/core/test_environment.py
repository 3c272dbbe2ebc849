"""Settings as a fresh process reads them: from the environment, from mounted files, from `.env`."""

import os
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-canary-0123456789"
READ = "from django.conf import settings; print([*settings.PROVIDERS['openai']['key']])"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {
        **kept,
        "CINEFLOW_DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "cineflow.settings",
        # A `.env` of whoever runs the tests must not decide their outcome.
        "OPENAI_API_KEY": "",
    }


def run(*command: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def key_of(env: dict[str, str]) -> str:
    done = run("-c", READ, env=env)
    assert done.returncode == 0, done.stderr
    characters: list[str] = literal_eval(done.stdout)
    return "".join(characters)


def mounted(folder: Path, content: bytes) -> str:
    path = folder / "key"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("content", [KEY, f"{KEY}\n", f"{KEY}\r\n", f"  {KEY}\n\n"])
def test_a_key_is_read_from_a_mounted_file_without_its_line_end(
    content: str, environment: dict[str, str], tmp_path: Path
) -> None:
    path = mounted(tmp_path, content.encode())
    assert key_of({**environment, "OPENAI_API_KEY_FILE": path}) == KEY


def test_a_file_wins_over_the_variable_and_an_empty_name_over_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["OPENAI_API_KEY"] = "sk-variable"
    assert key_of({**environment, "OPENAI_API_KEY_FILE": ""}) == "sk-variable"
    path = mounted(tmp_path, KEY.encode())
    assert key_of({**environment, "OPENAI_API_KEY_FILE": path}) == KEY


def test_a_key_that_begins_with_a_dollar_sign_refers_to_nothing(
    environment: dict[str, str],
) -> None:
    assert key_of({**environment, "OPENAI_API_KEY": "$HOME"}) == "$HOME"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: str(folder / "nothing"), "cannot be read: No such file or directory."),
        (lambda folder: str(folder), "cannot be read: Is a directory."),
        (lambda folder: mounted(folder, KEY.encode() + b"\xff"), "is no UTF-8 text."),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_start_in_one_clear_line(
    make: object, why: str, environment: dict[str, str], tmp_path: Path
) -> None:
    assert callable(make)
    path = make(tmp_path)
    done = run("manage.py", "check", env={**environment, "OPENAI_API_KEY_FILE": path})
    assert done.returncode == 1
    assert done.stderr == f"Wrong setting: OPENAI_API_KEY_FILE names {path}, which {why}\n"
    assert KEY not in done.stdout


def test_a_key_works_as_text_and_shows_in_no_repr(environment: dict[str, str]) -> None:
    environment |= {"OPENAI_API_KEY": KEY, "SECRET_KEY": f"{KEY}-of-the-sessions"}
    shown = run(
        "-c", "from django.conf import settings; print(settings.PROVIDERS)", env=environment
    )
    assert "'key': '…', 'base_url': 'https://api.openai.com/v1'" in shown.stdout
    everything = run("manage.py", "diffsettings", "--all", env=environment)
    assert everything.returncode == 0, everything.stderr
    assert KEY not in shown.stdout + everything.stdout
    text = "from django.conf import settings; print(settings.PROVIDERS['openai']['key'])"
    assert run("-c", text, env=environment).stdout.strip() == KEY


DOTENV = """\
import sys
from pathlib import Path
from cineflow.core.environment import Env
env = Env()
env.read_dotenv(Path(sys.argv[1]))
print(*(env.secret(name) for name in ("A_KEY", "B_KEY", "C_KEY")), sep="|")
"""


def test_a_line_of_dotenv_that_cannot_be_read_is_told_without_its_text(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "my.env"
    path.write_text(f"# A_KEY=none\nA_KEY='a b'\n\nB_KEY = {KEY}\nexport C_KEY=c\n")
    done = run("-c", DOTENV, str(path), env={**environment, "C_KEY": "outside"})
    assert done.stdout == "a b||outside\n"
    assert done.stderr == "my.env, line 4 is not NAME=value and is left out\n"
