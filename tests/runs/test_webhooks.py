"""Notices over real sockets: the simulator signs as each vendor does, and our own server is told."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from providers.models import ProviderModel, Route
from providers.simulator.settings import Settings
from runs import notices
from runs.models import Attempt, Notice, Phase, Run, Status, Task
from tests.providers.dialects import DIALECTS, Dialect
from tests.providers.simulated import Simulator, simulator
from tests.runs.conftest import Machine, MakeRun, only_task

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "sk-webhooks-5f0c2a9e71"
TELLING = {"fal", "replicate", "openrouter"}
_PATIENCE = 20.0


@dataclass
class World:
    """One vendor that tells of its jobs, and our server where it does."""

    dialect: Dialect
    far_end: Simulator
    machine: Machine
    start: MakeRun

    def run(self, prompt: str) -> Run:
        fields = {"duration_seconds": self.dialect.seconds}
        return self.start(prompt, fields=fields, model_id=self.dialect.model)

    def told(self, times: int = 1) -> list[dict[str, Any]]:
        """What was sent so far, once it is so often."""
        until = time.monotonic() + _PATIENCE
        while len(found := self.far_end.ledger()["webhooks"]) < times:
            assert time.monotonic() < until, f"told {len(found)} times of {times}"
            time.sleep(0.02)
        sent: list[dict[str, Any]] = found
        return sent


@pytest.fixture(params=[each for each in DIALECTS if each.name in TELLING], ids=str)
def world(
    request: pytest.FixtureRequest,
    catalogue: None,
    settings: Any,
    live_server: LiveServer,
    machine: Machine,
    start: MakeRun,
) -> Iterator[World]:
    dialect: Dialect = request.param
    machine.now = timezone.now()
    settings.PUBLIC_BASE_URL = live_server.url
    settings.AUTH_TOKEN = "for people only"
    with simulator(seconds=0.0, api_key=KEY) as far_end:
        account = dialect.account(far_end.origin, KEY)
        if dialect.name != "fal":  # it publishes its keys instead
            account["webhook_secret"] = Settings().webhook_secret
        settings.PROVIDERS = {dialect.provider: account}
        made, _ = ProviderModel.objects.get_or_create(
            provider_id=dialect.provider, name=dialect.provider_model
        )
        Route.objects.filter(model=dialect.model).exclude(provider_model=made).delete()
        notices._keys._kept.clear()
        yield World(dialect, far_end, machine, start)


def test_the_end_of_a_job_is_told_and_heeded(world: World) -> None:
    run = world.run("a city [[sim:seconds=0.3]]")
    world.machine.submit()
    (sent,) = world.told()
    assert sent["status"] == 200
    attempt, notice = Attempt.objects.get(), Notice.objects.get()
    assert (notice.attempt_id, notice.job_id) == (attempt.pk, attempt.provider_job_id)
    assert notices.turn(world.machine.now) == 1
    assert Task.objects.get(run=run).due_at == world.machine.now
    world.machine.turn(0)
    assert only_task(run).status == Status.COMPLETED


@pytest.mark.parametrize("fault", ["bad_signature", "stale"])
def test_what_is_not_signed_well_is_not_believed(world: World, fault: str) -> None:
    run = world.machine.run_to_end(world.run(f"a city [[sim:webhook={fault}]]"))
    (sent,) = world.told()
    assert sent["status"] == 401
    assert not Notice.objects.exists()
    assert run.status == Status.COMPLETED  # polls find out all the same


def test_what_is_told_twice_is_kept_once(world: World) -> None:
    world.machine.run_to_end(world.run("a city [[sim:webhook=duplicate]]"))
    assert [sent["status"] for sent in world.told(2)] == [200, 200]
    assert Notice.objects.count() == 1


def test_a_notice_may_come_before_the_answer_to_the_submit(world: World) -> None:
    run = world.run("a city [[sim:seconds=60]] [[sim:webhook=early]]")
    world.machine.submit()
    (sent,) = world.told()
    assert sent["status"] == 200
    attempt = Attempt.objects.get()
    assert (attempt.phase, attempt.provider_job_id) == (Phase.ACCEPTED, sent["job_id"])
    assert notices.turn(world.machine.now) == 1
    world.machine.turn(0)
    assert only_task(run).status == Status.COMPLETED


def test_a_notice_brings_back_the_job_of_a_lost_answer(world: World) -> None:
    run = world.run("a city [[sim:submit=drop_after_create]]")
    world.machine.submit()
    assert Attempt.objects.get().phase == Phase.AMBIGUOUS
    (sent,) = world.told()
    assert notices.turn(world.machine.now) == 1
    run = world.machine.run_to_end(run)
    assert (run.status, Attempt.objects.get().provider_job_id) == (
        Status.COMPLETED,
        sent["job_id"],
    )
    assert world.far_end.summary()["posts"] == 1


def test_who_is_never_told_asks(world: World) -> None:
    run = world.machine.run_to_end(world.run("a city [[sim:webhook=none]]"))
    assert run.status == Status.COMPLETED
    assert world.far_end.ledger()["webhooks"] == []
