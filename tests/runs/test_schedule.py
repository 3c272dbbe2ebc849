"""When a job is asked for again."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import settings
from django.db.models import F

from providers.models import ProviderModel
from runs.models import Attempt, Phase
from runs.steps import schedule
from runs.steps.schedule import Learned, learn, least, lot_of, next_poll, pace_of
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun

TWO_MINUTES = Learned(early=112.0, median=120.0, spread=4.0)


def asked_at(learned: Learned | None, interval: float, until: float) -> list[float]:
    """The seconds after acceptance at which a job is asked for."""
    elapsed, moments = 0.0, []
    while (elapsed := elapsed + next_poll(elapsed, learned, interval, least(interval))) <= until:
        moments.append(round(elapsed, 1))
    return moments


def test_without_knowledge_it_is_the_interval() -> None:
    assert asked_at(None, 10, 40) == [10, 20, 30, 40]


def test_rarely_before_the_expected_time_and_closely_around_it() -> None:
    moments = asked_at(TWO_MINUTES, 10, 150)
    assert moments[:4] == [27.0, 54.0, 81.0, 108.0]
    assert moments[4:11] == [112.0, 116.0, 120.0, 124.0, 128.0, 132.0, 136.0]
    assert moments[11:] == [146.0]


def test_half_as_many_questions_as_at_a_fixed_interval_and_less_late() -> None:
    adaptive, fixed = asked_at(TWO_MINUTES, 10, 121), asked_at(None, 10, 121)
    assert len(adaptive) <= len(fixed) * 0.6


@pytest.mark.parametrize("interval", [0.5, 2, 10, 60])
@pytest.mark.parametrize(
    "learned", [None, TWO_MINUTES, Learned(0.0, 0.0, 0.0), Learned(1.0, 5.0, 300.0)]
)
@pytest.mark.parametrize("lot", [0.0, 0.5, 0.999])
def test_the_bounds_hold(learned: Learned | None, interval: float, lot: float) -> None:
    for elapsed in range(400):
        seconds = next_poll(elapsed, learned, interval, least(interval), lot)
        assert least(interval) <= seconds <= 3 * interval


def test_a_closest_interval_is_a_quarter_but_not_below_half_a_second() -> None:
    assert [least(each) for each in (0.25, 1, 2, 10, 60)] == [0.25, 0.5, 0.5, 2.5, 15]


def test_a_job_that_always_takes_the_same_is_asked_for_just_before_and_just_after() -> None:
    assert asked_at(Learned(10.0, 10.0, 0.0), 4, 11) == [9.0, 10.0, 11.0]
    assert asked_at(Learned(10.0, 10.0, 0.0), 2, 10.5) == [4.8, 9.5, 10.0, 10.5]


def test_few_jobs_teach_nothing_and_a_straggler_little() -> None:
    assert learn([10.0] * 4) is None
    assert learn([9.0, 10.0, 10.0, 11.0, 500.0]) == Learned(9.0, 10.0, 1.0)


LOTS = [lot_of(UUID(int=number << 6)) for number in range(1000)]


def test_jobs_accepted_together_come_due_apart_and_never_later() -> None:
    waits = [next_poll(0, None, 10, 2.5, lot) for lot in LOTS]
    assert max(waits) <= 10
    assert min(waits) >= 9
    assert len({round(wait, 2) for wait in waits}) > 90
    assert next_poll(0, None, 2.5, 2.5, 1.0) == 2.5


def test_the_first_close_questions_are_spread_evenly_over_one_step() -> None:
    firsts = [next_poll(9.0, Learned(10.0, 10.0, 0.0), 4, 1, lot) for lot in LOTS]
    assert min(firsts) == 1  # none of them sooner than the least time between two questions
    firsts = sorted(next_poll(6.0, Learned(10.0, 10.0, 0.0), 4, 1, lot) for lot in LOTS)
    assert firsts[0] == 3.0
    assert 3.45 < firsts[500] < 3.55
    assert 3.95 < firsts[-1] < 4.0


@pytest.mark.django_db(transaction=True)
def test_finished_jobs_are_what_is_learned_from(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    machine.run_to_end(start(*["a city"] * 6, concurrency=6))
    attempt = Attempt.objects.filter(phase=Phase.DONE).first()
    assert attempt is not None
    assert attempt.accepted_at is not None
    habits = schedule.Habits()
    learned = habits.of(attempt, machine.now)
    assert learned is not None
    Attempt.objects.update(finished_at=attempt.accepted_at + timedelta(seconds=300))
    assert habits.of(attempt, machine.now) == learned
    assert habits.of(attempt, machine.now + timedelta(seconds=61)) != learned


@pytest.mark.django_db(transaction=True)
def test_a_model_with_a_schedule_of_its_own_is_asked_at_just_that(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    machine.run_to_end(start(*["a city"] * 6, concurrency=6))
    attempt = Attempt.objects.filter(phase=Phase.DONE).first()
    assert attempt is not None
    model = ProviderModel.objects.get(
        provider_id=attempt.provider_id, name=attempt.provider_model_id
    )
    Attempt.objects.update(finished_at=F("accepted_at") + timedelta(seconds=300))
    habits = schedule.Habits()
    attempt.accepted_at = machine.now
    learned_wait = habits.wait(attempt, pace_of(model), machine.now)
    assert learned_wait > settings.POLL_INTERVAL_SECONDS
    model.poll_interval_seconds = 30
    assert habits.wait(attempt, pace_of(model), machine.now) == 30
    assert habits.first_wait(attempt, model, machine.now) == settings.POLL_INITIAL_WAIT_SECONDS
    model.poll_initial_wait_seconds = 45
    assert habits.first_wait(attempt, model, machine.now) == 45
