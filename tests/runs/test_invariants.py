"""Each invariant broken by hand is named; a history of failures, retries and cancels breaks none."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.models import F
from django.utils import timezone

from providers.models import Provider, Recovery
from runs import decisions, invariants, launch, lifecycle, outputs
from runs.models import Attempt, Event, Phase, Run, Status, Task, VideoFile
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeBoard, MakeRun

pytestmark = pytest.mark.django_db(transaction=True)


def broken(*only: str, now: Any = None, hashes: bool = False) -> dict[str, list[str]]:
    """What is not as it must be, without the rest."""
    options = invariants.Options(now=now or timezone.now(), hashes=hashes)
    return {number: rows for number, rows in invariants.check(options, only=only).items() if rows}


@pytest.fixture
def run(start: MakeRun, machine: Machine, far_end: Simulator) -> Run:
    """Two takes that are done."""
    return machine.run_to_end(start("a city", "a river"))


@pytest.fixture
def flying(start: MakeRun, machine: Machine, far_end: Simulator) -> Run:
    """Two jobs that their provider works on."""
    far_end.configure(seconds=3600)
    made = start("a city", "a river")
    machine.turn()
    made.refresh_from_db()
    assert made.running == 2
    return made


@pytest.fixture
def task(run: Run) -> Task:
    return run.tasks.select_related("video").get(segment_index=1)


@contextmanager
def without(model: type[models.Model], name: str) -> Iterator[None]:
    """As if a constraint had never been there; all runs are gone afterwards."""
    (constraint,) = (found for found in model._meta.constraints if found.name == name)
    with connection.schema_editor() as editor:
        editor.remove_constraint(model, constraint)
    try:
        yield
    finally:
        Run.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(model, constraint)


def copy(attempt: Attempt, **values: Any) -> Attempt:
    facts = {field.name: getattr(attempt, field.name) for field in Attempt._meta.concrete_fields}
    del facts["id"]
    return Attempt.objects.create(**{**facts, **values})


# ---- nothing is broken ---------------------------------------------------------------------------


def test_a_dry_run_breaks_none(start: MakeRun, machine: Machine) -> None:
    run = machine.run_to_end(start(*["a city"] * 3, gen_count=2, dry_run=True))
    assert (run.completed, broken()) == (6, {})


def test_a_history_of_failures_retries_and_reuse_breaks_none(
    start: MakeRun, board: MakeBoard, machine: Machine, far_end: Simulator
) -> None:
    storyboard = board(
        "a city",
        "a river [[sim:submit=429:1*2]]",
        "a tower [[sim:fail=server_error]]",
        "a moon [[sim:submit=moderation]]",
        "a sea [[sim:fetch=500*5]]",
        "a wood [[sim:submit=500]]",
    )
    run = machine.run_to_end(start(of=storyboard))
    for ended in Task.objects.filter(run=run, possibly_billed=False):
        launch.retry_task(ended.pk, now=machine.now)
    run = machine.run_to_end(run)
    assert (run.completed, run.failed) == (3, 3)
    again = machine.run_to_end(start(of=storyboard))
    assert VideoFile.objects.filter(task__run=again).exclude(reused_from=None).exists()
    assert broken(hashes=True) == {}


@pytest.mark.parametrize("recovery", [Recovery.LOOK_UP, Recovery.TOKEN])
def test_answers_that_are_recovered_break_none(
    recovery: Recovery, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    Provider.objects.filter(pk="openai").update(recovery=recovery)
    far_end.configure(idempotency=True)
    machine.now = timezone.now()  # look-ups compare with the far end's clock
    faults = ("drop_after_create*1", "drop_before_create*1", "500*1")
    run = start(*[f"a city [[sim:submit={fault}]]" for fault in faults])
    assert machine.run_to_end(run).completed == 3
    assert broken() == {}


@pytest.mark.parametrize("word", ["adopt", "submit_again", "give_up"])
def test_decisions_break_none(
    word: Any, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create*1]]"))
    assert broken() == {}
    (post,) = far_end.ledger()["posts"]
    decisions.decide(run.tasks.get().pk, word, job_id=post["job_id"], now=machine.now)
    machine.run_to_end(run)
    assert broken() == {}


def test_cancels_and_a_retry_after_them_break_none(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    Provider.objects.filter(pk="openai").update(can_cancel=True)
    far_end.configure(seconds=3600, cancel=True)
    run = start(*["a city"] * 3, concurrency=2)
    machine.submit()
    lifecycle.cancel_run(run.pk, now=machine.now)
    run = machine.run_to_end(run)
    assert (run.canceled, broken()) == (3, {})
    far_end.configure(seconds=0)
    for ended in run.tasks.all():
        launch.retry_task(ended.pk, now=machine.now)
    assert machine.run_to_end(run).completed == 3
    assert broken() == {}


# ---- each is broken by hand ----------------------------------------------------------------------


def test_i1_counts_that_are_not_the_tasks(run: Run) -> None:
    Run.objects.update(completed=F("completed") - 1, failed=F("failed") + 1)
    assert broken() == {"I1": [run.public_id]}


def test_i1_a_task_that_nobody_counted(run: Run, task: Task) -> None:
    Task.objects.exclude(pk=task.pk).delete()
    assert broken("I1") == {"I1": [run.public_id]}


def test_i2_a_status_that_its_story_does_not_tell(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(status=Status.FAILED, error_code="timeout")
    assert broken("I2") == {"I2": [f"{task.public_id} is failed"]}


def test_i2_an_end_that_is_left_without_a_retry(task: Task, machine: Machine) -> None:
    launch.retry_task(task.pk, now=machine.now)
    assert broken("I2") == {}
    retry = Event.objects.get(kind="retry")
    Event.objects.filter(pk=retry.pk).update(kind="task")
    assert broken("I2") == {"I2": [f"{task.public_id} event {retry.number}"]}


def test_i2_a_move_that_is_missing_in_the_story(task: Task) -> None:
    Event.objects.filter(task=task, kind="sending").delete()
    assert [row.split()[0] for row in broken("I2")["I2"]] == [task.public_id]


def test_i3_two_live_attempts(flying: Run) -> None:
    with without(Attempt, "one_live_attempt_a_task"):
        attempt = Attempt.objects.select_related("task")[0]
        copy(attempt, number=2, provider_job_id="another")
        assert broken("I3") == {"I3": [f"{attempt.task.public_id} 2 live attempts"]}


@pytest.mark.parametrize("change", [{"number": 2}, {"number": 3}])
def test_i4_a_gap_in_the_numbers(change: dict[str, int], task: Task) -> None:
    task.attempts.update(**change)
    assert broken("I4") == {"I4": [task.public_id]}


def test_i4_a_count_that_is_not_the_attempts(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(attempt_count=2)
    assert broken() == {"I4": [task.public_id]}


def test_i5_an_attempt_whose_submit_was_never_told(task: Task) -> None:
    Event.objects.filter(task=task, kind="sending").update(kind="task")
    assert broken("I5") == {"I5": [f"{task.public_id} attempt 1"]}


def test_i5_a_job_that_was_accepted_before_it_was_sent(task: Task) -> None:
    task.attempts.update(accepted_at=F("sent_at") - timedelta(seconds=1))
    assert broken() == {"I5": [f"{task.public_id} attempt 1"]}


def test_i6_a_job_of_two_attempts(run: Run) -> None:
    with without(Attempt, "a_job_belongs_to_one_attempt"):
        Attempt.objects.update(provider_job_id="the same")
        names = [f"{task.public_id} attempt 1" for task in run.tasks.all()]
        assert sorted(broken()["I6"]) == sorted(names)


def test_i7_a_submit_after_a_lost_answer_that_nobody_decided(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create*1]]"))
    task = run.tasks.get()
    decisions.decide(task.pk, "submit_again", now=machine.now)
    machine.run_to_end(run)
    Event.objects.filter(kind="retry").update(kind="task")
    assert broken("I7") == {"I7": [f"{task.public_id} attempt 2"]}


def test_i7_an_attempt_beside_one_of_unknown_outcome(task: Task) -> None:
    copy(task.attempts.get(), number=2, provider_job_id="another")
    lost = {"phase": Phase.AMBIGUOUS, "finished_at": None, "possibly_billed": True}
    task.attempts.filter(number=1).update(**lost)
    assert broken("I7") == {"I7": [f"{task.public_id} attempt 2"]}


@pytest.mark.parametrize("place", ["first", "last"])
def test_i8_an_event_that_is_missing(place: str, run: Run) -> None:
    getattr(run.events.order_by("number"), place)().delete()
    assert broken("I8") == {"I8": [run.public_id]}


def test_i8_a_gap_between_events(run: Run) -> None:
    run.events.filter(number=3).update(number=1000)
    assert broken("I8") == {"I8": [run.public_id]}


def _remove(file: Path) -> None:
    file.unlink()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def _link(file: Path) -> None:
    file.rename(file.with_suffix(".moved"))
    file.symlink_to(file.with_suffix(".moved"))


def _folder_leads_out(file: Path) -> None:
    outside = file.parents[3] / "outside"
    file.parent.rename(outside)
    file.parent.symlink_to(outside)


@pytest.mark.parametrize("damage", [_remove, _cut, _link, _folder_leads_out])
def test_i10_a_file_that_is_not_as_it_was_stored(
    damage: Callable[[Path], None], task: Task
) -> None:
    assert task.video is not None
    damage(outputs.absolute(task.video.path))
    assert task.public_id in " ".join(broken()["I10"])


def test_i10_changed_bytes_are_seen_by_their_hash(task: Task) -> None:
    assert task.video is not None
    file = outputs.absolute(task.video.path)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert broken() == {}
    assert broken(hashes=True) == {"I10": [f"{task.public_id} {task.video.path} has another hash"]}


def test_i10_a_path_that_leaves_its_root(task: Task, data_dir: Path) -> None:
    (data_dir.parent / "x.mp4").write_bytes(b"x")
    VideoFile.objects.filter(task=task).update(path="../x.mp4", bytes=1)
    assert task.public_id in broken()["I10"][0]


def test_i10_a_completed_task_without_a_file(task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(video=None)
    assert broken() == {"I10": [f"{task.public_id} has no file"]}


def test_i11_what_nobody_works_at_is_late(flying: Run, machine: Machine) -> None:
    first, second = flying.tasks.all()
    Task.objects.filter(pk=first.pk).update(due_at=machine.now)
    Task.objects.filter(pk=second.pk).update(due_at=machine.now + timedelta(hours=1))
    soon, later = (machine.now + timedelta(seconds=seconds) for seconds in (59, 61))
    assert broken("I11", now=soon) == {}
    assert broken("I11", now=later) == {"I11": [f"{first.public_id} poll"]}
    Task.objects.filter(pk=second.pk).update(lease_until=later + timedelta(seconds=5))
    assert broken("I11", now=later) == {}


def test_i11_a_task_that_waits_for_its_turn_is_not_late(start: MakeRun, machine: Machine) -> None:
    run, later = start("a city"), machine.now + timedelta(hours=1)
    assert list(broken("I11", now=later)) == ["I11"]
    for held in ({"waiting_reason": "it has its 3 jobs in flight"}, {"paused_at": machine.now}):
        Run.objects.filter(pk=run.pk).update(**{"waiting_reason": "", **held})
        assert broken("I11", now=later) == {}


def test_i12_a_run_that_has_not_ended(flying: Run) -> None:
    assert broken("I12") == {"I12": [f"{flying.public_id} running"]}


def test_i13_more_in_flight_than_the_limits_allow(flying: Run, settings: Any) -> None:
    assert broken() == {}
    Run.objects.update(concurrency=1)
    assert broken() == {"I13": [f"{flying.public_id} 2 in flight"]}
    Run.objects.update(concurrency=2)
    Provider.objects.update(max_in_flight=1)
    assert broken() == {"I13": ["openai 2 in flight"]}
    Provider.objects.update(max_in_flight=2)
    settings.MAX_CONCURRENT_TASKS = 1
    assert broken() == {"I13": ["MAX_CONCURRENT_TASKS 2 in flight"]}


def test_i14_a_submit_after_the_wish_to_cancel(flying: Run, machine: Machine) -> None:
    lifecycle.cancel_run(flying.pk, now=machine.now)
    assert broken() == {}
    sent = Event.objects.filter(kind="sending").select_related("task")[0]
    assert sent.task is not None
    Event.objects.filter(pk=sent.pk).update(number=1000)
    assert broken("I14") == {"I14": [f"{sent.task.public_id} attempt 1"]}


def test_i15_a_finished_job_without_its_file(task: Task) -> None:
    VideoFile.objects.filter(task=task).delete()
    assert broken("I15") == {"I15": [f"{task.public_id} attempt 1"]}


@pytest.mark.parametrize("phase", [Phase.ACCEPTED, Phase.DOWNLOADING, Phase.AMBIGUOUS])
def test_i15_a_job_that_no_task_looks_after(phase: Phase, task: Task) -> None:
    billed = phase == Phase.AMBIGUOUS
    task.attempts.update(phase=phase, finished_at=None, possibly_billed=billed)
    assert broken("I15") == {"I15": [f"{task.public_id} attempt 1"]}


# ---- the command ------------------------------------------------------------------------------------


def command(*options: str) -> tuple[int, str]:
    said = StringIO()
    try:
        call_command("invariants", *options, stdout=said)
    except SystemExit as end:
        return int(str(end.code)), said.getvalue()
    return 0, said.getvalue()


def test_the_command_says_ok_a_line_each(run: Run) -> None:
    usual = [found.number for found in invariants.INVARIANTS if not found.only_when_asked]
    assert command() == (0, "".join(f"{number} ok\n" for number in usual))
    asked = command("--healthy", "--ended", "--hash")
    assert asked == (0, "".join(f"{number} ok\n" for number in invariants.NUMBERS))


def test_the_command_names_what_is_broken_and_fails(run: Run) -> None:
    Run.objects.update(event_count=99)
    assert command("--only", "i1,I8") == (1, f"I1 ok\nI8 BROKEN 1: {run.public_id}\n")
    assert command("--only", "I8", "--json") == (
        1,
        json.dumps({"broken": {"I8": [run.public_id]}}) + "\n",
    )


def test_the_command_shows_the_first_of_many(start: MakeRun) -> None:
    run = start(*["a city"] * 25)
    Task.objects.update(attempt_count=1)
    code, said = command("--only", "I4")
    assert (code, said.count("task_"), run.total_tasks) == (1, 20, 25)
    assert said.endswith(", and 5 more\n")


def test_the_command_lists_files_that_no_row_names(run: Run, data_dir: Path) -> None:
    stray = data_dir / run.output_folder / "stray.mp4"
    leftover = data_dir / "tmp" / "x-1.part"
    for file in (stray, leftover):
        file.write_bytes(b"x")
    code, said = command("--only", "I10", "--orphans", "--json")
    assert (code, json.loads(said)["orphans"]) == (0, sorted([str(stray), str(leftover)]))


def test_the_command_knows_its_numbers() -> None:
    with pytest.raises(CommandError, match="I99 is not among I1, I2"):
        call_command("invariants", "--only", "I1,I99")
