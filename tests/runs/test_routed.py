"""Routing through the whole engine: what is chosen, what is told of it, and what follows a failure."""

import random
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import count
from statistics import NormalDist
from typing import Any

import pytest
from django.utils import timezone

from cineflow.core import bulk, ids
from providers.models import Provider, ProviderModel, Route
from providers.simulator import aihubmix
from runs import decisions, launch, metadata, routes
from runs.models import Attempt, Phase, Run, Status, Task
from runs.shots import draw
from tests.providers.far_end import Behaviour, FarEnd, answer
from tests.providers.far_end import far_end as dead_end
from tests.providers.simulated import Simulator, simulator
from tests.runs.conftest import Machine, MakeRun, only_task

pytestmark = pytest.mark.django_db(transaction=True)

Settings = Any


@pytest.fixture
def second(settings: Settings) -> Iterator[Simulator]:
    """Another simulated provider, behind `aihubmix`."""
    with simulator(seconds=0.0) as simulated:
        connect(settings, "aihubmix", f"{simulated.origin}{aihubmix.PREFIX}")
        yield simulated


def connect(settings: Settings, provider_id: str, base_url: str) -> None:
    known = {"key": "sk-test", "base_url": base_url, "dialect": provider_id}
    settings.PROVIDERS = {**settings.PROVIDERS, provider_id: known}


@pytest.fixture
def in_real_time(machine: Machine) -> None:
    """A look-up compares with the far end's clock."""
    machine.now = timezone.now()


def chosen_by(task: Task) -> list[str]:
    return list(task.attempts.order_by("number").values_list("provider_id", flat=True))


def told_of(task: Task) -> dict[str, Any]:
    task.refresh_from_db()
    return routes.of_task(task)


def whys(decision: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{each['provider_id']} {each['provider_model_id']}": each["why"]
        for each in decision["candidates"]
    }


# ---- failover --------------------------------------------------------------------------------------


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address at which nothing listens: bound, so that nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


FORBIDDEN = answer(b'{"error": {"message": "not from here"}}', "403 Forbidden")


@pytest.fixture
def forbidding(settings: Settings) -> Iterator[FarEnd]:
    """`openai` takes nothing from us, without being dead."""
    with dead_end(FORBIDDEN) as found:
        connect(settings, "openai", found.url.removesuffix("/videos"))
        yield found


def posts_of(provider_id: str) -> int:
    return Attempt.objects.filter(provider_id=provider_id).count()


def all_end_elsewhere(run: Run, machine: Machine, settings: Settings) -> None:
    """The dead one was asked by those of one dispatch, and then by one whenever its breaker let one through."""
    run = machine.run_to_end(run, seconds=5)
    assert (run.status, run.completed) == (Status.COMPLETED, run.total_tasks)
    assert set(run.tasks.values_list("provider_id", flat=True)) == {"aihubmix"}
    account, model = (
        Provider.objects.get(pk="openai"),
        ProviderModel.objects.get(provider="openai", name="sora-2"),
    )
    assert account.trips + model.trips >= 1
    assert posts_of("openai") <= settings.SENDERS + account.trips + model.trips - 1
    asked_twice = [
        task.pk for task in run.tasks.all() if len(set(chosen_by(task))) < task.attempt_count
    ]
    assert asked_twice == []


def test_failover_through_a_provider_that_refuses_connections_ends_every_task_elsewhere(
    start: MakeRun, machine: Machine, second: Simulator, refusing: str, settings: Settings
) -> None:
    connect(settings, "openai", refusing)
    run = start(*["a city"] * 200, routing_strategy="failover", concurrency=200)
    all_end_elsewhere(run, machine, settings)
    assert second.summary()["posts"] == 200


