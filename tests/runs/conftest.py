"""The engine driven by hand: a made-up clock, the real database, and a far end over a real socket."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from cineflow.core import ids
from providers.http import PollClient, Transport
from providers.models import Provider, Recovery
from runs import launch, notices
from runs.models import ACTIVE, Run, Task, VideoFile
from runs.steps import check, download, poll, recover, reuse, submit
from storyboards.models import Segment, Storyboard
from tests.providers.simulated import Simulator, simulator
from tests.seeds import seed


@pytest.fixture
def catalogue(db: None) -> None:
    """A transactional test before this one has emptied the seeded tables."""
    seed()
    # Each test says which class it is about; without a word, a lost answer stays lost.
    Provider.objects.filter(pk="openai").update(recovery=Recovery.NONE)


@pytest.fixture
def far_end(settings: Any) -> Iterator[Simulator]:
    """A simulated provider behind `openai`, with jobs that take no time."""
    with simulator(seconds=0.0) as simulated:
        settings.PROVIDERS = {
            **settings.PROVIDERS,
            "openai": {"key": "sk-test", "base_url": simulated.base_url, "dialect": "openai"},
        }
        yield simulated


@dataclass
class Machine:
    """All lanes of a sweep, turned by hand: from now on, every turn `seconds` after the one before."""

    now: datetime = field(default_factory=timezone.now)
    transport: Transport = field(default_factory=lambda: Transport(timeout=5))
    polls: PollClient = field(default_factory=PollClient)

    def __post_init__(self) -> None:
        self.submitter = submit.Submitter(self.transport)
        self.downloader = download.Downloader(self.transport)

    def turn(self, seconds: float = 1.0) -> None:
        self.now += timedelta(seconds=seconds)
        check.turn(self.now)
        reuse.turn(self.now)
        self.submit()
        submit.settle(self.now)
        recover.turn(self.polls, self.now)
        notices.turn(self.now)
        poll.turn(self.polls, self.now, downloader=self.downloader)
        self.download()

    def submit(self) -> None:
        """One dispatch, and all its answers."""
        self.submitter.turn(self.now)
        while self.submitter.pending:
            self.submitter._take_answers()
            submit.write_answers(self.submitter.unwritten, now=self.now)
            self.submitter.unwritten = []

    def download(self) -> None:
        self.downloader.turn(self.now)
        while self.downloader.pending:
            download.write(self.downloader._arrived(), now=self.now)

    def run_to_end(self, run: Run, *, turns: int = 200, seconds: float = 30.0) -> Run:
        for _ in range(turns):
            run.refresh_from_db()
            if run.status not in ACTIVE:
                return run
            self.turn(seconds)
        raise AssertionError(f"{run} is still {run.status} after {turns} turns")

    def close(self) -> None:
        self.submitter.senders.close()
        self.downloader.fetchers.close()
        self.polls.close()
        self.transport.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.close()


@pytest.fixture
def patient_machine(settings: Any) -> Iterator[Machine]:
    """In real time, for far ends with a clock of their own; a busy computer makes nothing late in it."""
    settings.SEND_WITHIN_SECONDS = 60
    made = Machine(transport=Transport(timeout=60))
    yield made
    made.close()


MakeBoard = Callable[..., Storyboard]


@pytest.fixture
def board(catalogue: None, settings: Any) -> MakeBoard:
    """Makes a storyboard: `board("a prompt", "another", duration_seconds=4)`."""

    def make(*prompts: str, **fields: Any) -> Storyboard:
        key = ids.new_id()
        made = Storyboard.objects.create(
            id=key,
            name="film.json",
            segment_count=len(prompts),
            original=f"storyboards/{key}/original.json",
        )
        Path(settings.DATA_DIR, "storyboards", str(key)).mkdir(parents=True, exist_ok=True)
        Segment.objects.bulk_create(
            Segment(
                **{
                    "storyboard": made,
                    "segment_index": index,
                    "prompt_text": prompt,
                    "duration_seconds": 4,
                    **fields,
                }
            )
            for index, prompt in enumerate(prompts, 1)
        )
        return made

    return make


MakeRun = Callable[..., Run]


@pytest.fixture
def start(board: MakeBoard, machine: Machine) -> MakeRun:
    """Creates a run: `start("a prompt", model_id="sora2", gen_count=2)`; of `of=storyboard` when given."""

    def make(
        *prompts: str,
        of: Storyboard | None = None,
        fields: dict[str, Any] | None = None,
        **config: Any,
    ) -> Run:
        storyboard = of or board(*prompts, **(fields or {}))
        wanted = {"model_id": "sora2", "storyboard_id": storyboard.pk, **config}
        return launch.create_run(launch.RunConfig(**wanted), now=machine.now)

    return make


def only_task(run: Run) -> Task:
    return Task.objects.select_related("run", "video").get(run=run)


def video_of(task: Task) -> VideoFile:
    assert task.video is not None
    return task.video


def now() -> datetime:
    return timezone.now()
