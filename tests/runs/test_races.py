"""Many hands on one row at the same moment: one winner, no deadlock, and counts that are right.

The full length is for a quiet hour: `RACE_WIDTH=50 RACE_ROUNDS=200`.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from providers.base import Ambiguous, Rejected
from providers.errors import Code, Failure
from runs import cancel, decisions, launch, lifecycle
from runs.models import Attempt, Phase, Run, Status, Step, Task
from runs.steps import dispatch, submit
from runs.steps.sending import Outcome
from storyboards import editing
from storyboards.models import Segment, Storyboard
from storyboards.schema import PRO_DURATIONS, SegmentChanges, duration_problem
from tests.runs.conftest import MakeBoard, now, only_task
from tests.runs.racing import Racers, assert_sound, outcomes, racers

pytestmark = pytest.mark.django_db(transaction=True)

WIDTH = int(os.environ.get("RACE_WIDTH", "10"))
ROUNDS = int(os.environ.get("RACE_ROUNDS", "3"))
LOST = Ambiguous(Failure(Code.SERVER_ERROR, "The connection broke before an answer came."))
REFUSED = Rejected(Failure(Code.CONTENT_POLICY, "It was refused."))


@pytest.fixture
def field(settings: Any) -> Iterator[Racers]:
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "openai": {"key": "sk-test", "base_url": "http://127.0.0.1:1/v1", "dialect": "openai"},
    }
    with racers(WIDTH) as made:
        yield made


@pytest.fixture
def rounds(board: MakeBoard) -> Callable[..., Iterator[Run]]:
    """Runs of one storyboard, a new one each round; what was raced over is checked after it."""

    def each(*prompts: str, **config: Any) -> Iterator[Run]:
        storyboard = board(*prompts)
        wanted = {"model_id": "sora2", "storyboard_id": storyboard.pk, **config}
        for _ in range(ROUNDS):
            run = launch.create_run(launch.RunConfig(**wanted), now=now())
            yield run
            assert_sound(run)
            Run.objects.all().delete()

    return each


Rounds = Callable[..., Iterator[Run]]


def answered(outcome: Outcome, *, limit: int = 1000) -> None:
    """As if every due task had been submitted, and this were the answer."""
    moment = now()
    sendings = dispatch.claim(limit, now=moment)
    submit.write_answers([(sending, outcome) for sending in sendings], now=moment)


# ---- one task ----------------------------------------------------------------------------------


def test_of_many_retries_one_is_made(field: Racers, rounds: Rounds) -> None:
    for run in rounds("a city"):
        answered(REFUSED)
        found = field.race(partial(launch.retry_task, only_task(run).pk, now=now()))
        assert outcomes(found) == {"done": 1, "conflict": WIDTH - 1}
        assert run.events.filter(kind="retry").count() == 1
        assert only_task(run).status == Status.QUEUED


@pytest.mark.parametrize(
    ("actions", "phases"),
    [
        (["submit_again"], {Phase.ABANDONED}),
        (["adopt", "submit_again"], {Phase.ACCEPTED, Phase.ABANDONED}),
        (["adopt", "submit_again", "give_up"], {Phase.ACCEPTED, Phase.ABANDONED}),
    ],
)
def test_of_many_decisions_one_is_carried_out(
    actions: list[decisions.Action], phases: set[str], field: Racers, rounds: Rounds
) -> None:
    for run in rounds("a city"):
        answered(LOST)
        task = only_task(run)
        words = [
            partial(decisions.decide, task.pk, action, job_id="video_1", now=now())
            for action in actions
        ]
        assert outcomes(field.race(*words)) == {"done": 1, "conflict": WIDTH - 1}
        assert Attempt.objects.get().phase in phases
        assert run.events.filter(kind__in=("retry", "gave_up")).count() == 1


def test_a_decision_to_adopt_and_a_retry_do_not_both_happen(field: Racers, rounds: Rounds) -> None:
    for run in rounds("a city"):
        answered(LOST)
        key = only_task(run).pk
        adopt = partial(decisions.decide, key, "adopt", job_id="video_1", now=now())
        again = partial(launch.retry_task, key, submit_again=True, now=now())
        assert outcomes(field.race(adopt, again)) == {"done": 1, "conflict": WIDTH - 1}
        adopted = Attempt.objects.get().phase == Phase.ACCEPTED
        assert only_task(run).status == (Status.RUNNING if adopted else Status.QUEUED)


def test_one_job_is_adopted_by_one_task(field: Racers, rounds: Rounds) -> None:
    for run in rounds(*["a city"] * WIDTH, concurrency=WIDTH):
        answered(LOST)
        keys = run.tasks.values_list("pk", flat=True)
        adopt = [partial(decisions.decide, key, "adopt", job_id="one", now=now()) for key in keys]
        assert outcomes(field.race(*adopt)) == {"done": 1, "conflict": WIDTH - 1}
        assert Attempt.objects.filter(provider_job_id="one", phase=Phase.ACCEPTED).count() == 1


# ---- a run -------------------------------------------------------------------------------------


def test_of_many_cancels_one_ends_what_has_not_begun(field: Racers, rounds: Rounds) -> None:
    for run in rounds("a city", "a river", "a hill"):
        found = field.race(partial(cancel.cancel_run, run.pk, now=now()))
        assert outcomes(found) == {"done": 1, "conflict": WIDTH - 1}
        (answer,) = [each for each in found if isinstance(each, dict)]
        assert (answer["ended"], answer["under_way"]) == (3, 0)


def test_pauses_and_cancels_happen_in_one_order(field: Racers, rounds: Rounds) -> None:
    for run in rounds("a city", "a river"):
        paused = partial(lifecycle.set_paused, run.pk, paused=True, now=now())
        resumed = partial(lifecycle.set_paused, run.pk, paused=False, now=now())
        ended = partial(cancel.cancel_run, run.pk, now=now())
        field.race(paused, resumed, paused, resumed, ended)
        run.refresh_from_db()
        assert (run.status, run.canceled) == (Status.CANCELED, 2)
        kinds = list(run.events.order_by("number").values_list("kind", flat=True))
        assert kinds[-2:] == ["task", "task"]  # nothing is paused or resumed after the end


def test_a_cancel_and_a_dispatch_share_out_the_tasks(field: Racers, rounds: Rounds) -> None:
    for run in rounds(*["a city"] * 20, concurrency=20):
        claims = field.race(
            lambda: dispatch.claim(2, now=now()),
            lambda: dispatch.claim(2, now=now()),
            partial(cancel.cancel_run, run.pk, now=now()),
        )
        sent = [each.task.pk for found in claims if isinstance(found, list) for each in found]
        assert len(set(sent)) == len(sent)
        run.refresh_from_db()
        assert (run.running, run.queued) == (len(sent), 0)
        assert set(run.tasks.filter(status=Status.RUNNING).values_list("pk", flat=True)) == set(
            sent
        )


def test_a_cancel_beside_polls_and_renewals_deadlocks_with_none(
    field: Racers, rounds: Rounds
) -> None:
    dice = random.Random(7)
    for run in rounds(*["a city"] * 60, concurrency=60):
        moment = now()
        dispatch.claim(1000, now=moment)
        Task.objects.filter(run=run).update(step=Step.POLL, due_at=moment, lease_until=None)
        tasks = lifecycle.claim([Step.POLL], limit=60, lease=30, now=moment)
        postponed, renewed = (dice.sample(tasks, len(tasks)) for _ in range(2))
        later = {"due_at": moment + timedelta(seconds=9), "lease_until": moment}
        field.race(
            partial(lifecycle.postpone, [(task, later) for task in postponed]),
            partial(lifecycle.renew, renewed, lease=30, now=moment),
            partial(lifecycle.cancel_run, run.pk, now=moment),
        )
        assert run.tasks.exclude(cancel_requested_at=None).count() == 60


def test_everything_at_once_keeps_every_count(field: Racers, rounds: Rounds) -> None:
    """Over HTTP, while workers dispatch: no answer is a 5xx, and the story of each task has no break."""
    for run in rounds(*["a city"] * 6, concurrency=6):
        answered(REFUSED, limit=3)
        answered(LOST, limit=1)
        field.race(*_requests(run), _work)
        sends = Attempt.objects.filter(phase=Phase.SENDING)
        assert run.tasks.filter(step=Step.SETTLE).count() == sends.count()


def _requests(run: Run) -> list[Callable[[], int]]:
    task_paths = [f"tasks/{task.public_id}" for task in run.tasks.all()]
    segment = Segment.objects.order_by("segment_index").first()
    assert segment is not None
    posts: list[tuple[str, dict[str, Any]]] = [
        *((f"{path}/retry", {"submit_again": True}) for path in task_paths),
        *((f"{path}/decision", {"action": "submit_again"}) for path in task_paths),
        *((f"runs/{run.public_id}/{word}", {}) for word in ("pause", "resume", "cancel")),
    ]
    requests = [partial(_ask, "post", path, body) for path, body in posts]
    return [*requests, partial(_ask, "patch", f"segments/{segment.public_id}", {"is_pro": True})]


def _ask(method: str, path: str, body: dict[str, Any]) -> int:
    status: int = getattr(APIClient(), method)(f"/api/v1/{path}", body).status_code
    assert status in (200, 202, 409), f"{method} {path}: {status}"
    return status


def _work() -> None:
    answered(REFUSED, limit=2)


def test_over_http_one_retry_is_accepted(field: Racers, rounds: Rounds) -> None:
    for run in rounds("a city"):
        answered(REFUSED)
        path = f"tasks/{only_task(run).public_id}/retry"
        statuses = Counter(field.race(partial(_ask, "post", path, {})))
        assert statuses == {202: 1, 409: WIDTH - 1}


# ---- a storyboard ------------------------------------------------------------------------------


def test_changes_of_different_fields_all_survive(field: Racers, board: MakeBoard) -> None:
    segment = board("a city").segments.get()
    for number in range(ROUNDS):
        changes: dict[str, Any] = {
            "prompt_text": f"prompt {number}",
            "director_intent": f"intent {number}",
            "image_url": f"https://example.com/{number}.png",
            "asset": {"characters": [], "scene": f"scene {number}", "props": []},
            "resolution": ("horizontal", "vertical")[number % 2],
            "duration_seconds": (4, 8)[number % 2],
        }
        found = field.race(*(_change(segment, **{name: new}) for name, new in changes.items()))
        assert outcomes(found) == {"done": WIDTH}
        segment.refresh_from_db()
        assert {name: getattr(segment, name) for name in changes} == changes


def _change(segment: Segment, **changes: Any) -> Callable[[], Segment]:
    return partial(editing.edit_segment, segment.pk, SegmentChanges.model_validate(changes))


def test_two_changes_that_may_not_meet_do_not(field: Racers, board: MakeBoard) -> None:
    segment = board("a city").segments.get()
    longest = max(PRO_DURATIONS)
    for _ in range(ROUNDS):
        Segment.objects.update(is_pro=True, duration_seconds=4)
        found = field.race(
            _change(segment, duration_seconds=longest), _change(segment, is_pro=False)
        )
        segment.refresh_from_db()
        assert duration_problem(segment.duration_seconds, is_pro=segment.is_pro) is None
        assert set(outcomes(found)) == {"done", "validation_error"}


def test_a_storyboard_is_deleted_or_gets_runs(field: Racers, board: MakeBoard) -> None:
    for _ in range(ROUNDS):
        storyboard = board("a city")
        config = launch.RunConfig(storyboard_id=storyboard.pk, model_id="sora2")
        found = field.race(
            partial(launch.create_run, config, now=now()),
            partial(editing.delete_storyboard, storyboard.pk),
        )
        made = [each for each in found if isinstance(each, Run)]
        left = Storyboard.objects.filter(pk=storyboard.pk).exists()
        assert bool(made) == left
        refused = "conflict" if left else "not_found"
        assert outcomes(found)[refused] >= WIDTH // 2 - 1
        for run in made:
            assert_sound(run)
        Run.objects.all().delete()
