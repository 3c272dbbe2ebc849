import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from cineflow.core import ids
from cineflow.core.bulk import insert
from providers.models import Provider, VideoModel
from runs import lifecycle
from runs.admin.events import A_PAGE
from runs.admin.lists import BoundedPaginator
from runs.models import (
    ACTIVE,
    OVER,
    WITH_A_JOB,
    Attempt,
    Event,
    Heartbeat,
    Phase,
    Run,
    Status,
    Step,
    Task,
    VideoFile,
)

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
RUNS, TASKS, ATTEMPTS = ("/admin/runs/run/", "/admin/runs/task/", "/admin/runs/attempt/")


# ---- rows --------------------------------------------------------------------------------------


def make_run(
    *statuses: str, name: str = "board.json", created_at: datetime = NOW, **values: Any
) -> Run:
    """A run with a task and events for each status; without any, one whose task is to be made."""
    counts = Counter(statuses or ("running",))
    status = values.pop("status", None) or lifecycle.status_of(Run(started_at=NOW, **counts))
    run = Run.objects.create(
        storyboard_uuid=ids.new_id(),
        storyboard_name=name,
        model_id="sora2",
        output_folder="output/x",
        status=status,
        created_at=created_at,
        finished_at=None if status in ACTIVE else created_at,
        total_tasks=counts.total(),
        **counts,
        **values,
    )
    for index, status in enumerate(statuses, 1):
        make_task(run, index, status)
    return run


def make_task(run: Run, index: int, status: str, **values: Any) -> Task:
    step = Step.SUBMIT if status == Status.QUEUED else Step.POLL
    due: dict[str, Any] = (
        {"step": step, "due_at": NOW} if status in ACTIVE else {"finished_at": NOW}
    )
    if status not in (*ACTIVE, Status.COMPLETED):
        due["error_code"] = "unknown_error"
    frozen = {"snapshot": {"duration_seconds": 8}, "full_prompt": "A wave.", "fingerprint": "f"}
    known = {"run": run, "segment_uuid": ids.new_id(), "segment_index": index, "status": status}
    task = Task.objects.create(**{**known, **due, **frozen, **values})
    tell(run, task, 2)
    return task


def make_attempt(
    task: Task, *, number: int = 1, phase: Phase = Phase.DONE, **values: Any
) -> Attempt:
    known = {"task": task, "run_id": task.run_id, "number": number, "phase": phase, "sent_at": NOW}
    if phase in WITH_A_JOB or "provider_job_id" in values:
        job = {"provider_job_id": f"job-{task.pk}-{number}", "accepted_at": NOW}
        known |= {**job, "deadline_at": NOW, "output": {}}
    if phase in OVER:
        known["finished_at"] = NOW
    known["possibly_billed"] = phase == Phase.AMBIGUOUS
    sent = {
        "provider_id": "openai",
        "provider_model_id": "sora-2",
        "prompt": "A wave.",
        "seconds": 8,
    }
    return Attempt.objects.create(**{**known, **sent, **values})


def make_file(task: Task) -> VideoFile:
    return VideoFile.objects.create(
        task=task, path="output/x/00001-t1-a1.mp4", bytes=1234, sha256="ab"
    )


def tell(run: Run, task: Task | None, number: int) -> None:
    first = run.event_count + 1
    run.event_count += number
    Event.objects.bulk_create(
        Event(
            run=run,
            number=n,
            task=task,
            at=NOW,
            kind="task",
            before="queued",
            after="running",
            why=f"why {n}",
        )
        for n in range(first, first + number)
    )
    Run.objects.filter(pk=run.pk).update(event_count=run.event_count)


def billed_task(run: Run, index: int) -> Task:
    task = make_task(run, index, Status.FAILED, possibly_billed=True, error_code="unknown_error")
    make_attempt(task, phase=Phase.AMBIGUOUS, possibly_billed=True)
    return task


# ---- requests ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _catalogue() -> None:
    Provider.objects.get_or_create(id="openai", defaults={"display_name": "OpenAI"})
    VideoModel.objects.get_or_create(id="sora2", defaults={"display_name": "Sora 2"})


