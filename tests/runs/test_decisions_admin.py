"""Decisions as an operator meets them in the admin, about jobs whose answer a real far end withheld."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cineflow.core.errors import Conflict
from providers.models import ProviderModel
from runs import decisions
from runs.models import Attempt, Decision, Phase, Run, Status
from tests.providers.simulated import Simulator
from tests.runs.conftest import Machine, MakeRun, only_task

pytestmark = pytest.mark.django_db

LIST = "/admin/runs/decision/"
LOST, NEVER_MADE = "[[sim:submit=drop_after_create]]", "[[sim:submit=drop_before_create]]"

MakeLost = Callable[..., Run]


@pytest.fixture(autouse=True)
def as_late_as_it_is(machine: Machine) -> None:
    """The far end's list tells real times."""
    machine.now = timezone.now()


@pytest.fixture
def lost(start: MakeRun, machine: Machine, far_end: Simulator) -> MakeLost:
    """A run of takes that were submitted and never answered: `lost("a city", "a river")`."""

    def make(*prompts: str, fault: str = LOST) -> Run:
        run = start(*[f"{prompt} {fault}" for prompt in prompts], concurrency=50)
        machine.submit()
        assert {task.possibly_billed for task in run.tasks.all()} == {True}
        return run

    return make


@pytest.fixture
def staff(client: Client) -> Callable[..., Client]:
    """Somebody with these permissions and no others."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user("staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return make


def page(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def open_one(run: Run) -> Decision:
    return Decision.objects.get(run=run)


def detail(attempt: Attempt) -> str:
    return f"{LIST}{attempt.pk}/change/"


def told(response: Any) -> list[str]:
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def act(client: Client, action: str, *attempts: Attempt, **more: str) -> list[str]:
    """As the list does; returns what it told."""
    chosen = {"action": action, "_selected_action": [str(found.pk) for found in attempts]}
    step = more or {"index": "0"}
    return told(client.post(LIST, {**chosen, **step}, follow=True))


def adopt(client: Client, attempt: Attempt, job_id: str, **more: str) -> list[str]:
    path = f"{LIST}{attempt.pk}/adopt/"
    return told(client.post(path, {"provider_job_id": job_id, **more}, follow=True))


def made_jobs(far_end: Simulator) -> list[str]:
    return [post["job_id"] for post in far_end.ledger()["posts"] if post["job_id"]]


# ---- what is shown -------------------------------------------------------------------------------


def test_the_list_tells_what_is_at_stake(admin_client: Client, lost: MakeLost) -> None:
    ProviderModel.objects.filter(name="sora-2").update(price_per_second=Decimal("0.1"))
    run = lost("a city at dusk", "a river")
    Attempt.objects.filter(task__segment_index=2).update(provider_model_id="unpriced")
    html = page(admin_client, LIST)
    assert "2 to decide, about $0.40 at stake, 1 of unknown price" in html
    for words in (
        "film.json",
        "#1 take 1",
        "a city at dusk",
        "The connection broke",
        "about $0.40",
    ):
        assert words in html
    assert f"/admin/runs/run/{run.pk}/change/" in html


def test_what_is_settled_is_not_listed(
    admin_client: Client, lost: MakeLost, machine: Machine
) -> None:
    assert "Nothing waits for a decision." in page(admin_client, LIST)
    run, other = lost("a city"), lost("a river")
    decisions.decide(only_task(run).pk, "give_up", now=machine.now)
    rows = admin_client.get(LIST).context["cl"].result_list
    assert [row.run_id for row in rows] == [other.pk]
    assert "1 to decide" in page(admin_client, LIST)


def test_it_is_found_by_its_run_its_provider_and_its_ids(
    admin_client: Client, lost: MakeLost
) -> None:
    run = lost("a city")
    lost("a river")
    queries = (
        {"run": run.public_id},
        {"q": run.public_id},
        {"q": only_task(run).public_id},
        {"q": str(open_one(run).pk)},
    )
    for query in queries:
        rows = admin_client.get(LIST, query).context["cl"].result_list
        assert [row.run_id for row in rows] == [run.pk]
    assert len(admin_client.get(LIST, {"provider_id": "openai"}).context["cl"].result_list) == 2
    assert not admin_client.get(LIST, {"provider_id": "sora_hk"}).context["cl"].result_list


def test_the_number_stands_wherever_an_operator_looks(admin_client: Client, lost: MakeLost) -> None:
    assert ">Decisions</a>" in page(admin_client, "/admin/")
    run = lost("a city", "a river")
    link = f'href="{LIST}?run={run.public_id}">2 to decide</a>'
    assert link in page(admin_client, "/admin/runs/run/")
    assert link in page(admin_client, f"/admin/runs/run/{run.pk}/change/")
    assert ">Decisions (2)</a>" in page(admin_client, "/admin/")
    attempt = Decision.objects.all()[0]
    assert detail(attempt) in page(admin_client, f"/admin/runs/task/{attempt.task_id}/change/")


def test_the_page_of_one_tells_what_was_sent_and_what_each_way_costs(
    admin_client: Client, lost: MakeLost
) -> None:
    ProviderModel.objects.filter(name="sora-2").update(price_per_second=Decimal("0.1"))
    run = lost("a city at dusk")
    html = page(admin_client, detail(open_one(run)))
    assert f"a city at dusk {LOST}" in html
    assert "submitted, and paid, once more (about $0.40)" in html
    assert "submitted to openai sora-2" in html
    for action in ("adopt/", "submit_again", "give_up"):
        assert action in html


def test_a_list_of_thirty_asks_as_many_questions_as_a_list_of_one(
    admin_client: Client, lost: MakeLost
) -> None:
    def asked(path: str) -> list[str]:
        for model in (Run, Attempt):
            ContentType.objects.get_for_model(model)
        with CaptureQueriesContext(connection) as captured:
            page(admin_client, path)
        return [query["sql"] for query in captured]

    paths = (LIST, "/admin/runs/run/")
    lost("a city")
    one = {path: len(asked(path)) for path in paths}
    for _ in range(3):
        lost(*["a city"] * 10)
    assert {path: len(asked(path)) for path in paths} == one
    wide = ('"prompt" AS', '"prompt", "', '"snapshot"', '"full_prompt"')
    assert [sql for sql in asked(LIST) if any(column in sql for column in wide)] == []


# ---- adopting ------------------------------------------------------------------------------------


def test_the_lost_job_is_seen_adopted_and_fetched_without_another_submit(
    admin_client: Client, lost: MakeLost, machine: Machine, far_end: Simulator
) -> None:
    run = lost("a city")
    (job_id,) = made_jobs(far_end)
    attempt = open_one(run)
    assert job_id not in page(admin_client, detail(attempt))
    html = page(admin_client, detail(attempt), look="1")
    assert f'name="provider_job_id" value="{job_id}"' in html
    assert "yes, it seems" in html

    asked = admin_client.post(f"{LIST}{attempt.pk}/adopt/", {"provider_job_id": job_id})
    assert "Nothing is submitted or paid." in asked.content.decode()
    assert f'name="provider_job_id" value="{job_id}"' in asked.content.decode()
    assert open_one(run).pk == attempt.pk

    told = adopt(admin_client, attempt, job_id, confirmed="yes")
    assert told == ["1 attempt adopted: its job is followed from here on."]
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 1


def test_a_look_shows_jobs_of_nobody_the_likeliest_first(
    admin_client: Client, lost: MakeLost, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    start("of somebody")
    machine.submit()
    lost("a river")
    other = lost("a city")
    ours = made_jobs(far_end)
    html = page(admin_client, detail(open_one(other)), look="1")
    shown = re.findall(r'name="provider_job_id" value="(\w+)"', html)
    assert shown == [ours[2], ours[1]]
    assert html.count("yes, it seems") == 1


def test_a_look_that_finds_nothing_says_so(admin_client: Client, lost: MakeLost) -> None:
    run = lost("a city", fault=NEVER_MADE)
    html = page(admin_client, detail(open_one(run)), look="1")
    assert "lists no job since then that no attempt has" in html


def test_a_look_tells_why_the_provider_cannot_be_asked(
    admin_client: Client, lost: MakeLost, far_end: Simulator, settings: Any
) -> None:
    attempt = open_one(lost("a city"))
    openai = settings.PROVIDERS["openai"]
    settings.PROVIDERS = {**settings.PROVIDERS, "openai": {**openai, "key": ""}}
    html = page(admin_client, detail(attempt), look="1")
    assert "openai cannot be asked: set OPENAI_API_KEY." in html
    nobody = {**openai, "base_url": "http://127.0.0.1:1/v1"}
    settings.PROVIDERS = {**settings.PROVIDERS, "openai": nobody}
    assert "The connection failed." in page(admin_client, detail(attempt), look="1")


def test_a_job_of_another_attempt_is_not_adopted(
    admin_client: Client, lost: MakeLost, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    start("of somebody")
    machine.submit()
    (theirs,) = made_jobs(far_end)
    run = lost("a city")
    told = adopt(admin_client, open_one(run), theirs, confirmed="yes")
    assert told == ["1 attempt left as it was: That job belongs to another attempt already."]
    assert only_task(run).status == Status.FAILED
    assert open_one(run).phase == Phase.AMBIGUOUS


@pytest.mark.parametrize("job_id", ["", "   ", "x" * 513, "a\x00b"])
def test_what_can_be_no_job_id_leads_back_to_the_page(
    admin_client: Client, lost: MakeLost, job_id: str
) -> None:
    attempt = open_one(lost("a city"))
    answer = admin_client.post(f"{LIST}{attempt.pk}/adopt/", {"provider_job_id": job_id})
    assert (answer.status_code, answer["Location"]) == (302, detail(attempt))
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("job_id", [".", "..", "a\u202eb"])
def test_a_job_id_that_would_change_the_address_is_refused(
    admin_client: Client, lost: MakeLost, job_id: str
) -> None:
    attempt = open_one(lost("a city"))
    told = adopt(admin_client, attempt, job_id, confirmed="yes")
    assert told == [
        "1 attempt left as it was: That cannot be the id of a job: copy it from the provider's own list."
    ]
    assert Decision.objects.count() == 1


# ---- submitting again, giving up -------------------------------------------------------------------


def test_submitting_again_is_asked_about_first(
    admin_client: Client, lost: MakeLost, machine: Machine, far_end: Simulator
) -> None:
    run = lost("a city", fault="[[sim:submit=drop_after_create*1]]")
    attempt = open_one(run)
    chosen = {"action": "submit_again", "_selected_action": str(attempt.pk), "index": "0"}
    asked = admin_client.post(LIST, chosen).content.decode()
    assert "is submitted, and paid, once more" in asked
    assert "adopting it costs nothing more" in asked
    assert far_end.summary()["posts"] == 1

    assert act(admin_client, "submit_again", attempt, confirmed="yes") == [
        "1 attempt submitted again."
    ]
    assert machine.run_to_end(run).status == Status.COMPLETED
    assert far_end.summary()["posts"] == 2
    assert Attempt.objects.get(pk=attempt.pk).phase == Phase.ABANDONED


def test_several_are_given_up_at_once(
    admin_client: Client, admin_user: User, lost: MakeLost, far_end: Simulator
) -> None:
    run = lost("a city", "a river", "a town")
    first, second, third = Decision.objects.order_by("task__segment_index")
    assert (
        "Nothing more is asked or paid"
        in admin_client.post(
            LIST, {"action": "give_up", "_selected_action": str(first.pk), "index": "0"}
        ).content.decode()
    )
    assert act(admin_client, "give_up", first, second, confirmed="yes") == ["2 attempts given up."]
    assert [left.pk for left in Decision.objects.all()] == [third.pk]
    assert set(run.tasks.values_list("status", flat=True)) == {Status.FAILED}
    assert far_end.summary()["posts"] == 3
    entries = LogEntry.objects.values_list("user", "object_id", "change_message")
    assert set(entries) == {
        (admin_user.pk, str(attempt.task_id), "Decided: give_up.") for attempt in (first, second)
    }


def test_a_decision_wakes_a_worker(
    admin_client: Client, lost: MakeLost, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    attempt = open_one(lost("a city"))
    with django_capture_on_commit_callbacks() as hints:
        act(admin_client, "submit_again", attempt, confirmed="yes")
    assert len(hints) == 1


# ---- somebody was first ----------------------------------------------------------------------------


def test_what_somebody_decided_meanwhile_is_told_plainly(
    admin_client: Client, lost: MakeLost, machine: Machine
) -> None:
    run = lost("a city", "a river")
    gone, open_still = Decision.objects.order_by("task__segment_index")
    decisions.decide(gone.task_id, "give_up", now=machine.now)
    over = "#1 take 1: a decision is no longer awaited, the attempt is abandoned by a person's decision."
    assert told(admin_client.get(detail(gone), follow=True)) == [over]
    assert adopt(admin_client, gone, "video_1", confirmed="yes") == [over]
    assert act(admin_client, "submit_again", gone, open_still, confirmed="yes") == [
        "1 attempt of the chosen ones: a decision is no longer awaited.",
        "1 attempt submitted again.",
    ]
    run.refresh_from_db()
    assert (run.queued, run.failed) == (1, 1)


def test_an_old_page_decides_nothing_about_a_newer_attempt(
    admin_client: Client, lost: MakeLost, machine: Machine, far_end: Simulator
) -> None:
    run = lost("a city")
    old = open_one(run)
    decisions.decide(old.task_id, "submit_again", now=machine.now)
    machine.submit()
    newer = open_one(run)
    assert newer.pk != old.pk
    with pytest.raises(Conflict, match="Nothing is to be decided here"):
        decisions.decide(old.task_id, "submit_again", attempt_id=old.pk, now=machine.now)
    act(admin_client, "submit_again", old, confirmed="yes")
    assert open_one(run).pk == newer.pk
    assert far_end.summary()["posts"] == 2


def test_an_attempt_that_never_was_leads_to_the_list(admin_client: Client, lost: MakeLost) -> None:
    run = lost("a city")
    for key in (run.pk, "x"):
        response = admin_client.get(f"{LIST}{key}/change/", follow=True)
        assert told(response) == ["There is no such attempt."]
        assert response.redirect_chain[-1][0] == LIST


# ---- who may ---------------------------------------------------------------------------------------


def test_who_may_only_look_is_offered_nothing_and_changes_nothing(
    staff: Callable[..., Client], lost: MakeLost, far_end: Simulator
) -> None:
    run, viewer = lost("a city"), staff("view_decision")
    attempt = open_one(run)
    for path in (LIST, detail(attempt)):
        html = page(viewer, path, look="1") if path != LIST else page(viewer, path)
        assert 'name="action"' not in html
        assert "provider_job_id" not in html
    act(viewer, "give_up", attempt, confirmed="yes")
    answer = viewer.post(f"{LIST}{attempt.pk}/adopt/", {"provider_job_id": "x", "confirmed": "y"})
    assert answer.status_code == 403
    assert open_one(run).pk == attempt.pk


def test_who_may_decide_needs_no_other_right(staff: Callable[..., Client], lost: MakeLost) -> None:
    attempt = open_one(lost("a city"))
    decider = staff("change_decision")
    assert act(decider, "give_up", attempt, confirmed="yes") == ["1 attempt given up."]


def test_others_see_neither_the_list_nor_its_number(
    staff: Callable[..., Client], lost: MakeLost
) -> None:
    attempt, other = open_one(lost("a city")), staff("view_run")
    assert "Decisions" not in page(other, "/admin/")
    for path in (LIST, detail(attempt)):
        assert other.get(path).status_code == 403


def test_no_form_changes_or_deletes_an_attempt(admin_client: Client, lost: MakeLost) -> None:
    attempt = open_one(lost("a city"))
    assert admin_client.post(detail(attempt), {"phase": "done"}).status_code == 403
    path = f"{LIST}{attempt.pk}/delete/"
    assert admin_client.post(path, {"post": "yes"}).status_code == 403
    assert admin_client.get(f"{LIST}add/").status_code == 403
