"""No key is ever found in the database, a file, a log, a page, an answer or a command's words.

Real web and worker processes run with keys that can be recognised, against far ends that repeat what they hear
and adapters that fail with the key in their hands; then everything that is left behind is searched.
"""

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.contrib.auth.models import User
from django.db import connection

from cineflow.core.child_process import start, stop, wait_until
from cineflow.stack import WEB
from providers.models import Provider, ProviderModel, Recovery, Route, VideoModel
from runs.models import ACTIVE, Attempt, Run
from tests.canary.broken import STAGES
from tests.canary.hunt import Find, files, hunt, tables
from tests.canary.parrot import Parrot, parrot
from tests.processes import ROOT, environment, wait_for, workers
from tests.providers.simulated import Simulator, simulator
from tests.seeds import seed
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)

# Of each provider: the variables of its key and of its address.
VARIABLES = {
    "sora_hk": ("SORA_API_KEY", "SORA_BASE_URL"),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "aihubmix": ("AIHUBMIX_API_KEY", "AIHUBMIX_BASE_URL"),
    "openrouter": ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL"),
    "fal": ("FAL_KEY", "FAL_BASE_URL"),
    "ark": ("ARK_API_KEY", "ARK_BASE_URL"),
    "minimax": ("MINIMAX_API_KEY", "MINIMAX_BASE_URL"),
    "replicate": ("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL"),
    "runway": ("RUNWAYML_API_SECRET", "RUNWAYML_BASE_URL"),
    "broken": ("BROKEN_API_KEY", "BROKEN_BASE_URL"),
}
OTHERS = (
    "AUTH_TOKEN",
    "SECRET_KEY",
    "OPENAI_WEBHOOK_SECRET",
    "OPENROUTER_WEBHOOK_SECRET",
    "REPLICATE_WEBHOOK_SECRET",
)
RHYTHM = {
    "API_REQUEST_TIMEOUT_SECONDS": "3",
    "POLL_INITIAL_WAIT_SECONDS": "0.05",
    "POLL_INTERVAL_SECONDS": "0.05",
    "MAX_POLL_TIME": "6",
    "RETRY_BACKOFF_SECONDS": "0.05",
    "BREAKER_SECONDS": "0.05",
    "LOOK_UP_DELAYS": "0.1,0.3",
    "SWEEP_INTERVAL_SECONDS": "0.05",
    "MAX_ATTEMPTS": "3",
}
# What the simulator does wrong, and what it does right.
PROMPTS = [
    "A city at dusk.",
    "A city at dawn. [[sim:submit=401*1]]",
    "A city. [[sim:submit=400]]",
    "A town. [[sim:submit=402*1]]",
    "A lake. [[sim:submit=429*1]]",
    "A hill. [[sim:submit=500_after_create]]",
    "A road. [[sim:submit=drop_after_create]]",
    "A tree. [[sim:submit=bad_json]]",
    "A wolf. [[sim:fail=server_error]]",
    "A bird. [[sim:poll=401*2]]",
    "A boat. [[sim:poll=unknown_status*2]]",
    "A moon. [[sim:fetch=401*1]]",
    "A star. [[sim:fetch=redirect_other_origin]]",
]


def made_up(name: str) -> str:
    """With characters that addresses and pages write in another way."""
    return f"cnry-{name.lower()}+{secrets.token_hex(16)}/{secrets.token_hex(4)}="