def page(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def listed(client: Client, path: str, **query: str) -> list[Any]:
    response = client.get(path, query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def act(
    client: Client, path: str, action: str, rows: Iterable[Run | Task], **more: str
) -> list[str]:
    """Runs an action as the list does; returns what it told."""
    chosen = [str(row.pk) for row in rows]
    step = more or {"index": "0"}
    response = client.post(
        path, {"action": action, "_selected_action": chosen, **step}, follow=True
    )
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def queries(client: Client, path: str) -> list[str]:
    # Content types are read once a process: whoever asks first must not pay for the others.
    for model in (Run, Task, Attempt):
        ContentType.objects.get_for_model(model)
    with CaptureQueriesContext(connection) as captured:
        page(client, path)
    return [query["sql"] for query in captured.captured_queries]


def detail(row: Run | Task | Attempt) -> str:
    return f"/admin/runs/{row._meta.model_name}/{row.pk}/change/"


@pytest.fixture
def viewer(client: Client) -> Client:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


# ---- what is shown -----------------------------------------------------------------------------


def test_a_run_is_listed_with_its_id_state_and_counts_in_words(admin_client: Client) -> None:
    run = make_run("completed", "completed", "failed", dry_run=True)
    html = page(admin_client, RUNS)
    assert f'title="{run.public_id}"' in html
    assert "2 completed, 1 failed" in html
    assert re.findall(r'<rect class="cf-(\w+)" x="(\d+)" width="(\d+)"', html) == [
        ("completed", "0", "2"),
        ("failed", "2", "1"),
    ]
    assert ">dry run</span>" in html


def test_a_short_id_still_holds_every_character_for_copying(admin_client: Client) -> None:
    run = make_run("queued")
    shown = re.search(
        r'<span class="cf-id"[^>]*>(.*?)</span></a>', page(admin_client, RUNS), re.DOTALL
    )
    assert shown
    assert re.sub(r"<.*?>", "", shown[1]) == run.public_id


def test_a_runs_page_tells_what_it_waits_for_and_links_each_count_to_its_tasks(
    admin_client: Client,
) -> None:
    run = make_run("queued", "failed", waiting_reason="openai has no free slot")
    html = page(admin_client, detail(run))
    assert "openai has no free slot" in html
    assert f'href="/admin/runs/task/?run={run.public_id}&amp;status=failed"' in html


def test_a_task_shows_its_error_routing_prompt_attempts_files_and_events(
    admin_client: Client,
) -> None:
    run = make_run()
    task = make_task(
        *(run, 7, Status.FAILED),
        error_code="content_policy",
        error_msg="The provider refused <it>.",
        full_prompt="Alice waves.",
        routing={
            "strategy": "failover",
            "candidates": [
                {"provider_id": "fal", "provider_model_id": "veo", "taken": False, "why": "no key"}
            ],
        },
    )
    make_attempt(task, phase=Phase.REJECTED, provider_job_id="video_77", http_status=429)
    make_file(task)
    html = page(admin_client, detail(task))
    for told in (
        "content_policy",
        "refused &lt;it&gt;",
        "no key",
        "Alice waves.",
        "video_77",
        "HTTP 429",
    ):
        assert told in html
    for told in ("cf-rejected", "00001-t1-a1.mp4", "why 1", "</span> failover"):
        assert told in html


@pytest.mark.parametrize(
    "routing", [None, {}, [], {"candidates": "?"}, {"strategy": "cost", "candidates": []}]
)
def test_a_routing_of_another_shape_does_not_break_the_page(
    admin_client: Client, routing: object
) -> None:
    page(admin_client, detail(make_task(make_run(), 1, Status.COMPLETED, routing=routing)))


def test_the_video_is_linked_with_a_signature_when_a_token_is_set(
    admin_client: Client, settings: Settings
) -> None:
    settings.AUTH_TOKEN = "secret"
    task = make_task(make_run(), 1, Status.COMPLETED)
    Task.objects.filter(pk=task.pk).update(video=make_file(task))
    html = page(admin_client, detail(task))
    assert re.search(
        rf'href="/api/v1/tasks/{task.public_id}/download\?expires=\d+&amp;signature=', html
    )


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_of_an_attempt_can_be_listed_and_opened(
    admin_client: Client, phase: Phase
) -> None:
    attempt = make_attempt(make_task(make_run(), 1, Status.FAILED), phase=phase)
    assert listed(admin_client, ATTEMPTS, phase=phase) == [attempt.pk]
    assert f"cf-{phase}" in page(admin_client, detail(attempt))


def test_heartbeats_are_listed(admin_client: Client) -> None:
    Heartbeat.objects.create(worker="worker@one", at=NOW)
    assert "worker@one" in page(admin_client, "/admin/runs/heartbeat/")


# ---- events ------------------------------------------------------------------------------------


def test_a_runs_page_shows_the_newest_events_and_leads_to_all_of_them(admin_client: Client) -> None:
    run = make_run()
    tell(run, None, 2 * A_PAGE + 1)
    html = page(admin_client, detail(run))
    assert html.count("<td>task</td>") == A_PAGE
    path = f"/admin/runs/run/{run.pk}/events/"
    assert f'href="{path}?before={A_PAGE + 2}"' in html
    seen = [re.findall(r"why (\d+)", page(admin_client, path, **query)) for query in _pages()]
    assert [int(number) for numbers in seen for number in numbers] == list(
        range(2 * A_PAGE + 1, 0, -1)
    )


def _pages() -> list[dict[str, str]]:
    return [{}, {"before": str(A_PAGE + 2)}, {"before": "2"}]


@pytest.mark.parametrize("before", ["", "x", "-1", "²", "9" * 18, "9" * 19, "9" * 500])
def test_a_strange_event_number_in_the_address_is_no_error(
    admin_client: Client, before: str
) -> None:
    page(admin_client, f"/admin/runs/run/{make_run().pk}/events/", before=before)


def test_a_tasks_events_are_its_own(admin_client: Client) -> None:
    run = make_run("failed", "failed")
    task = run.tasks.get(segment_index=2)
    assert re.findall(r"why \d+", page(admin_client, f"/admin/runs/task/{task.pk}/events/")) == [
        "why 4",
        "why 3",
    ]


def test_events_are_shown_only_to_those_who_may_see_the_run(client: Client) -> None:
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(f"/admin/runs/run/{make_run().pk}/events/").status_code == 403


# ---- finding -----------------------------------------------------------------------------------


def test_a_run_is_found_by_every_id_that_belongs_to_it_and_by_its_storyboards_name(
    admin_client: Client,
) -> None:
    make_run("completed", name="other")
    run = make_run("completed", name="The Lighthouse")
    task = run.tasks.get()
    attempt = make_attempt(task, provider_job_id="video_42")
    words = (
        run.public_id,
        f"  {run.public_id} ",
        ids.show("sb", run.storyboard_uuid),
        task.public_id,
        "video_42",
    )
    for wanted in (*words, ids.show("seg", task.segment_uuid), str(attempt.pk), "lighth"):
        assert listed(admin_client, RUNS, q=wanted) == [run.pk]
    assert listed(admin_client, RUNS, q="video_4") == []


def test_a_task_is_found_by_every_id_that_belongs_to_it(admin_client: Client) -> None:
    make_run("completed")
    run = make_run("completed")
    task = run.tasks.get()
    attempt = make_attempt(task, provider_job_id="video_42")
    words = (
        task.public_id,
        run.public_id,
        ids.show("seg", task.segment_uuid),
        "video_42",
        str(attempt.pk),
    )
    for wanted in words:
        assert listed(admin_client, TASKS, q=wanted) == [task.pk]
    assert listed(admin_client, TASKS, q="task_nonsense") == []


def test_an_attempt_is_found_by_job_token_task_and_run(admin_client: Client) -> None:
    other = make_attempt(make_run("completed").tasks.get())
    task = make_run("completed").tasks.get()
    attempt = make_attempt(task, provider_job_id="video_42")
    for wanted in ("video_42", str(attempt.pk), task.public_id, task.run.public_id):
        assert listed(admin_client, ATTEMPTS, q=wanted) == [attempt.pk]
    assert set(listed(admin_client, ATTEMPTS)) == {other.pk, attempt.pk}


def test_tasks_of_one_run_come_in_the_order_of_the_storyboard(admin_client: Client) -> None:
    make_run("completed")
    run = make_run("failed", "completed", "failed")
    in_order = list(run.tasks.order_by("segment_index").values_list("pk", flat=True))
    assert listed(admin_client, TASKS, run=run.public_id) == in_order
    assert listed(admin_client, TASKS, run=run.public_id, status="completed") == [in_order[1]]
    assert listed(admin_client, TASKS, run="run_x") == []


def test_all_tasks_come_newest_first_and_no_address_sorts_them_otherwise(
    admin_client: Client,
) -> None:
    newest_first = sorted(
        (task.pk for task in make_run("failed", "queued", "failed").tasks.all()), reverse=True
    )
    assert listed(admin_client, TASKS) == newest_first
    assert listed(admin_client, TASKS, o="2") == newest_first


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (RUNS, {"status": "failed"}),
        (RUNS, {"model_id": "sora2"}),
        (RUNS, {"dry_run__exact": "1"}),
        (RUNS, {"routing_strategy": "cost"}),
        (TASKS, {"error_code": "timeout"}),
        (TASKS, {"step": "poll"}),
        (TASKS, {"provider_id": "openai"}),
        (TASKS, {"possibly_billed__exact": "1"}),
        (ATTEMPTS, {"phase": "ambiguous"}),
        (ATTEMPTS, {"provider_id": "openai"}),
    ],
)
def test_a_filter_leaves_what_it_names(
    admin_client: Client, path: str, query: dict[str, str]
) -> None:
    make_run()
    run = make_run("completed", status=Status.FAILED, dry_run=True, routing_strategy="cost")
    Run.objects.exclude(pk=run.pk).update(model_id="other")
    task = make_task(
        run, 2, Status.FAILED, error_code="timeout", provider_id="openai", possibly_billed=True
    )
    polled = make_task(run, 3, Status.RUNNING, step=Step.POLL)
    attempt = make_attempt(task, phase=Phase.AMBIGUOUS)
    make_attempt(polled, provider_id="sora_hk")
    expected: dict[str, UUID] = {
        RUNS: run.pk,
        TASKS: polled.pk if "step" in query else task.pk,
        ATTEMPTS: attempt.pk,
    }
    assert listed(admin_client, path, **query) == [expected[path]]


