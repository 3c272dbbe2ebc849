"""What becomes of shots whose length nobody makes: told when a run is created, carried out, and never silent."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from cineflow.core import ids
from providers.models import Provider, ProviderModel
from runs.models import Attempt, Run, Task
from storyboards import editing
from tests.providers.simulated import Simulator, simulator
from tests.runs.conftest import Machine

pytestmark = pytest.mark.django_db(transaction=True)

Segment = dict[str, Any]


@pytest.fixture
def far_end(settings: Any) -> Iterator[Simulator]:
    """`openai`, which makes 4, 8 and 12 s; nobody else has a key."""
    with simulator(seconds=0.0) as simulated:
        known = {"key": "sk-test", "base_url": simulated.base_url, "dialect": "openai"}
        settings.PROVIDERS = {**settings.PROVIDERS, "openai": known}
        yield simulated


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.close()


@pytest.fixture
def board(api: APIClient) -> Callable[..., str]:
    """Imports a storyboard: `board({"duration_seconds": 4}, …)`; returns its id."""

    def make(*segments: Segment) -> str:
        listed = [
            {"segment_index": index, "prompt_text": "A city.", **segment}
            for index, segment in enumerate(segments, 1)
        ]
        raw = json.dumps({"segments": listed}).encode()
        return editing.import_storyboard("film.json", raw).public_id

    return make


def seconds(*lengths: int) -> list[Segment]:
    return [{"duration_seconds": length} for length in lengths]


def create(api: APIClient, storyboard_id: str, **more: Any) -> Any:
    body = {"storyboard_id": storyboard_id, "model_id": "sora2", **more}
    return api.post("/api/v1/runs", body, format="json")


def created(api: APIClient, storyboard_id: str, **more: Any) -> dict[str, Any]:
    answer = create(api, storyboard_id, **more)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def asked(plan: list[dict[str, Any]]) -> dict[int, tuple[str, int | None]]:
    return {each["segment_index"]: (each["outcome"], each["asked_seconds"]) for each in plan}


def the_run(answer: dict[str, Any]) -> Run:
    key = ids.parse("run", answer["id"])
    assert key
    return Run.objects.get(pk=key)


# ---- the plan --------------------------------------------------------------------------------------


def test_shots_that_fit_are_not_in_the_plan(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    answer = created(api, board(*seconds(4, 8, 12)))
    assert (answer["conform"], answer["conform_plan"], answer["conform_plan_rest"]) == (
        "route",
        [],
        0,
    )
    run = api.get(f"/api/v1/runs/{answer['id']}").json()
    told_at_creation = {"conform_plan", "conform_plan_rest", "warnings"}
    assert run == {name: answer[name] for name in answer.keys() - told_at_creation}


def test_by_default_a_shot_that_nobody_makes_will_find_no_provider(
    api: APIClient, far_end: Simulator, board: Callable[..., str], machine: Machine
) -> None:
    answer = created(api, board(*seconds(4, 15)))
    (entry,) = answer["conform_plan"]
    why = entry.pop("why")
    assert entry == {
        "segment_index": 2,
        "seconds": 15,
        "outcome": "no_provider",
        "provider_id": None,
        "provider_model_id": None,
        "asked_seconds": None,
    }
    assert "openai sora-2: makes 4, 8, 12 s, not 15 s" in why
    machine.run_to_end(the_run(answer))
    first, second = Task.objects.order_by("segment_index")
    assert (first.status, second.error_code) == ("completed", "no_provider")
    assert second.error_msg == why


@pytest.mark.parametrize(
    ("conform", "plan"),
    [
        ("nearest_longer", {2: ("longer", 12), 3: ("no_provider", None)}),
        ("nearest", {2: ("longer", 12), 3: ("shorter", 12)}),
    ],
)
def test_another_length_is_made_where_the_run_says_so(
    conform: str,
    plan: dict[int, tuple[str, int | None]],
    api: APIClient,
    far_end: Simulator,
    board: Callable[..., str],
    machine: Machine,
) -> None:
    answer = created(api, board(*seconds(8, 10, 15)), conform=conform)
    assert (answer["conform"], asked(answer["conform_plan"])) == (conform, plan)
    assert answer["conform_plan"][0]["provider_id"] == "openai"
    machine.run_to_end(the_run(answer))
    made = dict(Attempt.objects.values_list("task__segment_index", "seconds"))
    assert made == {1: 8} | {index: length for index, (_, length) in plan.items() if length}
    sent = sorted(int(post["seconds"]) for post in far_end.ledger()["posts"])
    assert sent == sorted(made.values())


def test_what_was_wanted_and_what_is_billed_stand_side_by_side(
    api: APIClient, far_end: Simulator, board: Callable[..., str], machine: Machine
) -> None:
    ProviderModel.objects.filter(name="sora-2").update(price_per_second="0.10")
    answer = created(api, board(*seconds(10)), conform="nearest_longer")
    machine.run_to_end(the_run(answer))
    (task,) = api.get(f"/api/v1/runs/{answer['id']}/tasks").json()["items"]
    told = api.get(f"/api/v1/tasks/{task['id']}/metadata").json()
    assert (told["conform"], told["requested_seconds"]) == ("nearest_longer", 10)
    assert told["segment"]["duration_seconds"] == 10
    (attempt,) = told["attempts"]
    lengths = [attempt[name] for name in ("requested_seconds", "seconds", "billed_seconds")]
    assert (lengths, attempt["cost"]) == ([10, 12, 12], 1.2)
    assert told["cost"]["billed_seconds"] == 12
    assert (told["routing"]["requested_seconds"], told["routing"]["asked_seconds"]) == (10, 12)
    assert round(told["file"]["seconds"]) == 12


def test_the_exact_length_goes_before_another_one(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    models = ProviderModel.objects.filter(provider="openai")
    models.filter(name="sora-2-pro").update(durations=[10], pro="never")
    ProviderModel.objects.get(name="sora-2-pro", provider="openai").routes.create(
        model_id="sora2", position=5
    )
    answer = created(api, board(*seconds(8, 10, 15)), conform="nearest")
    assert asked(answer["conform_plan"]) == {3: ("shorter", 12)}


def test_manual_conforms_to_the_chosen_provider(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    chosen = {"routing_strategy": "manual", "provider_id": "openai", "conform": "nearest"}
    plan = created(api, board(*seconds(10)), **chosen)["conform_plan"]
    assert asked(plan) == {1: ("longer", 12)}
    other = chosen | {"provider_id": "sora_hk"}
    plan = created(api, board(*seconds(10)), **other)["conform_plan"]
    assert asked(plan) == {1: ("no_provider", None)}  # its key is missing
    plan = created(api, board(*seconds(8)), **other, dry_run=True)["conform_plan"]
    assert asked(plan) == {1: ("longer", 10)}  # which a dry run does not mind


def test_a_plan_leaves_open_what_is_drawn_by_weight(
    api: APIClient, far_end: Simulator, board: Callable[..., str], settings: Any
) -> None:
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "aihubmix": {"key": "k", "base_url": far_end.origin, "dialect": "aihubmix"},
    }
    drawn = {"routing_strategy": "weighted", "conform": "nearest"}
    (entry,) = created(api, board(*seconds(10)), **drawn)["conform_plan"]
    assert (entry["outcome"], entry["provider_id"], entry["asked_seconds"]) == ("longer", None, 12)
    Provider.objects.filter(pk="aihubmix").update(supported_durations=[8])
    (entry,) = created(api, board(*seconds(10)), **drawn)["conform_plan"]
    assert (entry["outcome"], entry["provider_id"], entry["asked_seconds"]) == ("drawn", None, None)
    assert entry["why"] == (
        "none that can take it makes 10 s; one is drawn by weight: "
        "openai sora-2 as 12 s (of 4, 8, 12 s), aihubmix sora-2 as 8 s (of 8 s)"
    )


def test_a_plan_lists_a_thousand_shots_and_counts_the_rest(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    answer = created(api, board(*seconds(*[10] * 1005, 4)), range="3-1006")
    assert len(answer["conform_plan"]) == 1000
    assert (answer["conform_plan"][0]["segment_index"], answer["conform_plan_rest"]) == (3, 3)


def test_a_plan_costs_no_more_queries_for_many_shots(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    counts = []
    for shots in (1, 300):
        storyboard_id = board(*seconds(*[10] * shots))
        with CaptureQueriesContext(connection) as queries:
            created(api, storyboard_id)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# ---- strict ----------------------------------------------------------------------------------------


def test_a_strict_run_that_does_not_fit_is_refused_whole(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    answer = create(api, board(*seconds(4, 10, 8, 15)), conform="strict")
    assert answer.status_code == 400
    body = answer.json()
    assert body["code"] == "validation_error"
    errors = body["details"]["errors"]
    assert [(error["loc"], error["type"]) for error in errors] == [
        (["segments", 2], "no_provider"),
        (["segments", 4], "no_provider"),
    ]
    assert errors[0]["msg"].startswith("Shot 2 (10 s): No provider can take this shot.")
    assert "openai sora-2: makes 4, 8, 12 s, not 10 s" in errors[0]["msg"]
    assert (Run.objects.count(), Task.objects.count()) == (0, 0)


def test_a_strict_run_that_fits_is_created(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    answer = created(api, board(*seconds(4, 8, 12)), conform="strict")
    assert (answer["conform"], answer["conform_plan"]) == ("strict", [])


def test_a_strict_run_needs_a_key_and_a_strict_dry_run_does_not(
    api: APIClient, board: Callable[..., str]
) -> None:
    storyboard_id = board(*seconds(8))
    assert create(api, storyboard_id, conform="strict").status_code == 400
    assert create(api, storyboard_id, conform="strict", dry_run=True).status_code == 201


def test_a_strict_run_tells_a_thousand_problems_and_how_many_there_are(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    answer = create(api, board(*seconds(*[10] * 1001)), conform="strict")
    errors = answer.json()["details"]["errors"]
    assert (len(errors), errors[-1]["type"]) == (1001, "too_many_errors")


# ---- dry runs, reuse -------------------------------------------------------------------------------


def test_a_dry_run_tells_the_length_of_each_take(
    api: APIClient, board: Callable[..., str], machine: Machine
) -> None:
    answer = created(
        api, board(*seconds(8, 15)), conform="nearest", dry_run=True, model_id="sora2pro"
    )
    machine.run_to_end(the_run(answer))
    tasks = api.get(f"/api/v1/runs/{answer['id']}/tasks").json()["items"]
    lengths = [
        (found["requested_seconds"], found["asked_seconds"])
        for task in tasks
        for found in [api.get(f"/api/v1/tasks/{task['id']}/route").json()]
    ]
    assert lengths == [(8, 8), (15, 15)]
    ProviderModel.objects.exclude(provider="openai").delete()
    answer = created(api, board(*seconds(15)), conform="nearest", dry_run=True)
    machine.run_to_end(the_run(answer))
    (task,) = api.get(f"/api/v1/runs/{answer['id']}/tasks").json()["items"]
    routing = api.get(f"/api/v1/tasks/{task['id']}/metadata").json()["routing"]
    assert (routing["requested_seconds"], routing["asked_seconds"]) == (15, 12)
    (event,) = Task.objects.get(run=the_run(answer)).events.filter(kind="checked")
    assert event.why == "dry run: would go to openai sora-2 as 12 s instead of 15 s"


@pytest.mark.parametrize(("second", "posts"), [("route", 2), ("nearest_longer", 2), ("nearest", 3)])
def test_a_take_of_another_length_is_reused_only_by_a_run_that_wants_such(
    second: str,
    posts: int,
    api: APIClient,
    far_end: Simulator,
    board: Callable[..., str],
    machine: Machine,
) -> None:
    storyboard_id = board(*seconds(8, 10))
    machine.run_to_end(the_run(created(api, storyboard_id, conform="nearest_longer")))
    assert far_end.summary()["posts"] == 2
    machine.run_to_end(the_run(created(api, storyboard_id, conform=second, range="2")))
    assert far_end.summary()["posts"] == posts


def test_fingerprints_of_exact_runs_are_what_they_were(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    storyboard_id = board(*seconds(8))
    for conform in ("route", "strict", "nearest_longer", "nearest"):
        created(api, storyboard_id, conform=conform)
    prints = list(Task.objects.order_by("run__created_at").values_list("fingerprint", flat=True))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


# ---- GET /tasks/{id}/route -------------------------------------------------------------------------


def test_the_route_of_a_task_tells_candidates_values_and_reasons(
    api: APIClient, far_end: Simulator, board: Callable[..., str], machine: Machine
) -> None:
    ProviderModel.objects.filter(name="sora-2").update(price_per_second="0.10")
    Provider.objects.filter(pk="openai").update(
        max_in_flight=4, max_per_minute=10, balance="7.50", balance_currency="USD"
    )
    answer = created(
        api, board(*seconds(10)), conform="nearest_longer", routing_strategy="failover"
    )
    machine.run_to_end(the_run(answer))
    (task,) = api.get(f"/api/v1/runs/{answer['id']}/tasks").json()["items"]
    told = api.get(f"/api/v1/tasks/{task['id']}/route").json()
    decision = told["attempts"][0]["decision"]
    assert told == {
        "task_id": task["id"],
        "run_id": answer["id"],
        "segment_index": 1,
        "take": 1,
        "status": "completed",
        **decision,
        "waiting_for": None,
        "waiting_until": None,
        "attempts": [{"number": 1, "phase": "done", "error_code": None, "decision": decision}],
    }
    assert (decision["strategy"], decision["conform"]) == ("failover", "nearest_longer")
    (taken,) = [each for each in decision["candidates"] if each["taken"]]
    assert taken == {
        "provider_id": "openai",
        "provider_model_id": "sora-2",
        "taken": True,
        "why": "taken as 12 s",
        "asked_seconds": 12,
        "priority": 20,
        "weight": 10,
        "price_per_second": 0.1,
        "price": 1.2,
        "latency_p50": None,
        "latency_p95": None,
        "free_slots": 4,
        "free_share": 1.0,
        "left_this_minute": 10,
        "balance": 7.5,
        "balance_currency": "USD",
        "held_until": None,
    }


def test_a_task_that_is_not_routed_yet_says_so(
    api: APIClient, far_end: Simulator, board: Callable[..., str]
) -> None:
    answer = created(api, board(*seconds(8)))
    (task,) = api.get(f"/api/v1/runs/{answer['id']}/tasks").json()["items"]
    told = api.get(f"/api/v1/tasks/{task['id']}/route").json()
    assert (told["decided_at"], told["candidates"], told["attempts"]) == (None, [], [])
    assert (told["requested_seconds"], told["reason"]) == (8, None)


def test_the_route_of_no_task_is_not_found(api: APIClient) -> None:
    answer = api.get("/api/v1/tasks/task_00000000000000000000000000/route")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_admin_shows_the_decision_as_a_table(
    api: APIClient,
    far_end: Simulator,
    board: Callable[..., str],
    machine: Machine,
    admin_client: Client,
) -> None:
    ProviderModel.objects.filter(name="sora-2").update(price_per_second="0.10")
    machine.run_to_end(the_run(created(api, board(*seconds(10)), conform="nearest")))
    task, attempt = Task.objects.get(), Attempt.objects.get()
    for page in (f"runs/task/{task.pk}", f"runs/attempt/{attempt.pk}"):
        html = admin_client.get(f"/admin/{page}/change/").content.decode()
        for told in (
            "<th>Provider</th><th>Model</th><th>Taken</th><th>Why</th>",
            "12 s instead of 10 s",
            "taken as 12 s",
            "$1.2 ($0.1 a second)",
            "first by priority",
        ):
            assert told in html, told