@pytest.mark.parametrize(
    "refusal",
    [
        answer(b'{"error": {"message": "wrong key"}}', "401 Unauthorized"),
        answer(b'{"error": {"message": "no funds"}}', "402 Payment Required"),
        answer(b'{"error": {"message": "no such model"}}', "404 Not Found"),
    ],
    ids=["wrong key", "no funds", "gone"],
)
def test_failover_through_a_provider_that_refuses_everything_ends_every_task_elsewhere(
    refusal: Behaviour, start: MakeRun, machine: Machine, second: Simulator, settings: Settings
) -> None:
    with dead_end(refusal) as dead:
        connect(settings, "openai", dead.url.removesuffix("/videos"))
        run = start(*["a city"] * 60, routing_strategy="failover", concurrency=200)
        all_end_elsewhere(run, machine, settings)
        assert asked(dead) == posts_of("openai")
    assert second.summary()["posts"] == 60


def test_failover_through_a_provider_that_answers_500_and_makes_nothing_ends_every_task_elsewhere(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator, settings: Settings
) -> None:
    """AIHubMix says so when no channel of its has the model."""
    second.configure(shutdown=True)
    Provider.objects.filter(pk="aihubmix").update(priority=1)
    Route.objects.filter(provider_model__name="web-sora-2").delete()
    run = start(*["a city"] * 60, routing_strategy="failover", concurrency=200)
    run = machine.run_to_end(run, seconds=5)
    assert (run.status, run.completed) == (Status.COMPLETED, 60)
    assert set(run.tasks.values_list("provider_id", flat=True)) == {"openai"}
    refused = second.summary()["posts"]
    model = ProviderModel.objects.get(provider="aihubmix", name="sora-2")
    assert 1 <= refused <= settings.SENDERS + model.trips - 1
    assert refused == posts_of("aihubmix")


def asked(dead: FarEnd) -> int:
    return sum(line.startswith("POST ") for line in dead.lines)


def test_who_failed_a_task_is_not_asked_for_it_again_when_the_breaker_has_closed(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator
) -> None:
    run = start("a city [[sim:submit=401*1]]", routing_strategy="failover")
    second.configure(shutdown=True)
    machine.run_to_end(run, seconds=300)
    task = only_task(run)
    assert chosen_by(task) == ["openai", "aihubmix"]
    assert (task.status, task.error_code) == (Status.FAILED, "dependency_error")
    assert far_end.summary()["posts"] == 1


@pytest.mark.parametrize("fault", ["submit=moderation", "submit=400", "fail=moderation_blocked"])
def test_failover_asks_nobody_else_when_the_shot_itself_is_refused(
    fault: str, start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator
) -> None:
    run = machine.run_to_end(start(f"a city [[sim:{fault}]]", routing_strategy="failover"))
    assert only_task(run).error_code in ("content_policy", "validation_error")
    assert chosen_by(only_task(run)) == ["openai"]
    assert second.summary()["posts"] == 0


def test_failover_asks_the_next_one_when_a_job_fails(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:fail=server_error]]", routing_strategy="failover"))
    assert chosen_by(only_task(run)) == ["openai", "aihubmix"]
    assert only_task(run).error_code == "server_error"


def test_failover_asks_the_next_one_when_a_look_up_shows_that_no_job_was_made(
    start: MakeRun, machine: Machine, second: Simulator, settings: Settings
) -> None:
    Provider.objects.filter(pk="openai").update(recovery="look_up")
    lost = answer(b"{}", "503 Service Unavailable")
    with dead_end(lost, answer(b'{"object": "list", "data": []}')) as dead:
        connect(settings, "openai", dead.url.removesuffix("/videos"))
        run = machine.run_to_end(start("a city", routing_strategy="failover"))
    assert (run.status, asked(dead)) == (Status.COMPLETED, 1)
    assert chosen_by(only_task(run)) == ["openai", "aihubmix"]


def test_the_other_strategies_do_not_go_elsewhere(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator
) -> None:
    run = machine.run_to_end(start("a city [[sim:submit=403]]"))
    assert chosen_by(only_task(run)) == ["openai"]


# ---- what is told ----------------------------------------------------------------------------------