@pytest.mark.parametrize("path", [RUNS, TASKS, ATTEMPTS])
def test_a_filter_with_a_word_it_does_not_know_leads_back_to_the_list(
    admin_client: Client, path: str
) -> None:
    name = "phase" if path == ATTEMPTS else "status"
    assert admin_client.get(path, {name: "\x00"}).headers["Location"] == f"{path}?e=1"


@pytest.mark.parametrize("path", [RUNS, TASKS, ATTEMPTS])
def test_a_search_for_strange_words_finds_nothing_and_breaks_nothing(
    admin_client: Client, path: str
) -> None:
    make_attempt(make_run("completed").tasks.get())
    for words in ("\x00", "run_", "run_" + "z" * 26, "%", "\U0001f3ac", "0" * 32, "a" * 5000):
        assert admin_client.get(path, {"q": words}).status_code == 200


def test_the_date_drill_down_goes_from_the_first_day_to_the_last(admin_client: Client) -> None:
    for day in (3, 5):
        make_run(created_at=datetime(2026, 2, day, 23, 59, tzinfo=NOW.tzinfo))
    html = page(admin_client, RUNS)
    assert re.findall(r"created_at__day=(\d+)", html) == ["3", "4", "5"]
    make_run(created_at=datetime(2024, 12, 31, tzinfo=NOW.tzinfo))
    assert re.findall(r'created_at__year=(\d+)"', page(admin_client, RUNS)) == [
        "2024",
        "2025",
        "2026",
    ]
    months = re.findall(
        r"created_at__month=(\d+)", page(admin_client, RUNS, created_at__year="2026")
    )
    assert months == ["2"]
    days = {"created_at__year": "2026", "created_at__month": "2", "created_at__day": "5"}
    assert len(listed(admin_client, RUNS, **days)) == 1


