"""Whatever a submit meets on its way: the far end sees one POST an attempt, and makes one job of it at the most."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from django.utils import timezone

from providers.models import Provider, Recovery
from providers.simulator.faults import CREATES_A_JOB, FAULTS
from runs.models import Attempt, Phase, Run, Status, Task
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun
from tests.runs.racing import assert_sound

pytestmark = pytest.mark.django_db(transaction=True)

# As the engine's documentation has them: sent, and no usable answer.
AMBIGUOUS = CREATES_A_JOB | {"drop_before_create", "html", "408", "500", "502", "503", "504"}
ENDS_THE_TASK = {"400", "403", "409", "422", "moderation", "validation"}
# A hang is longer than the time-out.
WORDS = {"hang": "hang:30", "429_ms": "429_ms:1500", "429_date": "429_date:2"}


@pytest.fixture(autouse=True)
def in_real_time(machine: Machine) -> None:
    """A look-up compares with the far end's clock."""
    machine.now = timezone.now()


@pytest.fixture(params=Recovery.values)
def recovery(request: pytest.FixtureRequest, catalogue: None, far_end: Simulator) -> str:
    Provider.objects.filter(pk="openai").update(recovery=request.param)
    far_end.configure(idempotency=request.param == Recovery.TOKEN)
    return str(request.param)


def prompts(faults: Iterable[str], times: str) -> list[str]:
    return [f"{name} [[sim:submit={WORDS.get(name, name)}{times}]]" for name in sorted(faults)]


def tasks_of(run: Run) -> dict[str, Task]:
    """By the name of the fault that their submit meets."""
    return {task.full_prompt.split()[0]: task for task in run.tasks.all()}


def assert_one_post_an_attempt(far_end: Simulator, recovery: str) -> None:
    posts: list[dict[str, Any]] = far_end.ledger()["posts"]
    attempts = {str(attempt.pk): attempt for attempt in Attempt.objects.all()}
    sent = Counter(post["idempotency_key"] for post in posts)
    assert set(sent) == set(attempts)
    again = {key: attempt.asked for key, attempt in attempts.items()}
    if recovery == Recovery.TOKEN:
        assert all(sent[key] <= 1 + again[key] + 1 for key in attempts)
    else:
        assert set(sent.values()) == {1}
    _assert_no_job_is_lost(posts, attempts)


def _assert_no_job_is_lost(posts: list[dict[str, Any]], attempts: dict[str, Attempt]) -> None:
    """An attempt makes one job at the most, and either knows it or is known to be in doubt."""
    made = {(post["idempotency_key"], post["job_id"]) for post in posts if post["created"]}
    assert len({key for key, _ in made}) == len(made)
    for key, job_id in made:
        attempt = attempts[key]
        assert attempt.provider_job_id == job_id or attempt.phase == Phase.AMBIGUOUS


def test_a_submit_that_fails_once(
    recovery: str, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start(*prompts(FAULTS["submit"], "*1"), concurrency=50)
    run = machine.run_to_end(run)
    assert_one_post_an_attempt(far_end, recovery)
    assert_sound(run)
    tasks = tasks_of(run)
    in_doubt = {name for name, task in tasks.items() if task.possibly_billed}
    assert in_doubt == (AMBIGUOUS if recovery == Recovery.NONE else set())
    failed = {name for name, task in tasks.items() if task.status == Status.FAILED}
    assert failed == in_doubt | ENDS_THE_TASK


def test_a_submit_that_never_gets_through(
    recovery: str, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    # These say nothing of the account, which would make all the others wait.
    faults = AMBIGUOUS - {"hang"} | ENDS_THE_TASK
    run = machine.run_to_end(start(*prompts(faults, ""), concurrency=50))
    assert_one_post_an_attempt(far_end, recovery)
    assert_sound(run)
    completed = {name for name, task in tasks_of(run).items() if task.status == Status.COMPLETED}
    assert completed == (set() if recovery == Recovery.NONE else CREATES_A_JOB - {"hang"})
