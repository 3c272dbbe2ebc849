"""The contract of every dialect, through the real engine and over a real socket.

Whatever goes wrong at the far end: one POST an attempt, none after a refusal, the right error code, an end,
and the key nowhere but at its own provider. `tests/providers/dialects.py` says what each dialect has.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from providers import registry
from providers.base import HttpAnswer, ImageInput, Standing
from providers.models import Provider, ProviderModel, Recovery, Route
from runs import lifecycle
from runs.models import Attempt, Event, Phase, Run, Status, Task
from storyboards import uploads
from tests.providers.dialects import ARGUMENTS, DIALECTS, Dialect, Lost, Refused
from tests.providers.simulated import Simulator, simulator
from tests.runs.conftest import Machine, MakeRun, only_task, video_of
from tests.runs.racing import assert_sound

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "sk-contract-5f0c2a9e71"
OUTSIDE = "https://pictures.example/start.png"


class Clock:
    """The far end's, so that a job of an hour takes no time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """One dialect at the far end, and runs of the model that it makes."""

    dialect: Dialect
    far_end: Simulator
    clock: Clock
    machine: Machine
    start: MakeRun

    def run(self, *prompts: str, **more: Any) -> Run:
        fields = {"duration_seconds": self.dialect.seconds, **more.pop("fields", {})}
        return self.start(
            *prompts, fields=fields, model_id=self.dialect.model, concurrency=50, **more
        )

    def to_end(self, *prompts: str, **more: Any) -> Run:
        run = self.machine.run_to_end(self.run(*prompts, **more))
        assert_sound(run)
        return run

    def posts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.far_end.ledger()["posts"]
        return found

    def assert_one_post_an_attempt(self) -> None:
        sent = Counter(post["prompt"] for post in self.posts())
        assert sent == Counter(Attempt.objects.values_list("prompt", flat=True))

    def assert_the_key_stayed_at_home(self) -> None:
        ledger = self.far_end.ledger()
        visits = ledger["links"] + ledger["redirected"]
        assert [visit for visit in visits if visit["authorization"]] == []
        for model in (Attempt, Task, Event, Provider):
            assert KEY not in repr(list(model._default_manager.values()))


@pytest.fixture
def machine(patient_machine: Machine) -> Machine:
    return patient_machine


@pytest.fixture(params=DIALECTS, ids=str)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture
def world(
    dialect: Dialect, catalogue: None, settings: Any, machine: Machine, start: MakeRun
) -> Iterator[World]:
    clock = Clock()
    with simulator(seconds=0.0, api_key=KEY, clock=clock) as far_end:
        settings.PROVIDERS = {dialect.provider: dialect.account(far_end.origin, KEY)}
        only_route(dialect)
        yield World(dialect, far_end, clock, machine, start)


def only_route(dialect: Dialect) -> None:
    """The model is made by this dialect's and by nobody else."""
    Route.objects.filter(model=dialect.model).delete()
    for name in filter(None, (dialect.provider_model, dialect.image_model)):
        made, _ = ProviderModel.objects.update_or_create(
            provider_id=dialect.provider, name=name, defaults=dict(dialect.columns)
        )
        Route.objects.create(model_id=dialect.model, provider_model=made)
    set_provider(dialect, recovery=Recovery.NONE, max_in_flight=None, max_per_minute=None)


def set_provider(dialect: Dialect, **values: Any) -> None:
    Provider.objects.filter(pk=dialect.provider).update(**values)


def by_fault(run: Run) -> dict[str, Task]:
    """The first word of a prompt names its fault."""
    return {task.full_prompt.split()[0]: task for task in run.tasks.all()}


def first_attempts(run: Run) -> dict[str, Attempt]:
    found = Attempt.objects.filter(run=run, number=1)
    return {attempt.prompt.split()[0]: attempt for attempt in found}


def prompts(stage: str, faults: Any, times: str = "") -> list[str]:
    return [f"{name} [[sim:{stage}={ARGUMENTS.get(name, name)}{times}]]" for name in sorted(faults)]


# ---- the work --------------------------------------------------------------------------------------