# ---- nobody writes -----------------------------------------------------------------------------


def test_no_form_adds_changes_or_deletes_anything(admin_client: Client) -> None:
    run = make_run("failed")
    attempt = make_attempt(run.tasks.get())
    for row in (run, run.tasks.get(), attempt):
        assert admin_client.post(detail(row), {"status": "completed"}).status_code == 403
        assert (
            admin_client.post(detail(row).replace("change", "delete"), {"post": "yes"}).status_code
            == 403
        )
        html = page(admin_client, detail(row))
        assert (
            re.findall(
                r'<input[^>]*type="(?:text|checkbox|submit)"',
                html.split('<div id="content-main">')[1],
            )
            == []
        )
    for path in (RUNS, TASKS, ATTEMPTS):
        assert admin_client.get(f"{path}add/").status_code == 403


def test_who_may_only_look_is_offered_no_action(viewer: Client) -> None:
    run = make_run("failed", status=Status.FAILED)
    for path in (RUNS, TASKS, detail(run), detail(run.tasks.get())):
        assert 'name="action"' not in page(viewer, path)
    act(viewer, TASKS, "retry", run.tasks.all())
    assert run.tasks.get().status == Status.FAILED


# ---- actions on tasks --------------------------------------------------------------------------


def test_retry_starts_ended_tasks_and_tells_why_the_others_were_left(admin_client: Client) -> None:
    run = make_run("failed", "canceled", "running", "queued")
    billed = billed_task(run, 9)
    Run.objects.filter(pk=run.pk).update(failed=2, total_tasks=5)
    told = act(admin_client, TASKS, "retry", run.tasks.all())
    assert told[0] == "2 tasks retried."
    assert sorted(told[1:]) == [
        "1 task not retried: The last attempt got no answer and may already be billed. "
        "If you accept that, choose “Retry, accepting that the last attempt may be billed”.",
        "1 task not retried: The task is queued; it can be retried once it has ended.",
        "1 task not retried: The task is running; it can be retried once it has ended.",
    ]
    statuses = list(run.tasks.order_by("segment_index").values_list("status", flat=True))
    assert statuses == ["queued", "queued", "running", "queued", "failed"]
    assert Task.objects.get(pk=billed.pk).possibly_billed


