"""Moderation that refused what was made, and not what was asked for: one more attempt, where that is allowed."""

from typing import Any

import pytest

from providers.models import ProviderModel
from runs import launch, metadata
from runs.models import Attempt, Event, Status
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun, only_task
from tests.runs.racing import assert_sound

pytestmark = pytest.mark.django_db(transaction=True)

OUTPUT = "A singer on a bus [[sim:fail=OutputVideoSensitiveContentDetected]]"
INPUT = "A singer on a bus [[sim:fail=InputTextSensitiveContentDetected]]"


def test_by_default_no_refusal_is_paid_for_twice(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    task = only_task(machine.run_to_end(start(OUTPUT)))
    assert (task.status, task.error_code, task.retryable) == ("failed", "content_policy", False)
    assert far_end.summary()["posts"] == 1


@pytest.mark.parametrize("allowed", [1, 5])
def test_a_refused_output_is_made_once_more_and_never_again(
    allowed: int, start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    settings.OUTPUT_REFUSAL_RETRIES = allowed
    run = machine.run_to_end(start(OUTPUT))
    assert (run.status, far_end.summary()["posts"]) == (Status.FAILED, 2)
    (event,) = Event.objects.filter(kind="output_refused")
    assert (event.before, event.after, event.attempt_number) == ("running", "queued", 1)
    assert "once more" in event.why
    launch.retry_task(only_task(run).pk, now=machine.now)
    machine.run_to_end(run)
    assert far_end.summary()["posts"] == 3
    assert_sound(run)


@pytest.mark.parametrize("prompt", [INPUT, "A singer [[sim:submit=moderation]]"])
def test_a_refused_input_is_never_sent_again(
    prompt: str, start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    settings.OUTPUT_REFUSAL_RETRIES = 1
    task = only_task(machine.run_to_end(start(prompt, routing_strategy="failover")))
    assert (task.error_code, far_end.summary()["posts"]) == ("content_policy", 1)
    assert not Event.objects.filter(kind="output_refused").exists()


def test_the_providers_own_word_is_told(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    task = only_task(machine.run_to_end(start("A singer [[sim:submit=moderation]]")))
    (attempt,) = metadata.of_task(task)["attempts"]
    assert attempt["provider_code"] == "moderation_blocked"


def test_an_attempt_that_got_over_its_error_does_not_keep_the_word(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("A city [[sim:submit=429:1*1]]"))
    first, second = metadata.of_task(only_task(run))["attempts"]
    assert (first["provider_code"], second["provider_code"]) == ("rate_limit_exceeded", None)


def test_a_model_that_is_gone_is_told_by_its_code_and_not_by_the_status(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    """A relay refuses it with a 503, before it has asked anybody."""
    settings.PROVIDERS = {
        "openai": {
            "key": "sk-test",
            "base_url": f"{far_end.origin}/newapi/v1",
            "dialect": "newapi",
        }
    }
    start("A city [[sim:submit=no_channel]]")
    machine.turn()
    attempt = Attempt.objects.get()
    assert (attempt.phase, attempt.error_code, attempt.http_status) == (
        "rejected",
        "dependency_error",
        503,
    )
    assert ProviderModel.objects.get(provider="openai", name="sora-2").trips == 1
