"""Webhooks through the whole: signed and not, twice, too early, and instead of the answer that was lost."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from providers import registry
from providers.adapters.openai import OpenAIVideos
from providers.base import Account, GenerationRequest, HttpCall, Notice, Unverified
from providers.models import Provider
from runs import callbacks, notices
from runs import models as rows
from runs.models import Attempt, Phase, Status, Step
from runs.steps import poll
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec-of-this-test"


class Signing(OpenAIVideos):
    """The dialect of the simulator, with the plainest signature there is."""

    told: list[str] = []

    def submit(self, account: Account, request: GenerationRequest) -> HttpCall:
        self.told.append(request.callback_url)
        return super().submit(account, request)

    def read_notice(
        self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        if not hmac.compare_digest(headers.get("x-signature", ""), sign(body, secret)):
            raise Unverified("the signature is wrong")
        said = json.loads(body)
        return Notice(job_id=said["job"], event_id=said["event"])


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def signing(settings: Any, far_end: Simulator, monkeypatch: pytest.MonkeyPatch) -> Signing:
    settings.PUBLIC_BASE_URL = "https://cineflow.example"
    settings.AUTH_TOKEN = "for people only"
    ours = {**settings.PROVIDERS["openai"], "webhook_secret": SECRET}
    settings.PROVIDERS = {**settings.PROVIDERS, "openai": ours}
    adapter = Signing()
    adapter.told.clear()
    monkeypatch.setitem(registry._ADAPTERS, "openai", adapter)
    return adapter


def tell(client: Client, attempt: Attempt, job: str, *, event: str = "evt_1", **how: Any) -> int:
    body = json.dumps({"job": job, "event": event}).encode()
    path = callbacks.url_for(attempt).removeprefix("https://cineflow.example")
    answered = client.post(
        how.get("path", path),
        body,
        content_type="application/json",
        headers={"X-Signature": how.get("signature", sign(body))},
    )
    return answered.status_code


def polled_next(attempt: Attempt) -> datetime:
    due_at = rows.Task.objects.get(pk=attempt.task_id).due_at
    assert due_at is not None
    return due_at


def test_the_address_goes_along_with_a_submit(
    start: MakeRun, machine: Machine, signing: Signing
) -> None:
    machine.run_to_end(start("a city"))
    attempt = Attempt.objects.get()
    assert signing.told == [callbacks.url_for(attempt)]
    assert signing.told[0].startswith("https://cineflow.example/webhooks/openai/")


def test_without_a_way_to_verify_no_address_is_given(
    start: MakeRun, machine: Machine, signing: Signing, settings: Any
) -> None:
    settings.PROVIDERS["openai"].pop("webhook_secret")
    machine.run_to_end(start("a city"))
    assert signing.told == [""]


def test_a_notice_brings_the_next_poll_forward(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    attempt = Attempt.objects.get()
    assert polled_next(attempt) > machine.now
    assert tell(client, attempt, attempt.provider_job_id or "") == 200
    assert notices.turn(machine.now) == 1
    assert polled_next(attempt) == machine.now
    assert rows.Notice.objects.get().handled_at == machine.now


def test_the_same_notice_again_changes_nothing(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    attempt = Attempt.objects.get()
    for _ in range(3):
        assert tell(client, attempt, attempt.provider_job_id or "") == 200
    assert notices.turn(machine.now) == 1
    poll.turn(machine.polls, machine.now)
    after = polled_next(attempt)
    assert tell(client, attempt, attempt.provider_job_id or "") == 200
    assert notices.turn(machine.now) == 0
    assert polled_next(attempt) == after > machine.now


def test_it_says_nothing_of_the_job_that_only_a_poll_may_say(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    """A notice about a job that is another one's, or that is not done, ends no task."""
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    attempt = Attempt.objects.get()
    assert tell(client, attempt, "video_of_somebody_else") == 200
    machine.turn()
    attempt.refresh_from_db()
    assert (attempt.phase, attempt.task.status) == (Phase.ACCEPTED, Status.RUNNING)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"signature": "0" * 64}, 401),
        ({"signature": ""}, 401),
        ({"path": "/webhooks/openai/forged:token"}, 404),
        ({"path": "/webhooks/openai/x"}, 404),
        ({"path": "/webhooks/nobody/x"}, 404),
        ({"path": "/webhooks/openai/"}, 404),
    ],
)
def test_what_is_not_verified_leaves_nothing(
    how: dict[str, str],
    status: int,
    start: MakeRun,
    machine: Machine,
    signing: Signing,
    client: Client,
) -> None:
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    attempt = Attempt.objects.get()
    assert tell(client, attempt, attempt.provider_job_id or "", **how) == status
    assert not rows.Notice.objects.exists()


def test_the_address_of_one_provider_opens_no_other(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    attempt = Attempt.objects.get()
    path = callbacks.url_for(attempt).removeprefix("https://cineflow.example")
    assert tell(client, attempt, "video_1", path=path.replace("openai", "sora_hk")) == 404


@pytest.mark.parametrize("recovery", ["none", "look_up", "token"])
def test_a_lost_job_id_comes_back_with_the_notice(
    recovery: str,
    start: MakeRun,
    machine: Machine,
    signing: Signing,
    far_end: Simulator,
    client: Client,
) -> None:
    Provider.objects.filter(pk="openai").update(recovery=recovery)
    run = start("a city [[sim:submit=drop_after_create]]")
    machine.submit()
    attempt = Attempt.objects.get()
    assert attempt.phase == Phase.AMBIGUOUS
    [post] = far_end.ledger()["posts"]
    assert tell(client, attempt, post["job_id"]) == 200
    assert notices.turn(machine.now) == 1
    run = machine.run_to_end(run)
    attempt.refresh_from_db()
    assert (run.status, attempt.provider_job_id) == (Status.COMPLETED, post["job_id"])
    assert not attempt.possibly_billed
    assert len(far_end.ledger()["posts"]) == 1


def test_a_notice_that_comes_before_the_answer_waits_for_it(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    machine.now = timezone.now()  # notices come in real time
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    attempt = Attempt.objects.get()
    job, due = attempt.provider_job_id or "", polled_next(attempt)
    Attempt.objects.update(phase=Phase.SENDING, provider_job_id=None, accepted_at=None)
    assert tell(client, attempt, job) == 200
    assert notices.turn(machine.now) == 0
    accepted = {"provider_job_id": job, "accepted_at": attempt.accepted_at}
    Attempt.objects.update(phase=Phase.ACCEPTED, **accepted)
    assert due > machine.now
    assert notices.turn(machine.now) == 1
    assert polled_next(attempt) == machine.now


def test_a_notice_cannot_take_a_job_from_another_attempt(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    start("a city [[sim:seconds=3600]]", "a town [[sim:submit=drop_after_create]]", concurrency=2)
    machine.submit()
    bound = Attempt.objects.get(phase=Phase.ACCEPTED)
    lost = Attempt.objects.get(phase=Phase.AMBIGUOUS)
    assert tell(client, lost, bound.provider_job_id or "") == 200
    assert notices.turn(machine.now) == 1
    lost.refresh_from_db()
    assert (lost.phase, lost.task.step) == (Phase.AMBIGUOUS, Step.NONE)


def test_old_notices_are_forgotten(
    start: MakeRun, machine: Machine, signing: Signing, client: Client
) -> None:
    start("a city [[sim:seconds=3600]]")
    machine.turn()
    tell(client, Attempt.objects.get(), "video_1")
    notices.prune(now=rows.Notice.objects.get().received_at + notices.KEPT * 1.01)
    assert not rows.Notice.objects.exists()