def test_a_retry_leaves_the_name_of_who_asked_for_it(
    admin_client: Client, admin_user: User
) -> None:
    task = make_run("failed").tasks.get()
    act(admin_client, TASKS, "retry", [task])
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.change_message) == (
        admin_user,
        str(task.pk),
        "Retried.",
    )


def test_paying_again_is_asked_about_first(admin_client: Client) -> None:
    run = make_run("failed")
    billed = billed_task(run, 2)
    Run.objects.filter(pk=run.pk).update(failed=2, total_tasks=2)
    asked = admin_client.post(
        TASKS, {"action": "retry_accepting", "_selected_action": _keys(run), "index": "0"}
    )
    html = asked.content.decode()
    assert "pays, once more" in html
    assert re.findall(r'name="_selected_action" value="(.*?)"', html) == [str(billed.pk)]
    assert Task.objects.get(pk=billed.pk).status == Status.FAILED

    told = act(admin_client, TASKS, "retry_accepting", run.tasks.all(), confirmed="yes")
    assert told == ["1 task retried."]
    statuses = list(run.tasks.order_by("segment_index").values_list("status", flat=True))
    assert statuses == ["failed", "queued"]
    assert billed.attempts.get().phase == Phase.ABANDONED


def _keys(run: Run) -> list[str]:
    return [str(key) for key in run.tasks.values_list("pk", flat=True)]