def test_a_text_becomes_a_stored_file(world: World) -> None:
    dialect, run = world.dialect, world.to_end("A city at dusk，城市的黄昏")
    task = only_task(run)
    assert (run.status, task.error_msg) == (Status.COMPLETED, "")
    video = video_of(task)
    assert f"{video.width}x{video.height}" == dialect.size
    (post,) = world.posts()
    seconds = dialect.billed_seconds or dialect.seconds
    assert (post["prompt"], post["seconds"], post["size"], post["model"]) == (
        task.full_prompt,
        seconds,
        dialect.size,
        dialect.provider_model,
    )
    assert round(video.seconds or 0) == seconds
    attempt = Attempt.objects.get()
    assert (attempt.provider_job_id, attempt.phase) == (post["job_id"], Phase.DONE)
    world.assert_the_key_stayed_at_home()


def test_a_start_image_reaches_the_provider(world: World) -> None:
    """Whatever it takes: a picture of ours arrives as bytes, somebody else's as its address."""
    dialect = world.dialect
    model = ProviderModel.objects.get(
        provider=dialect.provider, name=dialect.image_model or dialect.provider_model
    )
    inputs = model.image_inputs
    if inputs is None:
        inputs = registry.adapter(world.dialect.provider).image_inputs
    ways = {"bytes" if how != ImageInput.URL else "address" for how in inputs}
    for way in sorted(ways):
        image_url = OUTSIDE if way == "address" else uploaded()
        run = world.to_end(f"A city at dusk, by {way}", fields={"image_url": image_url})
        assert (run.status, only_task(run).error_msg) == (Status.COMPLETED, "")
    seen = [(post["image_url"], bool(post["image_sha256"])) for post in world.posts()]
    assert seen == [(OUTSIDE, False)] * ("address" in ways) + [(None, True)] * ("bytes" in ways)


def uploaded() -> str:
    """A picture of this server's, in a size that no provider asks for."""
    target = io.BytesIO()
    Image.new("RGB", (400, 300), "teal").save(target, "PNG")
    name = uploads.save(SimpleUploadedFile("start.png", target.getvalue()))
    return f"{uploads.URL_PREFIX}{name}"


# ---- submits that go wrong -----------------------------------------------------------------------------


def test_each_fault_of_a_submit(world: World) -> None:
    ends = world.dialect.submit_ends()
    run = world.to_end(*prompts("submit", ends, "*1"))
    world.assert_one_post_an_attempt()
    world.assert_the_key_stayed_at_home()
    assert world.far_end.ledger()["redirected"] == []
    tasks, attempts = by_fault(run), first_attempts(run)
    seen = {name: seen_of(tasks[name], attempts[name]) for name in ends}
    assert seen == {name: expected_of(end) for name, end in ends.items()}


def seen_of(task: Task, attempt: Attempt) -> tuple[Any, ...]:
    """How the first attempt and its task ended; a lost answer's own code does not matter."""
    code = attempt.error_code if attempt.phase == Phase.REJECTED else ""
    return (
        attempt.phase,
        code,
        task.status,
        task.error_code,
        task.possibly_billed,
        task.attempt_count,
    )


def expected_of(end: Refused | Lost) -> tuple[Any, ...]:
    match end:
        case Lost():
            return (Phase.AMBIGUOUS, "", Status.FAILED, "unknown_error", True, 1)
        case Refused(code, waits=True):
            return (Phase.REJECTED, code, Status.COMPLETED, "", False, 2)
        case Refused(code):
            return (Phase.REJECTED, code, Status.FAILED, code, False, 1)


def test_a_lost_answer_is_looked_for_where_there_is_a_list(world: World) -> None:
    set_provider(world.dialect, recovery=Recovery.LOOK_UP)
    faults = ("drop_after_create", "drop_before_create")
    run = world.to_end(*prompts("submit", faults, "*1"))
    world.assert_one_post_an_attempt()
    made, not_made = (by_fault(run)[name] for name in faults)
    if not world.dialect.lists_jobs:
        assert made.possibly_billed
        assert not_made.possibly_billed
        return
    assert (made.status, made.attempt_count) == (Status.COMPLETED, 1)
    if not world.dialect.absence_is_told:
        assert (not_made.status, not_made.possibly_billed) == (Status.FAILED, True)
        return
    assert (not_made.status, not_made.attempt_count) == (Status.COMPLETED, 2)
    assert Attempt.objects.get(task=not_made, number=1).phase == Phase.ABSENT


