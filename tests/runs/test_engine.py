"""The paid path, step by step, against a far end that counts what it was asked."""

from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from cineflow.core.errors import Conflict
from providers.base import Accepted
from providers.models import Provider
from runs import launch, lifecycle, outputs
from runs.models import Attempt, Event, Phase, Run, Status, Step, Task
from runs.steps import dispatch, submit
from runs.steps.sending import send
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeBoard, MakeRun, only_task, video_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_run_becomes_files_and_each_job_is_made_once(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city", "a river", gen_count=2))
    assert (run.status, run.completed, run.total_tasks) == (Status.COMPLETED, 4, 4)
    assert far_end.summary()["posts"] == far_end.summary()["created"] == 4
    assert len({video_of(task).sha256 for task in Task.objects.select_related("video")}) == 4


def test_the_attempt_is_committed_before_the_call(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    start("a city")
    sendings = dispatch.claim(10, now=machine.now)
    assert [attempt.phase for attempt in Attempt.objects.all()] == [Phase.SENDING]
    assert far_end.summary()["posts"] == 0
    assert isinstance(send(machine.transport, sendings[0]), Accepted)


def test_concurrency_is_never_exceeded_and_a_freed_slot_is_refilled(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    far_end.configure(seconds=60)
    run = start(*["a city"] * 7, concurrency=3)
    machine.turn()
    machine.turn()
    assert Task.objects.filter(run=run, status=Status.RUNNING).count() == 3
    run.refresh_from_db()
    assert "concurrency" in run.waiting_reason
    Attempt.objects.filter(number=1).first()
    lost = Task.objects.filter(run=run, status=Status.RUNNING).first()
    assert lost is not None
    machine.turn()
    assert far_end.summary()["max_in_flight"] == 3


@pytest.mark.parametrize(
    "fault",
    [
        "submit=drop_after_create",
        "submit=500",
        "submit=500_after_create",
        "submit=bad_json",
        "submit=no_id",
    ],
)
def test_a_lost_answer_to_the_paid_call_is_never_resent(
    fault: str, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start(f"a city [[sim:{fault}]]", routing_strategy="failover"))
    task = only_task(run)
    assert (run.status, task.error_code, task.possibly_billed) == (
        Status.FAILED,
        "unknown_error",
        True,
    )
    assert task.retryable is False
    assert far_end.summary()["posts"] == 1


def test_a_retry_of_a_possibly_billed_task_needs_a_word(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create*1]]"))
    task = only_task(run)
    with pytest.raises(Conflict) as refused:
        launch.retry_task(task.pk, now=machine.now)
    assert refused.value.details == {"possibly_billed": True}
    launch.retry_task(task.pk, submit_again=True, now=machine.now)
    run = machine.run_to_end(run)
    assert run.status == Status.COMPLETED
    assert [found.phase for found in Attempt.objects.order_by("number")] == [
        Phase.ABANDONED,
        Phase.DONE,
    ]
    assert far_end.summary()["posts"] == 2


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ("submit=moderation", "content_policy", False),
        ("submit=403", "forbidden", True),
        ("fail=moderation_blocked", "content_policy", False),
        ("fail=server_error", "server_error", True),
    ],
)
def test_a_refusal_ends_the_task_with_its_code(
    fault: str, code: str, retryable: bool, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start(f"a city [[sim:{fault}]]"))
    task = only_task(run)
    assert (task.error_code, task.retryable, task.possibly_billed) == (code, retryable, False)
    assert far_end.summary()["posts"] == 1


def test_a_429_holds_the_whole_account(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city [[sim:submit=429:10*1]]", "a river", concurrency=1)
    machine.turn()
    held = Provider.objects.get(pk="openai")
    assert held.not_before == machine.now + timedelta(seconds=10)
    machine.turn(9.5)
    assert far_end.summary()["posts"] == 1
    run.refresh_from_db()
    assert "429" in run.waiting_reason
    machine.turn(1)
    machine.turn(1)
    assert far_end.summary()["posts"] == 2
    assert machine.run_to_end(run).status == Status.COMPLETED


def test_a_throttled_task_fails_in_the_end(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=429:1]]"), seconds=5)
    task = only_task(run)
    assert (task.error_code, task.retryable) == ("rate_limited", True)
    assert far_end.summary()["posts"] == settings.MAX_ATTEMPTS