def test_accepting_a_bill_means_nothing_for_tasks_without_one(admin_client: Client) -> None:
    run = make_run("failed")
    told = act(admin_client, TASKS, "retry_accepting", run.tasks.all())
    assert told == [
        "None of the chosen tasks has a last attempt that may be billed: use the plain Retry."
    ]
    assert run.tasks.get().status == Status.FAILED


# ---- actions on runs ---------------------------------------------------------------------------


def test_canceling_tells_what_it_will_do_and_then_does_it(admin_client: Client) -> None:
    run = make_run("queued", "queued", "running")
    ended = make_run("completed", status=Status.COMPLETED)
    chosen = {"action": "cancel", "_selected_action": [str(run.pk), str(ended.pk)], "index": "0"}
    html = admin_client.post(RUNS, chosen).content.decode()
    assert "2 tasks still queued" in html
    assert "1 task running" in html
    assert re.findall(r'name="_selected_action" value="(.*?)"', html) == [str(run.pk)]
    assert run.tasks.filter(status=Status.CANCELED).count() == 0

    told = act(admin_client, RUNS, "cancel", [run], confirmed="yes")
    assert told == ["1 run canceled: 3 tasks reached."]
    assert run.tasks.filter(status=Status.CANCELED).count() == 2
    assert run.tasks.get(status=Status.RUNNING).cancel_requested_at is not None


def test_there_is_nothing_to_cancel_in_a_run_that_has_ended(admin_client: Client) -> None:
    told = act(admin_client, RUNS, "cancel", [make_run("completed", status=Status.COMPLETED)])
    assert told == ["None of the chosen runs is queued or running: there is nothing to cancel."]


def test_the_failed_tasks_of_runs_are_retried_save_those_that_may_be_billed(
    admin_client: Client,
) -> None:
    run = make_run("failed", "download_failed", "completed", "canceled", status=Status.FAILED)
    billed_task(run, 9)
    Run.objects.filter(pk=run.pk).update(failed=2, total_tasks=5)
    told = act(admin_client, RUNS, "retry_failed", [run])
    assert told[0] == "2 tasks retried."
    assert told[1].startswith("1 task not retried: the last attempt may already be billed.")
    statuses = list(run.tasks.order_by("segment_index").values_list("status", flat=True))
    assert statuses == ["queued", "running", "completed", "canceled", "failed"]
    run.refresh_from_db()
    assert (run.status, run.failed) == (Status.RUNNING, 1)


