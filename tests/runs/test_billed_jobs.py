"""What dialects differ in where money is at stake: costs that are told, deletes that cancel, lists that say little."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from providers import registry
from providers.base import HttpAnswer, Listing, Search, SeenJob
from providers.models import Recovery
from runs import lifecycle
from runs.models import Attempt, Phase, Status, Task
from runs.steps import recover
from tests.providers.dialects import DIALECTS
from tests.providers.simulated import simulator
from tests.runs.conftest import Machine, MakeRun, only_task
from tests.runs.test_dialects import KEY, Clock, World, only_route, set_provider

pytestmark = pytest.mark.django_db(transaction=True)

Enter = Callable[[str], AbstractContextManager[World]]


@pytest.fixture
def enter(catalogue: None, settings: Any, machine: Machine, start: MakeRun) -> Enter:
    """`with enter("ark") as world`: one dialect at the far end, whose jobs take an hour of its clock."""
    machine.now = timezone.now()

    @contextmanager
    def world(name: str) -> Iterator[World]:
        (dialect,) = (found for found in DIALECTS if found.name == name)
        clock = Clock()
        with simulator(seconds=3600.0, api_key=KEY, clock=clock) as far_end:
            settings.PROVIDERS = {dialect.provider: dialect.account(far_end.origin, KEY)}
            only_route(dialect)
            set_provider(dialect, can_cancel=True)
            yield World(dialect, far_end, clock, machine, start)

    return world


def test_what_the_provider_bills_replaces_the_catalogues_estimate(enter: Enter) -> None:
    with enter("openrouter") as world:
        run = world.run("A city at dusk")
        world.machine.turn()
        estimate = Attempt.objects.get().cost
        world.clock.now += 3600
        world.machine.run_to_end(run)
    assert (estimate, Attempt.objects.get().cost) == (Decimal("0.9244"), Decimal("0.2"))


@pytest.mark.parametrize("name", ["ark", "minimax"])
def test_a_job_that_is_finished_is_never_deleted_by_a_cancel(enter: Enter, name: str) -> None:
    with enter(name) as world:
        run = world.run("A city at dusk")
        world.machine.turn()
        world.clock.now += 3600
        lifecycle.cancel_run(run.pk, now=world.machine.now)
        world.machine.run_to_end(run)
        ledger = world.far_end.ledger()
    assert (ledger["deletes"], ledger["cancels"]) == ([], {})
    assert only_task(run).status == Status.COMPLETED


@pytest.mark.parametrize("name", ["ark", "minimax"])
def test_a_job_that_runs_is_followed_to_its_end(enter: Enter, name: str) -> None:
    with enter(name) as world:
        run = world.run("A city at dusk")
        world.machine.turn()
        world.clock.now += 1800
        lifecycle.cancel_run(run.pk, now=world.machine.now)
        world.machine.turn()
        assert only_task(run).status == Status.RUNNING
        world.clock.now += 1800
        world.machine.run_to_end(run)
        assert world.far_end.ledger()["cancels"] == {}
    assert only_task(run).status == Status.COMPLETED


def test_each_lost_job_of_one_prompt_is_found_by_its_own_token(enter: Enter) -> None:
    with enter("ark") as world:
        set_provider(world.dialect, recovery=Recovery.LOOK_UP)
        run = world.run("A city [[sim:submit=drop_after_create]]", gen_count=3)
        world.machine.turn()
        world.machine.turn(15)
        tokens = {str(found.pk): found.provider_job_id for found in Attempt.objects.all()}
        assert tokens_at_the_far_end(world) == tokens
        world.clock.now += 3600
        run = world.machine.run_to_end(run)
    assert (run.status, len(tokens)) == (Status.COMPLETED, 3)


def tokens_at_the_far_end(world: World) -> dict[str, str]:
    account, adapter = registry.account("ark"), registry.adapter("ark")
    call = adapter.look_up(account, Search("", world.machine.now), None)
    assert call is not None
    (answer,) = world.machine.polls.ask([call], timeout=10)
    assert isinstance(answer, HttpAnswer)
    listing = adapter.read_look_up(answer, None)
    assert isinstance(listing, Listing)
    return {job.facts["safety_identifier"]: job.job_id for job in listing.jobs}


# ---- a list that does not tell requests apart ---------------------------------------------------------


def lost(world: World, fault: str, **more: Any) -> Task:
    set_provider(world.dialect, recovery=Recovery.LOOK_UP)
    run = world.run(f"A city [[sim:submit={fault}*1]]", **more)
    world.machine.turn()
    return only_task(run)


def test_where_no_job_may_be_it_none_was_made(enter: Enter) -> None:
    with enter("minimax") as world:
        task = lost(world, "drop_before_create")
        for seconds in (15, 45, 240):
            world.machine.turn(seconds)
        world.machine.turn()
        phases = list(Attempt.objects.order_by("number").values_list("phase", flat=True))
        assert phases == [Phase.ABSENT, Phase.ACCEPTED]
        world.clock.now += 3600
        world.machine.run_to_end(task.run)
        assert len(world.posts()) == 2
    task.refresh_from_db()
    assert (task.status, task.possibly_billed) == (Status.COMPLETED, False)


def test_a_job_that_may_be_it_is_shown_to_a_person(enter: Enter) -> None:
    with enter("minimax") as world:
        task = lost(world, "drop_after_create")
        for seconds in (15, 45):
            world.machine.turn(seconds)
            task.refresh_from_db()
            assert task.status == Status.RUNNING
        world.machine.turn(240)
        (post,) = world.posts()
    task.refresh_from_db()
    assert (task.status, task.possibly_billed) == (Status.FAILED, True)
    assert post["job_id"] in task.error_msg
    assert Attempt.objects.get().provider_job_id is None


def test_a_job_of_another_attempt_is_not_in_the_way(enter: Enter) -> None:
    with enter("minimax") as world:
        world.run("A river")
        world.machine.turn()
        task = lost(world, "drop_before_create")
        for seconds in (15, 45, 240):
            world.machine.turn(seconds)
    first = Attempt.objects.get(task=task, number=1)
    assert first.phase == Phase.ABSENT


def test_a_job_made_much_later_is_not_in_the_way(enter: Enter, settings: Any) -> None:
    with enter("minimax") as world:
        task = lost(world, "drop_before_create")
        attempt = Attempt.objects.get(task=task)
        later = settings.SUBMIT_LEASE_SECONDS + 121
        sent = attempt.sent_at.timestamp()
        facts = {"model": "MiniMax-H3", "duration": "4"}
        jobs = [
            SeenJob("soon", sent + later - 2, facts),
            SeenJob("late", sent + later, facts),
        ]
        found = recover._may_be_its(task, attempt, jobs, set())
    assert [job.job_id for job in found] == ["soon"]