def test_no_post_is_sent_long_after_its_commit(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    settings.SEND_WITHIN_SECONDS = -1
    run = start("a city")
    machine.turn()
    assert far_end.summary()["posts"] == 0
    settings.SEND_WITHIN_SECONDS = 5
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert [found.phase for found in Attempt.objects.order_by("number")] == [
        Phase.REJECTED,
        Phase.DONE,
    ]


def test_an_answer_that_trips_over_a_bug_takes_no_other_with_it(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("one", "two", "three", concurrency=3)
    sendings = dispatch.claim(3, now=machine.now)
    futures: list[Future[Any]] = [Future() for _ in sendings]
    futures[0].set_result(Accepted("job-1"))
    futures[1].set_exception(RuntimeError("a bug"))
    futures[2].set_result(Accepted("job-3"))
    machine.submitter.pending = dict(zip(futures, sendings, strict=True))
    with pytest.raises(RuntimeError):
        machine.submitter.turn(machine.now)
    machine.submitter.turn(machine.now)
    phases = run.attempts.order_by("task__segment_index").values_list("phase", flat=True)
    assert list(phases) == [Phase.ACCEPTED, Phase.SENDING, Phase.ACCEPTED]


def test_a_worker_that_died_while_sending_leaves_a_question_not_a_second_job(
    start: MakeRun, machine: Machine, far_end: Simulator, settings: Any
) -> None:
    run = start("a city")
    (sending,) = dispatch.claim(1, now=machine.now)
    late = machine.now + timedelta(seconds=settings.SUBMIT_LEASE_SECONDS)
    assert submit.settle(late - timedelta(seconds=1)) == 0
    assert submit.settle(late) == 1
    task = only_task(run)
    assert (task.status, task.possibly_billed) == (Status.FAILED, True)
    zombie = send(machine.transport, sending)
    submit.write_answers([(sending, zombie)], now=late)
    assert only_task(run).status == Status.FAILED
    assert Attempt.objects.get().phase == Phase.AMBIGUOUS


def test_a_stale_worker_writes_nothing(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city")
    machine.submit()
    later = machine.now + timedelta(seconds=60)
    (mine,) = lifecycle.claim([Step.POLL], limit=1, lease=30, now=later)
    (theirs,) = lifecycle.claim([Step.POLL], limit=1, lease=30, now=later + timedelta(seconds=31))
    assert theirs.fence == mine.fence + 1
    moved = lifecycle.apply([lifecycle.Move(mine, Status.FAILED, "stale")], now=later)
    assert moved == set()
    assert only_task(run).status == Status.RUNNING


@pytest.mark.parametrize(
    "fault", ["poll=500*3", "poll=429:2*1", "poll=bad_json*1", "poll=drop*2", "progress=none"]
)
def test_a_poll_error_never_fails_a_task(
    fault: str, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start(f"a city [[sim:{fault}]]"))
    assert run.status == Status.COMPLETED


def test_a_job_that_never_ends_times_out_and_is_asked_once_more_on_retry(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    far_end.configure(seconds=3600)
    run = machine.run_to_end(start("a city"), seconds=600)
    task = only_task(run)
    assert (task.error_code, task.retryable) == ("timeout", True)
    far_end.configure(seconds=0)
    launch.retry_task(task.pk, now=machine.now)
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 2  # the old job is still not done, so a new one is paid


def test_a_job_its_provider_forgot_fails_at_last(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:poll=404]]"))
    assert only_task(run).error_code == "dependency_error"


@pytest.mark.parametrize(
    "fault", ["fetch=500*2", "fetch=truncate*1", "fetch=html*1", "fetch=empty*1", "fetch=404*1"]
)
def test_a_download_is_tried_again_without_paying(
    fault: str, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start(f"a city [[sim:{fault}]]"))
    assert run.status == Status.COMPLETED
    assert far_end.summary()["posts"] == 1


def test_a_failed_download_keeps_its_job_and_is_fetched_by_a_retry(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:fetch=500*60]]"))
    task = only_task(run)
    assert (task.status, task.error_code, task.retryable) == (
        "download_failed",
        "download_failed",
        True,
    )
    assert run.status == Status.FAILED
    for _ in range(20):
        task = only_task(run)
        if task.status == Status.COMPLETED:
            break
        launch.retry_task(task.pk, now=machine.now)
        run = machine.run_to_end(run)
    assert only_task(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 1
    assert Attempt.objects.count() == 1


def test_a_model_that_its_vendor_ended_is_not_asked_for_there(
    start: MakeRun, machine: Machine, settings: Any
) -> None:
    at_its_vendor = {"key": "sk-test", "base_url": "https://api.openai.com/v1", "dialect": "openai"}
    settings.PROVIDERS = {**settings.PROVIDERS, "openai": at_its_vendor}
    task = only_task(machine.run_to_end(start("a city", model_id="sora2")))
    assert (task.error_code, Attempt.objects.count()) == ("no_provider", 0)
    assert "ended it on 2026-09-24" in task.error_msg


def test_no_provider_says_which_variable_to_set(
    start: MakeRun, machine: Machine, settings: Any
) -> None:
    settings.PROVIDERS = {name: {**found, "key": ""} for name, found in settings.PROVIDERS.items()}
    run = machine.run_to_end(start("a city"))
    task = only_task(run)
    assert (task.error_code, task.retryable) == ("no_provider", False)
    assert "OPENAI_API_KEY" in task.error_msg
    assert Attempt.objects.count() == 0


def test_the_same_inputs_are_not_paid_twice(
    start: MakeRun, board: MakeBoard, machine: Machine, far_end: Simulator
) -> None:
    storyboard = board("a city", "a river")
    machine.run_to_end(start(of=storyboard))
    second = machine.run_to_end(start(of=storyboard))
    assert second.status == Status.COMPLETED
    assert far_end.summary()["posts"] == 2
    assert all(video_of(task).reused_from_id for task in second.tasks.select_related("video"))
    third = machine.run_to_end(start(of=storyboard, force=True))
    assert (third.status, far_end.summary()["posts"]) == (Status.COMPLETED, 4)


def test_a_reuse_whose_file_is_gone_is_generated(
    start: MakeRun, board: MakeBoard, machine: Machine, far_end: Simulator
) -> None:
    storyboard = board("a city")
    first = machine.run_to_end(start(of=storyboard))
    outputs.absolute(video_of(only_task(first)).path).unlink()
    second = machine.run_to_end(start(of=storyboard))
    assert (second.status, far_end.summary()["posts"]) == (Status.COMPLETED, 2)


def test_a_retry_never_reuses_and_keeps_the_old_file(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city"))
    first = video_of(only_task(run))
    launch.retry_task(only_task(run).pk, now=machine.now)
    run.refresh_from_db()
    assert run.status == Status.RUNNING
    run = machine.run_to_end(run)
    newest = video_of(only_task(run))
    assert newest.path != first.path
    assert outputs.absolute(first.path).exists()
    assert newest.path.endswith("00001-t1-a2.mp4")


def test_a_dry_run_touches_nothing(start: MakeRun, machine: Machine, far_end: Simulator) -> None:
    run = machine.run_to_end(start("a city", "a river", dry_run=True, gen_count=3))
    assert (run.status, run.completed) == (Status.COMPLETED, 6)
    assert (Attempt.objects.count(), far_end.summary()["posts"]) == (0, 0)
    assert all((task.routing or {})["candidates"] for task in run.tasks.all())


def test_failover_asks_each_provider_once(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=403]]", routing_strategy="failover"))
    task = only_task(run)
    assert task.error_code == "forbidden"
    assert far_end.summary()["posts"] == 1


def test_cancel_ends_what_has_not_started_and_keeps_a_paid_clip(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city", "a river", "a sea", concurrency=1)
    machine.submit()
    lifecycle.cancel_run(run.pk, now=machine.now)
    run = machine.run_to_end(run)
    assert (run.status, run.completed, run.canceled) == (Status.CANCELED, 1, 2)
    assert far_end.summary()["posts"] == 1


def test_the_story_of_a_run_has_no_gap(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city", "a river [[sim:fail=server_error]]"))
    numbers = list(
        Event.objects.filter(run=run).order_by("number").values_list("number", flat=True)
    )
    assert numbers == list(range(1, run.event_count + 1))


def test_a_job_id_given_twice_hurts_only_the_second_attempt(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    start("a city", "a river")
    sendings = dispatch.claim(2, now=machine.now)
    twice = [(sending, Accepted("the-same-job")) for sending in sendings]
    submit.write_answers(twice, now=machine.now)
    phases = sorted(Attempt.objects.values_list("phase", flat=True))
    assert phases == [Phase.ACCEPTED, Phase.AMBIGUOUS]


def test_counts_are_what_the_tasks_are(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city", "a river [[sim:submit=moderation]]", "a sea [[sim:fetch=404*99]]")
    run = machine.run_to_end(run)
    for status in Status:
        assert getattr(run, status) == run.tasks.filter(status=status).count()
    assert isinstance(run, Run)