def test_no_more_failed_tasks_are_retried_at_once_than_it_says(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.admin.actions.MOST_AT_ONCE", 2)
    run = make_run("failed", "failed", "failed", status=Status.FAILED)
    told = act(admin_client, RUNS, "retry_failed", [run])
    assert told == ["2 tasks retried.", "At most 2 tasks are retried at a time; there may be more."]
    assert run.tasks.filter(status=Status.FAILED).count() == 1


def test_an_action_wakes_a_worker(
    admin_client: Client, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks() as hints:
        act(admin_client, TASKS, "retry", make_run("failed").tasks.all())
    assert len(hints) == 1


# ---- many rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [RUNS, TASKS, ATTEMPTS])
def test_a_list_of_thirty_rows_asks_as_many_questions_as_a_list_of_one(
    admin_client: Client, path: str
) -> None:
    make_full_run(1)
    one = queries(admin_client, path)
    for _ in range(29):
        make_full_run(1)
    assert len(queries(admin_client, path)) == len(one)


def test_the_pages_of_a_run_ask_as_many_questions_for_thirty_tasks_as_for_one(
    admin_client: Client,
) -> None:
    one, many = make_full_run(1), make_full_run(30)
    pages: tuple[Callable[[Run], str], ...] = (
        detail,
        lambda run: f"{TASKS}?run={run.public_id}",
        lambda run: f"{ATTEMPTS}?run={run.public_id}",
        lambda run: f"/admin/runs/run/{run.pk}/events/",
    )
    for path in pages:
        assert len(queries(admin_client, path(one))) == len(queries(admin_client, path(many)))


def test_a_tasks_page_asks_as_many_questions_for_thirty_attempts_as_for_one(
    admin_client: Client,
) -> None:
    one, many = (make_full_run(1).tasks.get() for _ in range(2))
    for number in range(2, 31):
        make_attempt(many, number=number, phase=Phase.REJECTED)
        make_file(many)
    tell(many.run, many, 30)
    assert len(queries(admin_client, detail(one))) == len(queries(admin_client, detail(many)))


def make_full_run(tasks: int) -> Run:
    run = make_run(*["failed"] * tasks, status=Status.FAILED)
    for task in run.tasks.all():
        make_attempt(task, provider_job_id=str(task.pk))
        Task.objects.filter(pk=task.pk).update(video=make_file(task))
    return run


def test_no_list_reads_the_wide_columns(admin_client: Client) -> None:
    make_full_run(1)
    for path in (TASKS, ATTEMPTS):
        assert [
            sql
            for sql in queries(admin_client, path)
            if '"snapshot"' in sql or '"full_prompt"' in sql
        ] == []


def test_a_list_counts_no_further_than_its_bound(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedPaginator, "most", 100)
    many_tasks(101)
    html = page(admin_client, TASKS)
    assert "more than 100 tasks" in html
    assert "100 results" not in html
    # The other one is the number of decisions, beside the page.
    bounded = re.compile(r"LIMIT (101|1001)\b")
    counts = [sql for sql in queries(admin_client, TASKS) if "COUNT" in sql]
    assert [sql for sql in counts if not bounded.search(sql)] == []
    assert len(listed(admin_client, TASKS, p="2")) == 50
    assert admin_client.get(TASKS, {"p": "3"}).status_code == 302


def many_tasks(number: int) -> Run:
    """A run that has ended, with tasks that nobody has read."""
    run = make_run("completed")
    run.tasks.all().delete()
    # fmt: off
    columns = (
        "id", "run", "segment_uuid", "segment_index", "take", "snapshot", "full_prompt",
        "fingerprint", "status", "step", "fence", "waiting_reason", "attempt_count", "tries",
        "errors_in_a_row", "failed_providers", "provider_id", "provider_model_id", "error_code",
        "error_msg", "possibly_billed", "created_at", "updated_at", "finished_at",
    )
    # fmt: on
    rows: Iterator[tuple[object, ...]] = (
        (
            ids.new_id(),
            run.pk,
            ids.new_id(),
            index,
            1,
            {"duration_seconds": 8},
            "A wave.",
            "f",
            "completed",
            "",
            0,
            "",
            0,
            0,
            0,
            [],
            "openai",
            "sora-2",
            "",
            "",
            False,
            NOW,
            NOW + timedelta(seconds=index),
            NOW,
        )
        for index in range(1, number + 1)
    )
    insert(Task, columns, rows)
    Run.objects.filter(pk=run.pk).update(total_tasks=number, completed=number)
    return run


@pytest.mark.parametrize(
    ("path", "index"),
    [
        (TASKS, "runs_task_pkey|sqlite_autoindex_runs_task_1"),
        (f"{TASKS}?run={{run}}", "take_is_unique|sqlite_autoindex_runs_task_2"),
        (f"{TASKS}?run={{run}}&status=failed", "task_run_status|sqlite_autoindex_runs_task_2"),
    ],
)
def test_a_list_of_fifty_thousand_tasks_is_read_along_an_index(
    admin_client: Client, path: str, index: str
) -> None:
    for _ in range(5):
        run = many_tasks(10_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plan = admin_client.get(path.format(run=run.public_id)).context["cl"].queryset[:50].explain()
    assert re.search(index, plan)
    assert "Seq Scan on runs_task" not in plan