def test_a_wrong_key_is_refused_and_holds_the_account(world: World, settings: Any) -> None:
    if not world.dialect.key_is_asked_for:
        pytest.skip("this server takes everybody")
    wrong = "sk-wrong-0123456789"
    settings.PROVIDERS = {
        world.dialect.provider: world.dialect.account(world.far_end.origin, wrong)
    }
    run = world.run("A city at dusk")
    world.machine.turn()
    attempt = Attempt.objects.get()
    assert (attempt.phase, attempt.error_code) == (Phase.REJECTED, "unauthorized")
    assert wrong not in attempt.error_msg
    assert Provider.objects.get(pk=world.dialect.provider).trips == 1
    assert only_task(run).status == Status.QUEUED


def test_a_model_that_is_gone_holds_that_model_alone(world: World) -> None:
    if not world.dialect.retires:
        pytest.skip("this dialect does not tell")
    world.far_end.configure(retired=[world.dialect.provider_model])
    world.run("A city at dusk")
    world.machine.turn()
    attempt = Attempt.objects.get()
    assert (attempt.phase, attempt.error_code) == (Phase.REJECTED, "dependency_error")
    model = ProviderModel.objects.get(
        provider=world.dialect.provider, name=world.dialect.provider_model
    )
    assert (model.trips, Provider.objects.get(pk=world.dialect.provider).trips) == (1, 0)
    assert len(world.posts()) == 1


# ---- what goes wrong after that ---------------------------------------------------------------------------


def test_each_fault_of_polls_and_downloads_passes_without_paying_again(world: World) -> None:
    dialect = world.dialect
    asked = [
        *(f"poll-{text}" for text in prompts("poll", dialect.passing_polls(), "*1")),
        *(f"fetch-{text}" for text in prompts("fetch", dialect.passing_fetches(), "*1")),
        *(f"progress-{name} [[sim:progress={name}]]" for name in ("none", "text", "backwards")),
    ]
    run = world.to_end(*asked)
    assert {name for name, task in by_fault(run).items() if task.status != "completed"} == set()
    world.assert_one_post_an_attempt()
    assert len(world.posts()) == len(asked)
    world.assert_the_key_stayed_at_home()


def test_what_lasts_comes_to_an_end(world: World) -> None:
    dialect = world.dialect
    lasting, failures = dialect.lasting_polls(), dialect.ends()
    asked = [
        *(f"poll-{text}" for text in prompts("poll", lasting)),
        *(f"fail-{name} [[sim:fail={name}]]" for name in failures),
    ]
    run = world.to_end(*asked)
    ends: Mapping[str, str] = {name: task.error_code for name, task in by_fault(run).items()}
    expected = {f"poll-{name}": code for name, code in lasting.items()}
    assert ends == expected | {f"fail-{name}": code for name, code in failures.items()}
    world.assert_one_post_an_attempt()
    assert len(world.posts()) == len(asked)


def test_a_cancel_is_passed_on_where_there_is_one(world: World) -> None:
    world.far_end.configure(seconds=3600.0, cancel=True)
    set_provider(world.dialect, can_cancel=True)
    run = world.run("in-time", *prompts("cancel", ("too_late", "unsupported", "drop")))
    world.machine.submit()
    lifecycle.cancel_run(run.pk, now=world.machine.now)
    world.machine.turn()
    world.clock.now += 3600
    run = world.machine.run_to_end(run)
    ended = {name: task.status for name, task in by_fault(run).items()}
    assert ended.pop("in-time") == ("canceled" if world.dialect.cancels else "completed")
    assert set(ended.values()) == {"completed"}
    assert len(world.posts()) == 4


# ---- the account ------------------------------------------------------------------------------------------


def test_the_standing_of_the_account_is_asked_with_its_key(world: World) -> None:
    provider_id = world.dialect.provider
    account, adapter = registry.account(provider_id), registry.adapter(provider_id)
    call = adapter.standing(account)
    if call is None:
        pytest.skip("this dialect has no free request that needs the key")
    (answer,) = world.machine.polls.ask([call], timeout=10)
    assert isinstance(answer, HttpAnswer)
    assert isinstance(adapter.read_standing(answer), Standing)
    assert world.posts() == []