def test_the_decision_of_every_attempt_is_kept(
    start: MakeRun, machine: Machine, forbidding: FarEnd, second: Simulator
) -> None:
    run = machine.run_to_end(start("a city", routing_strategy="failover"))
    task = only_task(run)
    told = told_of(task)
    first, last = told["attempts"]
    assert (first["phase"], first["error_code"]) == ("rejected", "forbidden")
    assert (last["phase"], last["error_code"]) == ("done", None)
    assert whys(first["decision"]) == {
        "sora_hk sora2": "makes 10, 15, 25 s, not 4 s",
        "openai sora-2": "taken",
        "aihubmix sora-2": "fits",
        "aihubmix web-sora-2": "fits",
    }
    assert whys(last["decision"]) == {
        "sora_hk sora2": "makes 10, 15, 25 s, not 4 s",
        "openai sora-2": "failed before for this task",
        "aihubmix sora-2": "taken",
        "aihubmix web-sora-2": "fits",
    }
    newest = {name: told[name] for name in last["decision"]}
    assert newest == last["decision"]
    assert metadata.of_task(task)["attempts"][0]["routing"]["candidates"]


def test_a_task_that_waits_tells_what_for(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    run = start("a city", "a river", concurrency=5)
    until = machine.now + timedelta(seconds=90)
    Provider.objects.filter(pk="openai").update(not_before=until, hold_reason="slow down")
    # Another account keeps the run from waiting as a whole; it cannot take these shots.
    Provider.objects.filter(pk="preview").update(supported_durations=[25])
    preview = ProviderModel.objects.get(name="preview")
    preview.routes.create(model_id="sora2")
    machine.turn()
    told = told_of(run.tasks.earliest("segment_index"))
    assert told["waiting_for"] == (
        f"Waiting for a provider. openai sora-2: is held until {until:%H:%M:%S} UTC (slow down)."
    )
    assert told["waiting_until"] == until
    assert (told["provider_id"], told["attempts"]) == (None, [])
    assert whys(told)["preview preview"] == "makes 25 s, not 4 s"
    machine.run_to_end(run)
    # What it waited by is not its newest decision any more.
    task = run.tasks.earliest("segment_index")
    told = told_of(task)
    (attempt,) = told["attempts"]
    assert {name: told[name] for name in attempt["decision"]} == attempt["decision"]
    assert metadata.of_task(task)["routing"]["provider_id"] == "openai"


def test_a_task_that_its_run_holds_tells_so(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    far_end.configure(seconds=600)
    run = start("a city", "a river", concurrency=1)
    machine.turn()
    machine.turn()
    told = told_of(run.tasks.latest("segment_index"))
    assert told["waiting_for"] == "the run has its 1 jobs in flight (concurrency)"
    assert (told["decided_at"], told["waiting_until"], told["candidates"]) == (None, None, [])


def test_a_reused_take_was_never_routed(
    start: MakeRun, board: Callable[..., Any], machine: Machine, far_end: Simulator
) -> None:
    storyboard = board("a city")
    machine.run_to_end(start(of=storyboard))
    task = Task.objects.get(run=machine.run_to_end(start(of=storyboard)))
    assert told_of(task)["reason"] == "An earlier take is reused; nobody is asked."


def test_a_task_that_nobody_can_make_tells_why(start: MakeRun, machine: Machine) -> None:
    task = only_task(machine.run_to_end(start("a city")))
    told = told_of(task)
    assert (task.error_code, told["provider_id"], told["waiting_for"]) == (
        "no_provider",
        None,
        None,
    )
    assert whys(told)["openai sora-2"] == "set OPENAI_API_KEY"


# ---- strategies follow their data --------------------------------------------------------------------


@pytest.fixture
def would_go_to(
    start: MakeRun, machine: Machine, settings: Settings, second: Simulator, far_end: Simulator
) -> Callable[..., str]:
    """Who takes a shot of a new run, as it is dispatched."""

    def ask(strategy: str, **more: Any) -> str:
        run = start("a city", routing_strategy=strategy, force=True, **more)
        machine.run_to_end(run, seconds=30)
        return only_task(run).provider_id

    return ask


def price(provider_id: str, amount: str) -> None:
    models = ProviderModel.objects.filter(provider=provider_id, name="sora-2")
    models.update(price_per_second=Decimal(amount))


def test_cost_follows_the_prices(would_go_to: Callable[..., str]) -> None:
    price("openai", "0.10")
    assert would_go_to("cost") == "openai"  # aihubmix's price is not known
    price("aihubmix", "0.05")
    assert would_go_to("cost") == "aihubmix"
    price("openai", "0.04")
    assert would_go_to("cost") == "openai"


numbers = count(1)


def finished_jobs(run: Run, provider_id: str, seconds: list[float], machine: Machine) -> None:
    """Earlier jobs of that provider, each of which took so long."""
    task = only_task(run)
    Attempt.objects.bulk_create(
        Attempt(
            task=task,
            run=run,
            number=1000 + next(numbers),
            provider_job_id=f"earlier-{next(numbers)}",
            phase=Phase.DONE,
            provider_id=provider_id,
            provider_model_id="sora-2",
            seconds=4,
            sent_at=machine.now - timedelta(seconds=took + 1),
            accepted_at=machine.now - timedelta(seconds=took),
            finished_at=machine.now,
        )
        for took in seconds
    )


def test_latency_follows_what_was_measured(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator, settings: Settings
) -> None:
    earlier = machine.run_to_end(start("a city"))
    Attempt.objects.all().delete()
    finished_jobs(earlier, "openai", [100.0] * 19 + [500.0], machine)
    finished_jobs(earlier, "aihubmix", [80.0] * 19 + [900.0], machine)

    def decided() -> dict[str, Any]:
        run = start("a river", routing_strategy="latency", dry_run=True)
        return told_of(only_task(machine.run_to_end(run, seconds=1)))

    told = decided()
    assert told["provider_id"] == "aihubmix"
    measured = {
        each["provider_model_id"]: (each["latency_p50"], each["latency_p95"])
        for each in told["candidates"]
        if each["provider_id"] == "aihubmix"
    }
    assert measured == {"sora-2": (80.0, 80.0), "web-sora-2": (None, None)}
    assert "openai p50 100 p95 100" in told["looked_at"]
    finished_jobs(earlier, "openai", [20.0] * 40, machine)
    assert decided()["provider_id"] == "openai"
    # What is older than the window counts no more.
    machine.now += timedelta(seconds=settings.LATENCY_WINDOW_SECONDS)
    told = decided()
    assert told["reason"] == "none is measured; first by priority"


def test_quota_follows_slots_and_balances(would_go_to: Callable[..., str]) -> None:
    openai, aihubmix = (Provider.objects.filter(pk=pk) for pk in ("openai", "aihubmix"))
    assert would_go_to("quota") == "openai"  # no limits, no balances: by priority
    openai.update(max_in_flight=10)
    assert would_go_to("quota") == "aihubmix"  # the one without a limit
    openai.update(max_in_flight=None)
    aihubmix.update(balance=Decimal(9), balance_currency="USD")
    assert would_go_to("quota") == "aihubmix"
    openai.update(balance=Decimal(90), balance_currency="USD")
    assert would_go_to("quota") == "openai"
    price("openai", "50")  # 4 s of it would cost 200
    assert would_go_to("quota") == "aihubmix"


def test_quota_spreads_a_run_over_accounts_by_what_is_left(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator
) -> None:
    for each in (far_end, second):
        each.configure(seconds=600)
    Provider.objects.filter(pk="openai").update(max_in_flight=12)
    Provider.objects.filter(pk="aihubmix").update(max_in_flight=4)
    run = start(*["a city"] * 8, routing_strategy="quota", concurrency=8)
    machine.submit()
    flying = Counter(run.tasks.values_list("provider_id", flat=True))
    assert flying == {"openai": 6, "aihubmix": 2}


def test_weights_hold_over_ten_thousand_tasks(start: MakeRun, machine: Machine) -> None:
    """Within the binomial interval of 99.9 %; the tasks' ids are made up, so that the lot is always the same."""
    shares = {"sora_hk": 70, "openai": 20, "aihubmix": 10}
    for provider_id, weight in shares.items():
        Provider.objects.filter(pk=provider_id).update(weight=weight, supported_durations=[4])
    run = start("a city", routing_strategy="weighted", dry_run=True)
    pattern = {
        field.attname: getattr(only_task(run), field.attname)
        for field in Task._meta.concrete_fields
    }
    run.tasks.all().delete()
    rng, total = random.Random(7), 10_000
    made_up = (
        {**pattern, "id": uuid.UUID(int=rng.getrandbits(128)), "segment_index": index}
        for index in range(1, total + 1)
    )
    bulk.insert(Task, list(pattern), (list(row.values()) for row in made_up))
    Run.objects.filter(pk=run.pk).update(total_tasks=total, queued=total)
    machine.run_to_end(run)
    drawn = Counter(
        (routing or {})["provider_id"] for routing in run.tasks.values_list("routing", flat=True)
    )
    for provider_id, weight in shares.items():
        share = weight / 100
        spread = NormalDist().inv_cdf(1 - 0.001 / 2) * (total * share * (1 - share)) ** 0.5
        assert abs(drawn[provider_id] - total * share) <= spread, drawn


def test_a_lot_stays_for_an_attempt_and_is_drawn_anew_for_the_next() -> None:
    task = Task(id=ids.new_id())
    first = draw(task)
    assert draw(task) == first
    task.attempt_count = 1
    assert draw(task) != first
    assert 0 <= first < 1


# ---- limits and capabilities of a model ----------------------------------------------------------------


@pytest.fixture
def another_model(catalogue: None) -> str:
    """The second of `aihubmix`, under a name that the simulator knows."""
    other = ProviderModel.objects.get(provider="aihubmix", name="sora-2-pro")
    ProviderModel.objects.filter(pk=other.pk).update(pro="never")
    routes = Route.objects.filter(model="sora2", provider_model__provider="aihubmix")
    routes.filter(provider_model__name="web-sora-2").update(provider_model=other)
    return other.name


def test_a_models_own_limits_hold_beside_its_accounts(
    another_model: str, start: MakeRun, machine: Machine, second: Simulator
) -> None:
    second.configure(seconds=600)
    Provider.objects.filter(pk="aihubmix").update(max_in_flight=5)
    ProviderModel.objects.filter(provider="aihubmix", name="sora-2").update(max_in_flight=2)
    run = start(*["a city"] * 8, concurrency=8)
    machine.submit()
    flying = Counter(Attempt.objects.values_list("provider_model_id", flat=True))
    assert flying == {"sora-2": 2, another_model: 3}
    machine.turn()
    run.refresh_from_db()
    assert "aihubmix has its 5 jobs in flight (max_in_flight)" in run.waiting_reason
    assert second.summary()["posts"] == 5


def test_a_models_own_submits_a_minute_hold_beside_its_accounts(
    another_model: str, start: MakeRun, machine: Machine, second: Simulator
) -> None:
    Provider.objects.filter(pk="aihubmix").update(max_per_minute=5)
    ProviderModel.objects.filter(provider="aihubmix", name="sora-2").update(max_per_minute=2)
    run = start(*["a city"] * 12, concurrency=12)
    asked: list[Counter[str]] = []
    for _ in range(3):
        machine.submit()
        asked.append(Counter(Attempt.objects.values_list("provider_model_id", flat=True)))
        machine.now += timedelta(seconds=70)
    assert asked == [
        {"sora-2": 2, another_model: 3},
        {"sora-2": 4, another_model: 6},
        {"sora-2": 6, another_model: 6},
    ]
    assert machine.run_to_end(run).status == Status.COMPLETED


def test_a_model_tells_what_it_makes_and_else_its_provider_does(
    start: MakeRun, machine: Machine, second: Simulator
) -> None:
    models = ProviderModel.objects.filter(provider="aihubmix")
    models.filter(name="sora-2").update(
        durations={"min": 5, "max": 9}, resolutions=["vertical"], image_inputs=[]
    )
    models.filter(name="web-sora-2").update(max_prompt_length=5)

    def told(prompt: str, **fields: Any) -> tuple[str, str]:
        chosen = {"routing_strategy": "manual", "provider_id": "aihubmix", "dry_run": True}
        run = start(prompt, fields=fields, **chosen)
        found = whys(told_of(only_task(machine.run_to_end(run, seconds=1))))
        return found["aihubmix sora-2"], found["aihubmix web-sora-2"]

    assert told("city", duration_seconds=4, resolution="vertical") == (
        "makes 5 to 9 s, not 4 s",
        "taken",
    )
    assert told("city", duration_seconds=8, resolution="vertical") == ("taken", "fits")
    assert told("city", duration_seconds=8) == ("does not make horizontal video", "taken")
    assert told("a city", duration_seconds=8, resolution="vertical") == (
        "taken",
        "takes prompts of 5 characters, not of 6",
    )
    picture = {"image_url": "https://example.com/first.png", "resolution": "vertical"}
    assert told("city", duration_seconds=8, **picture) == ("takes no start image", "taken")


def test_a_switched_off_provider_takes_no_start_image(start: MakeRun, machine: Machine) -> None:
    Provider.objects.filter(pk="openai").update(supports_image_to_video=False)
    run = start("city", fields={"image_url": "https://example.com/first.png"}, dry_run=True)
    task = only_task(machine.run_to_end(run, seconds=1))
    assert whys(told_of(task))["openai sora-2"] == "takes no start image"


def test_a_length_that_cannot_be_read_holds_up_nobody_else(
    start: MakeRun, machine: Machine, far_end: Simulator, second: Simulator
) -> None:
    ProviderModel.objects.filter(provider="openai").update(durations={"least": 4})
    task = only_task(machine.run_to_end(start("a city")))
    assert (task.status, task.provider_id) == (Status.COMPLETED, "aihubmix")
    assert whys(told_of(task))["openai sora-2"] == "makes no length that is known"


# ---- what an adopted job costs -------------------------------------------------------------------------


def test_an_adopted_job_costs_what_an_accepted_one_does(
    start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    price("openai", "0.25")
    ProviderModel.objects.filter(provider="openai").update(max_poll_seconds=77)
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create*1]]"))
    (job,) = far_end.ledger()["jobs"]
    decisions.decide(only_task(run).pk, "adopt", job_id=job["id"], now=machine.now)
    attempt = Attempt.objects.get()
    assert attempt.cost == Decimal(1)
    assert attempt.deadline_at == machine.now + timedelta(seconds=77)
    run = machine.run_to_end(run)
    cost = metadata.of_task(only_task(run))["cost"]
    assert (run.status, cost["estimated"], cost["billed_seconds"]) == (Status.COMPLETED, 1.0, 4)


def test_a_job_that_a_look_up_finds_costs_what_an_accepted_one_does(
    in_real_time: None, start: MakeRun, machine: Machine, far_end: Simulator
) -> None:
    Provider.objects.filter(pk="openai").update(recovery="look_up")
    price("openai", "0.25")
    run = machine.run_to_end(start("a city [[sim:submit=drop_after_create*1]]"))
    assert (run.status, Attempt.objects.get().cost) == (Status.COMPLETED, Decimal(1))


def test_a_retry_may_ask_everybody_again(
    start: MakeRun, machine: Machine, forbidding: FarEnd, second: Simulator
) -> None:
    second.configure(shutdown=True)
    run = machine.run_to_end(start("a city", routing_strategy="failover"), seconds=1)
    launch.retry_task(only_task(run).pk, now=machine.now)
    second.configure(shutdown=False)
    machine.run_to_end(run, seconds=300)
    assert chosen_by(only_task(run)) == ["openai", "aihubmix"] * 2
