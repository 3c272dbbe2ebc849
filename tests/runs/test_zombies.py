"""Workers that were stopped past their lease and go on as if nothing were: not one of their writes counts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from providers.base import Accepted, Ambiguous, HttpAnswer, HttpCall, NoAnswer, Rejected
from providers.errors import Code, Failure
from providers.http import PollClient
from providers.models import Provider, Recovery
from runs import lifecycle
from runs.lifecycle import Move
from runs.models import Attempt, Event, Phase, Run, Status, Step, Task, VideoFile
from runs.steps import dispatch, download, poll, recover, submit
from runs.steps.fetching import Fetching, NotStored, Stored, bring
from runs.steps.sending import Outcome, TooLate, send
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun
from tests.runs.racing import assert_sound

pytestmark = pytest.mark.django_db(transaction=True)

ZOMBIES = 20
LATE_ANSWERS: list[Callable[[int], Outcome]] = [
    lambda number: Accepted(f"late_{number}"),
    lambda _: Accepted("always_the_same"),
    lambda number: Accepted(f"late_{number}", output={"url": "https://example.com/video.mp4"}),
    lambda _: Ambiguous(Failure(Code.SERVER_ERROR, "lost", 502)),
    lambda _: Rejected(Failure(Code.CONTENT_POLICY, "refused", 400)),
    lambda _: Rejected(Failure(Code.DEPENDENCY_ERROR, "not sent")),
    lambda _: TooLate(),
]


@pytest.fixture(autouse=True)
def in_real_time(machine: Machine) -> None:
    """A look-up compares with the far end's clock."""
    machine.now = timezone.now()


def rows() -> dict[str, list[Any]]:
    """Everything that a worker may write about its tasks."""
    kept = (Run, Task, Attempt, Event, VideoFile)
    return {
        model.__name__: list(model._default_manager.order_by("pk").values_list()) for model in kept
    }


class Sleeper(PollClient):
    """Lies still for longer than its lease, before or after it has asked; others get on meanwhile."""

    def __init__(self, meanwhile: Callable[[], object], *, asks_first: bool) -> None:
        super().__init__()
        self.meanwhile, self.asks_first = meanwhile, asks_first
        self.found: dict[str, list[Any]] = {}
        self.asked = 0

    def ask(self, calls: Sequence[HttpCall], *, timeout: float) -> list[HttpAnswer | NoAnswer]:
        answers = super().ask(calls, timeout=timeout) if self.asks_first else []
        self.meanwhile()
        self.found = rows()
        self.asked += len(calls)
        return answers or super().ask(calls, timeout=timeout)


def accepted(start: MakeRun, machine: Machine, directive: str = "") -> Run:
    """A run whose jobs are all at the provider, and due to be asked for."""
    run = start(*[f"a city {number} {directive}" for number in range(ZOMBIES)], concurrency=ZOMBIES)
    machine.submit()
    machine.now += timedelta(seconds=60)
    assert run.tasks.filter(step=Step.POLL).count() == ZOMBIES
    return run


# ---- submits -----------------------------------------------------------------------------------


def answer_late(zombies: Sequence[dispatch.Sending], machine: Machine) -> None:
    """With everything that a far end may have said."""
    for answer in LATE_ANSWERS:
        late = [(sending, answer(number)) for number, sending in enumerate(zombies)]
        submit.write_answers(late, now=machine.now)


