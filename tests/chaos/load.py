"""What users do meanwhile: storyboards, runs, looks, retries and a cancel, all over HTTP and through any failure."""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import requests

from tests.chaos.world import World

API = "/api/v1"
RUNS = 8
# Of so many prompts, this share asks the simulator for trouble.
TROUBLE = (
    (0.03, "[[sim:submit=drop_after_create*1]]"),
    (0.01, "[[sim:submit=500_after_create*1]]"),
    (0.01, "[[sim:submit=500*1]]"),
    (0.03, "[[sim:submit=429:1*1]]"),
    (0.02, "[[sim:poll=500*2]]"),
    (0.02, "[[sim:fetch=truncate*1]]"),
    (0.01, "[[sim:fail=server_error]]"),
)


class Load:
    """`jobs` tasks in several runs; every prompt has a marker of its own, `#<n>`."""

    def __init__(self, world: World, *, jobs: int, seed: int, in_flight: int = 112) -> None:
        self.world, self.jobs = world, jobs
        self.dice = random.Random(f"load {seed}")
        self.in_flight = in_flight
        self.http = requests.Session()
        self.http.trust_env = False
        self.answers: Counter[str] = Counter()
        self.run_ids: list[str] = []
        self.retried = 0
        self.progress: Callable[[], float] = lambda: 0.0  # of the storm
        self.made_all, self.done = threading.Event(), threading.Event()
        self._markers = itertools.count(1)
        self._waiting = list(self._shapes())

    # ---- making work -------------------------------------------------------------------------

    def _shapes(self) -> Iterator[tuple[int, int]]:
        """Segments and takes of each run; the first is the small one that will be canceled."""
        small = min(20, self.jobs // 10)
        yield small, 1
        each, rest = divmod(self.jobs - small, RUNS)
        for number in range(RUNS):
            tasks = each + (rest if number == 0 else 0)
            takes = 2 if number % 3 == 2 and tasks % 2 == 0 else 1
            yield tasks // takes, takes

    def _create_what_is_due(self) -> None:
        """Half of the runs at the beginning, the others through the storm: there is work at each moment of it."""
        while self._waiting and len(self.run_ids) < 5 + self.progress() * 5:
            self.run_ids.append(self.create_run(*self._waiting.pop(0)))
        if not self._waiting:
            self.made_all.set()

    def create_run(self, segments: int, takes: int) -> str:
        board = self.upload(segments)
        wanted = {
            "storyboard_id": board,
            "model_id": "sora2",
            "gen_count": takes,
            "concurrency": max(2, self.in_flight // 3),
        }
        while True:
            answer = self.ask("POST", "/runs", json=wanted)
            if answer is not None and answer.status_code == 201:
                return str(answer.json()["id"])
            # No answer is no proof: it may exist. It is the only run of its storyboard.
            found = self.surely("GET", f"/runs?storyboard_id={board}")["items"]
            if found:
                return str(found[0]["id"])

    def upload(self, segments: int) -> str:
        body = json.dumps({"segments": [self.segment(n) for n in range(1, segments + 1)]})
        while True:
            answer = self.ask("POST", "/storyboards", files={"file": ("film.json", body)})
            if answer is not None and answer.status_code == 201:
                return str(answer.json()["id"])

    def segment(self, index: int) -> dict[str, Any]:
        drawn, trouble = self.dice.random(), ""
        for share, words in TROUBLE:
            if drawn < share:
                trouble = words
                break
            drawn -= share
        seconds = round(self.dice.uniform(2, 4), 1)
        prompt = (
            f"A city at dusk #{next(self._markers)}# [[sim:seconds={seconds}]] {trouble}".strip()
        )
        asset = {"characters": [], "scene": "a city", "props": []}
        shot = {"duration_seconds": 4, "resolution": "horizontal", "is_pro": False}
        return {"segment_index": index, "prompt_text": prompt, "asset": asset, **shot}

    # ---- looking and meddling ----------------------------------------------------------------

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._live, name="client", daemon=True)
        thread.start()
        return thread

    def _live(self) -> None:
        self._create_what_is_due()
        small, canceled = self.run_ids[0], False
        began = time.monotonic()
        while not self.done.is_set():
            self._create_what_is_due()
            if not canceled and time.monotonic() - began > 1:
                answer = self.ask("POST", f"/runs/{small}/cancel", json={})
                canceled = answer is not None and answer.status_code in (202, 409)
            self.dice.choice((self._look, self._look, self._look_at_tasks, self._retry_one))()
            self.done.wait(self.dice.uniform(0.2, 0.6))

    def _look(self) -> None:
        self.ask("GET", self.dice.choice(("/runs", "/decisions", f"/runs/{self.run_ids[0]}")))

    def _look_at_tasks(self) -> None:
        self.ask("GET", f"/runs/{self.dice.choice(self.run_ids)}/tasks?page_size=50")

    def _retry_one(self) -> None:
        status = self.dice.choice(("failed", "failed", "completed", "canceled", "download_failed"))
        run = self.dice.choice(self.run_ids)
        answer = self.ask("GET", f"/runs/{run}/tasks?status={status}&page_size=20")
        if answer is None or not answer.ok or not (found := answer.json()["items"]):
            return
        task = self.dice.choice(found)
        answer = self.ask("POST", f"/tasks/{task['id']}/retry", json={})
        self.retried += answer is not None and answer.status_code == 202

    def surely(self, method: str, path: str) -> Any:
        """Asked until it is answered well."""
        while True:
            answer = self.ask(method, path)
            if answer is not None and answer.ok:
                return answer.json()
            if self.done.is_set():
                raise TimeoutError(path)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response | None:
        """None where no answer came; the next question then waits a little."""
        try:
            answer = self.http.request(method, f"{self.world.url}{API}{path}", timeout=10, **more)
        except requests.RequestException as error:
            self.answers[type(error).__name__] += 1
            time.sleep(0.2)
            return None
        self.answers[str(answer.status_code)] += 1
        if answer.status_code >= 500:
            time.sleep(0.2)
        return answer
