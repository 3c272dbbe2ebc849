"""What a turn asks the database does not grow with the tasks that it serves."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import Run
from runs.steps import dispatch, download, poll, submit
from runs.steps.fetching import bring
from runs.steps.sending import send
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def statements_of(machine: Machine, run: Run) -> Iterator[int]:
    """Of the run's submit, of its first poll and of its download, all tasks in one turn each."""

    def submits() -> None:
        sendings = dispatch.claim(10, now=machine.now)
        answers = [(sending, send(machine.transport, sending)) for sending in sendings]
        submit.write_answers(answers, now=machine.now)

    def fetch() -> None:
        fetchings = download.claim(10, now=machine.now)
        brought = [(found, bring(machine.transport, found)) for found in fetchings]
        download.write(brought, now=machine.now)

    yield statements(submits)
    machine.now += timedelta(minutes=1)
    yield statements(lambda: poll.turn(machine.polls, machine.now))
    yield statements(fetch)
    machine.run_to_end(run)


@pytest.mark.parametrize("words", ["", "[[sim:poll=500*1]]", "[[sim:fail=moderation_blocked]]"])
def test_six_tasks_take_as_many_statements_as_two(
    start: MakeRun, machine: Machine, far_end: Simulator, words: str
) -> None:
    runs = [start(*[f"a city {words}"] * number, concurrency=number) for number in (2, 2, 6)]
    for run in runs[1:]:
        Run.objects.filter(pk=run.pk).update(paused_at=machine.now)
    counted = []
    for run in runs:
        Run.objects.filter(pk=run.pk).update(paused_at=None)
        counted.append(list(statements_of(machine, run)))
    assert counted[1] == counted[2]