@dataclass
class Scene:
    """Everything that runs, what it was told, and what it said."""

    folder: Path
    secrets: dict[str, str]
    env: dict[str, str]
    url: str
    far_end: Simulator
    parrot: Parrot
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        token = {"Authorization": f"Bearer {self.secrets['AUTH_TOKEN']}"}
        answer = requests.request(method, f"{self.url}{path}", headers=token, timeout=60, **more)
        self.note(answer)
        return answer

    def note(self, answer: requests.Response) -> None:
        head = repr(dict(answer.headers)).encode()
        self.heard.append((f"{answer.request.method} {answer.url}", head + answer.content))

    def commands(self, *lines: str) -> None:
        """One process for all of them: it is the words that count, and a start takes seconds."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.canary.commands", *lines],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            check=False,
        )
        self.heard.append(("commands", done.stdout + done.stderr))
        for line in lines:
            assert f"$ {line}".encode() in done.stdout, done.stderr.decode()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    seed()
    made = {name: made_up(name) for name in OTHERS}
    made |= {variable: made_up(provider) for provider, (variable, _) in VARIABLES.items()}
    port = free_port()
    with (
        simulator(seconds=0.1, api_key=made["OPENAI_API_KEY"], quote_key=True) as far_end,
        parrot() as bird,
    ):
        addresses = {where: f"{bird.url}/{name}" for name, (_, where) in VARIABLES.items()}
        more = {
            "OPENAI_BASE_URL": far_end.base_url,
            "OPENAI_DIALECT": "openai",
            "FAL_API_BASE_URL": f"{bird.url}/fal",
            "PUBLIC_BASE_URL": "https://cineflow.example",
            "DJANGO_SETTINGS_MODULE": "tests.canary.settings",
            "GUNICORN_BIND": f"127.0.0.1:{port}",
            "DEBUG": "1",
            "LOG_LEVEL": "DEBUG",
            "ACCESS_LOG": "1",
            "PYTHONIOENCODING": "utf-8",
        }
        env = environment(**{**made, **addresses, **RHYTHM, **more})
        logs = Path(settings.DATA_DIR) / "logs"
        logs.mkdir()
        with (logs / "web.log").open("wb") as log:
            web = start(WEB, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _answers(url), web, log=logs / "web.log", seconds=90)
            with workers(1, logs, **env):
                yield Scene(Path(settings.DATA_DIR), made, env, url, far_end, bird)
        finally:
            stop(web, patience=20)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


# ---- the catalogue of the test -------------------------------------------------------------------


def models_of_everybody() -> list[str]:
    """Lets the model `canary` be made by each provider, and returns their ids."""
    VideoModel.objects.create(pk="canary", display_name="Canary")
    for name in VARIABLES:
        provider, _ = Provider.objects.get_or_create(pk=name, defaults={"display_name": name})
        Provider.objects.filter(pk=name).update(
            enabled=True,
            recovery=Recovery.LOOK_UP,
            can_cancel=True,
            supported_durations=[4],
            supported_resolutions=["horizontal", "vertical"],
        )
        known = provider.provider_models.order_by("pk").first()
        model = known or ProviderModel.objects.create(provider=provider, name="canary")
        ProviderModel.objects.filter(pk=model.pk).update(
            durations=[4], resolutions=None, retired_at=None, max_prompt_length=None
        )
        Route.objects.create(model_id="canary", provider_model=model)
    return list(VARIABLES)


def storyboard(prompts: list[str]) -> bytes:
    segments = [
        {"segment_index": index, "prompt_text": prompt, "duration_seconds": 4}
        for index, prompt in enumerate(prompts, 1)
    ]
    return json.dumps({"segments": segments}).encode()


def start_run(scene: Scene, provider_id: str, prompts: list[str]) -> str:
    board = scene.call("POST", "/api/v1/storyboards", files={"file": storyboard(prompts)}).json()
    wanted = {
        "storyboard_id": board["id"],
        "model_id": "canary",
        "routing_strategy": "manual",
        "provider_id": provider_id,
        "concurrency": 100,
    }
    answer = scene.call("POST", "/api/v1/runs", json=wanted)
    assert answer.status_code == 201, answer.text
    run_id: str = answer.json()["id"]
    return run_id


# ---- what is looked at -----------------------------------------------------------------------------


def look_at_the_api(scene: Scene) -> None:
    schema = scene.call("GET", "/api/schema").json()
    for path in schema["paths"]:
        if "{" not in path and "get" in schema["paths"][path]:
            scene.call("GET", path, params={"page_size": 200})
    for path in (
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/docs",
        "/api/v1/canary/crash",
        "/nothing",
    ):
        scene.call("GET", path)
    for item in scene.call("GET", "/api/v1/providers").json()["items"]:
        for below in ("", "/capabilities"):
            scene.call("GET", f"/api/v1/providers/{item['id']}{below}")
        scene.call("GET", f"/api/v1/admin/providers/{item['id']}")
    for run in scene.call("GET", "/api/v1/runs").json()["items"]:
        scene.call("GET", f"/api/v1/runs/{run['id']}")
        tasks = scene.call("GET", f"/api/v1/runs/{run['id']}/tasks", params={"page_size": 200})
        for task in tasks.json()["items"]:
            scene.call("GET", task["metadata_url"])
    refused = {"storyboard_id": "sb_none", "model_id": 5, "routing_strategy": "best"}
    assert scene.call("POST", "/api/v1/runs", json=refused).status_code == 400


def linked(scene: Scene, browser: requests.Session, path: str, pattern: str) -> list[str]:
    """Open a page of the admin; the pages like `pattern` that it leads to."""
    page = browser.get(scene.url + path, timeout=60)
    scene.note(page)
    assert page.status_code == 200, f"{path}: {page.status_code}"
    return list(dict.fromkeys(re.findall(f'href="({pattern})[?"]', page.text)))


def look_at_the_admin(scene: Scene) -> None:
    """Every list, and some of the pages that it leads to."""
    browser = requests.Session()
    hashed = make_password("a password", hasher=PBKDF2PasswordHasher())
    User.objects.create(username="root", password=hashed, is_staff=True, is_superuser=True)
    login = f"{scene.url}/admin/login/"
    browser.get(login)
    form = {
        "username": "root",
        "password": "a password",
        "csrfmiddlewaretoken": browser.cookies["csrftoken"],
    }
    scene.note(browser.post(login, data=form))
    lists = linked(scene, browser, "/admin/", r"/admin/\w+/\w+/")
    assert {"/admin/providers/providermodel/", "/admin/runs/task/"} <= set(lists)
    pages = 0
    for path in lists:
        for page in linked(scene, browser, path, rf"{path}[^/]+/change/")[:3]:
            linked(scene, browser, page, "")
            pages += 1
    assert pages > 10
    crash = browser.get(f"{scene.url}/canary/crash")
    scene.note(crash)
    assert crash.status_code == 500
    assert "Traceback" in crash.text  # the page of DEBUG, which shows everything there is


def look_at_the_commands(scene: Scene) -> None:
    check = "provider check --all --timeout 3"
    ask = "catalogue import --traceback"
    elsewhere = f"catalogue import {scene.parrot.url}/openrouter/list"
    # The parrot has another answer each time.
    scene.commands(check, check, check, ask, ask, elsewhere, "catalogue list", "diffsettings --all")


def everything(scene: Scene) -> Iterator[tuple[str, bytes]]:
    yield from scene.heard
    yield from files(scene.folder)
    yield from tables()
    if connection.vendor == "sqlite":
        # What was overwritten or deleted may lie in the file for long.
        for suffix in ("", "-wal"):
            path = Path(f"{connection.settings_dict['NAME']}{suffix}")
            if path.exists():
                yield path.name, path.read_bytes()


def has_heard(scene: Scene, names: list[str]) -> bool:
    heard = scene.parrot.heard
    return all(heard[name, "POST"] >= 12 and heard[name, "GET"] >= 10 for name in names)


def has_ended(*run_ids: str) -> bool:
    return not [
        run for run in Run.objects.all() if run.public_id in run_ids and run.status in ACTIVE
    ]


# ---- the test --------------------------------------------------------------------------------------


def test_no_key_is_found_anywhere(scene: Scene) -> None:
    everybody = models_of_everybody()
    configured = {
        item["id"]
        for item in scene.call("GET", "/api/v1/providers").json()["items"]
        if item["configured"]
    }
    repeated = [name for name in everybody if name in configured - {"openai", "broken"}]
    assert repeated
    assert {"openai", "broken"} <= configured
    ours = start_run(scene, "openai", PROMPTS)
    broken = start_run(scene, "broken", [f"{stage} it" for stage in STAGES])
    others = [start_run(scene, name, [f"Shot {n}." for n in range(24)]) for name in repeated]
    wait_for(lambda: has_heard(scene, repeated), seconds=90)
    for run_id in others:
        scene.call("POST", f"/api/v1/runs/{run_id}/cancel", json={})
    wait_for(lambda: has_ended(ours, broken), seconds=90)
    look_at_the_api(scene)
    look_at_the_admin(scene)
    look_at_the_commands(scene)

    for name in repeated:
        assert scene.secrets[VARIABLES[name][0]] in scene.parrot.keys[name]
    assert {attempt.provider_id for attempt in Attempt.objects.all()} >= {*repeated, "openai"}
    assert scene.parrot.strays == []
    assert [visit for visit in scene.far_end.ledger()["redirected"] if visit["authorization"]] == []
    found = hunt(scene.secrets, everything(scene))
    assert found == [], "\n\n".join(
        f"{each.whose} in {each.where}:\n{each.around}" for each in found
    )


@pytest.mark.parametrize("spelt", ["plain", "address", "packed", "packed with its scheme"])
def test_the_hunt_finds_what_is_there(spelt: str, tmp_path: Path) -> None:
    secret = made_up("openai")
    written: Mapping[str, str] = {
        "plain": f"Bearer {secret}",
        "address": requests.compat.quote(secret, safe=""),
        "packed": base64.b64encode(secret.encode()).decode(),
        "packed with its scheme": base64.b64encode(f"Bearer {secret}".encode()).decode(),
    }
    (tmp_path / "log").write_text(f"it said {written[spelt]} and went")
    found = hunt({"OPENAI_API_KEY": secret, "FAL_KEY": made_up("fal")}, files(tmp_path))
    assert {find.whose for find in found} == {"OPENAI_API_KEY"}
    assert isinstance(found[0], Find)
    assert os.fspath(found[0].where) == "log"