@pytest.mark.parametrize("recovery", Recovery.values)
def test_a_late_answer_to_a_submit_is_not_written(
    recovery: str, start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    Provider.objects.filter(pk="openai").update(recovery=recovery)
    run = start(*["a city"] * ZOMBIES, concurrency=ZOMBIES)
    sendings = dispatch.claim(ZOMBIES, now=machine.now)
    machine.now += timedelta(seconds=settings.SUBMIT_LEASE_SECONDS + 1)
    assert submit.settle(machine.now) == len(sendings) == ZOMBIES
    found = rows()
    answer_late(sendings, machine)
    assert rows() == found
    assert_sound(run)


def test_a_submit_that_comes_late_to_the_wire_is_not_sent(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    start(*["a city"] * ZOMBIES, concurrency=ZOMBIES)
    long_ago = time.monotonic() - settings.SEND_WITHIN_SECONDS - 1
    for sending in dispatch.claim(ZOMBIES, now=machine.now):
        late = replace(sending, begun=long_ago)
        assert send(machine.transport, late) == TooLate()
    assert far_end.summary()["posts"] == 0


def test_a_late_answer_to_a_re_send_is_not_written(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    Provider.objects.filter(pk="openai").update(recovery=Recovery.TOKEN)
    run = start(*["a city [[sim:submit=drop_before_create]]"] * ZOMBIES, concurrency=ZOMBIES)
    machine.submit()
    machine.now += timedelta(seconds=settings.RESEND_DELAYS[0] + 1)
    zombies = submit._resends(ZOMBIES, now=machine.now, suspects=False)
    machine.now += timedelta(seconds=settings.SUBMIT_LEASE_SECONDS + 1)
    # A worker seems to have died over them, so they are sent again one by one.
    owner = [
        sending
        for _ in range(ZOMBIES)
        for sending in submit._resends(1, now=machine.now, suspects=True)
    ]
    assert len(owner) == len(zombies) == ZOMBIES
    found = rows()
    answer_late(zombies, machine)
    assert rows() == found
    assert_sound(run)


# ---- questions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("asks_first", [True, False])
@pytest.mark.parametrize(
    "directive",
    [
        "",
        "[[sim:poll=stuck*1]]",
        "[[sim:poll=500*1]]",
        "[[sim:fail=server_error]]",
        "[[sim:poll=404*9]]",
    ],
)
def test_a_late_poll_is_not_written(
    directive: str,
    asks_first: bool,
    start: MakeRun,
    machine: Machine,
    far_end: Simulator,
    settings: Any,
) -> None:
    run = accepted(start, machine, directive)
    after_it = machine.now + timedelta(seconds=settings.POLL_LEASE_SECONDS + 1)
    machine.downloader.turn(machine.now)
    zombie = Sleeper(lambda: poll.turn(machine.polls, after_it), asks_first=asks_first)
    poll.turn(zombie, machine.now, downloader=machine.downloader)
    zombie.close()
    assert (zombie.asked, rows()) == (ZOMBIES, zombie.found)
    assert not machine.downloader.handed
    assert_sound(run)


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_late_cancel_is_not_written(
    asks_first: bool, start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    Provider.objects.filter(pk="openai").update(can_cancel=True)
    far_end.configure(seconds=3600, cancel=True)
    run = accepted(start, machine)
    lifecycle.cancel_run(run.pk, now=machine.now)
    after_it = machine.now + timedelta(seconds=settings.POLL_LEASE_SECONDS + 1)
    zombie = Sleeper(lambda: poll.turn(machine.polls, after_it), asks_first=asks_first)
    poll.turn(zombie, machine.now)
    zombie.close()
    assert rows() == zombie.found
    assert_sound(run)


@pytest.mark.parametrize("asks_first", [True, False])
@pytest.mark.parametrize(
    "directives",
    [
        "[[sim:submit=drop_after_create]]",
        "[[sim:submit=drop_after_create]] [[sim:list=hidden*1]]",
        "[[sim:submit=drop_before_create*1]]",
    ],
)
@pytest.mark.parametrize("late", [0, 600])
def test_a_late_look_up_is_not_written(
    late: float,
    directives: str,
    asks_first: bool,
    start: MakeRun,
    machine: Machine,
    far_end: Simulator,
    settings: Any,
) -> None:
    Provider.objects.filter(pk="openai").update(recovery=Recovery.LOOK_UP)
    prompts = [f"a city {number} {directives}" for number in range(ZOMBIES)]
    run = start(*prompts, concurrency=ZOMBIES)
    machine.submit()
    machine.now += timedelta(seconds=settings.LOOK_UP_DELAYS[0] + 1 + late)
    after_it = machine.now + timedelta(seconds=settings.POLL_LEASE_SECONDS + 1)
    zombie = Sleeper(lambda: recover.turn(machine.polls, after_it), asks_first=asks_first)
    assert recover.turn(zombie, machine.now) == ZOMBIES
    zombie.close()
    assert rows() == zombie.found
    assert_sound(run)


# ---- downloads ---------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*.mp4")}


def claimed_twice(
    start: MakeRun, machine: Machine, settings: Any
) -> tuple[Run, list[Fetching], list[Fetching]]:
    """The downloads of a run as the zombie claimed them, and as the next worker did."""
    run = accepted(start, machine)
    poll.turn(machine.polls, machine.now)
    zombie = download.claim(ZOMBIES, now=machine.now)
    machine.now += timedelta(seconds=settings.DOWNLOAD_LEASE_SECONDS + 1)
    # A worker seems to have died over them, so they are fetched one by one.
    owner = [fetching for _ in range(ZOMBIES) for fetching in download.claim(1, now=machine.now)]
    assert len(zombie) == len(owner) == ZOMBIES
    return run, zombie, owner


def brought(
    machine: Machine, claimed: Sequence[Fetching]
) -> list[tuple[Fetching, Stored | NotStored]]:
    return [(each, bring(machine.transport, each)) for each in claimed]


def test_a_late_download_is_not_written_and_leaves_nothing_beside_the_other_s(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run, zombie, owner = claimed_twice(start, machine, settings)
    download.write(brought(machine, owner), now=machine.now)
    found, stored = rows(), files(settings.DATA_DIR)
    download.write(brought(machine, zombie), now=machine.now)
    assert (rows(), files(settings.DATA_DIR)) == (found, stored)
    run.refresh_from_db()
    assert (run.status, run.completed, len(stored)) == (Status.COMPLETED, ZOMBIES, ZOMBIES)
    assert_sound(run)


def test_a_file_that_a_zombie_has_placed_is_taken_over_by_the_owner(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run, zombie, owner = claimed_twice(start, machine, settings)
    found = rows()
    download.write(brought(machine, zombie), now=machine.now)
    assert rows() == found
    placed = files(settings.DATA_DIR)
    download.write(brought(machine, owner), now=machine.now)
    assert files(settings.DATA_DIR) == placed
    assert (len(placed), VideoFile.objects.count()) == (ZOMBIES, ZOMBIES)
    assert_sound(run)


@pytest.mark.parametrize(
    "result",
    [
        NotStored("broken"),
        NotStored("full", local=True),
        NotStored("expired", stale=True),
    ],
)
@pytest.mark.parametrize("errors", [0, download.TRIES])
def test_a_late_failure_of_a_download_is_not_written(
    errors: int,
    result: NotStored,
    start: MakeRun,
    machine: Machine,
    far_end: Simulator,
    settings: Any,
) -> None:
    run, zombie, _ = claimed_twice(start, machine, settings)
    found = rows()
    for fetching in zombie:
        fetching.task.errors_in_a_row = errors
    download.write([(fetching, result) for fetching in zombie], now=machine.now)
    assert rows() == found
    assert_sound(run)


# ---- the door itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("after", Status.values)
def test_no_write_with_an_old_fence_is_accepted(
    after: str, start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = accepted(start, machine)
    zombies = lifecycle.claim([Step.POLL], limit=ZOMBIES, lease=30, now=machine.now)
    attempts = {attempt.task_id: attempt for attempt in Attempt.objects.all()}
    machine.now += timedelta(seconds=31)
    owned = lifecycle.claim([Step.POLL], limit=ZOMBIES, lease=30, now=machine.now)
    assert len(zombies) == len(owned) == ZOMBIES
    found = rows()
    ended = {"phase": Phase.FAILED}
    moves = [
        Move(task, Status(after), "late", attempt=attempts[task.pk], attempt_values=ended)
        for task in zombies
    ]
    assert lifecycle.apply(moves, now=machine.now) == set()
    assert lifecycle.renew(zombies, lease=30, now=machine.now) == set()
    assert lifecycle.postpone([(task, {"due_at": machine.now}) for task in zombies]) == set()
    assert rows() == found
    assert lifecycle.renew(owned, lease=60, now=machine.now) == {task.pk for task in owned}
    assert_sound(run)
