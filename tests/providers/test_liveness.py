"""Which models are live: the same answer from the rows as from the database, and words that say what to do."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import liveness
from providers.models import Provider, ProviderModel, Route, VideoModel
from runs.sweep import Pulse
from runs.tasks import housekeeping

TODAY = date(2026, 11, 22)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_keys(settings: Any) -> None:
    settings.PROVIDERS = {
        provider_id: {**known, "key": ""} for provider_id, known in settings.PROVIDERS.items()
    }


@pytest.fixture
def keys(settings: Any) -> Any:
    """Gives providers keys, and base URLs when asked: `keys(openai="http://127.0.0.1:1/v1", sora_hk="")`."""

    def give(**base_urls: str) -> None:
        known = dict(settings.PROVIDERS)
        for provider_id, base_url in base_urls.items():
            account = {**known[provider_id], "key": "sk-canary"}
            known[provider_id] = account | ({"base_url": base_url} if base_url else {})
        settings.PROVIDERS = known

    return give


def sora(name: str = "sora-2") -> ProviderModel:
    return ProviderModel.objects.select_related("provider").get(provider="openai", name=name)


def ends(days: int) -> ProviderModel:
    model = sora()
    model.retired_at = TODAY + timedelta(days=days)
    model.save()
    return model


def test_without_a_key_the_variable_is_named() -> None:
    aihubmix = ProviderModel.objects.get(provider="aihubmix", name="sora-2")
    assert liveness.why_not_live(aihubmix, TODAY) == "set AIHUBMIX_API_KEY"


def test_a_retired_model_is_brought_back_by_another_base_url(keys: Any) -> None:
    keys(openai="")
    assert liveness.why_not_live(sora(), TODAY) == (
        "set OPENAI_BASE_URL to another server that makes it (its vendor ended it on 2026-09-24)"
    )
    assert liveness.why_not_live(sora(), date(2026, 9, 23)) == ""
    keys(openai="https://relay.example/v1")
    assert liveness.why_not_live(sora(), TODAY) == ""


def test_all_reasons_are_told_at_once() -> None:
    Provider.objects.filter(pk="openai").update(enabled=False)
    assert liveness.why_not_live(sora(), TODAY) == (
        "switch the provider on, and set OPENAI_API_KEY, and set OPENAI_BASE_URL to another server that makes it "
        "(its vendor ended it on 2026-09-24)"
    )


def test_a_model_is_live_when_one_of_its_provider_models_is(keys: Any) -> None:
    model = VideoModel.objects.get(pk="sora2")
    assert liveness.why_model_not_live(model, TODAY).startswith(
        "Nobody can make it now. sora_hk: set SORA_API_KEY; openai: set OPENAI_API_KEY, and "
    )
    keys(aihubmix="")
    assert liveness.why_model_not_live(model, TODAY) == ""


def test_a_model_without_a_provider_or_switched_off_is_not_live() -> None:
    preview = VideoModel.objects.get(pk="preview")
    assert liveness.why_model_not_live(preview, TODAY) == ""
    preview.enabled = False
    assert liveness.why_model_not_live(preview, TODAY) == "The model is switched off."
    Route.objects.filter(model="sora2").delete()
    sora2 = VideoModel.objects.get(pk="sora2")
    assert liveness.why_model_not_live(sora2, TODAY) == "No provider is mapped to this model."


@pytest.mark.parametrize(
    ("keyed", "disabled"),
    [
        ({}, ""),
        ({"openai": ""}, ""),
        ({"openai": "http://127.0.0.1:9/v1"}, ""),
        ({"openai": "http://127.0.0.1:9/v1"}, "openai"),
        ({"aihubmix": "", "openai": "", "openrouter": ""}, "preview"),
    ],
)
def test_the_database_finds_the_same_models_live_as_the_words_do(
    keyed: dict[str, str], disabled: str, keys: Any
) -> None:
    keys(**keyed)
    Provider.objects.filter(pk=disabled).update(enabled=False)
    VideoModel.objects.filter(pk="sora2pro").update(enabled=False)
    rows = ProviderModel.objects.select_related("provider")
    words = {row.pk for row in rows if not liveness.why_not_live(row, TODAY)}
    assert set(liveness.live_provider_models(TODAY).values_list("pk", flat=True)) == words
    models = VideoModel.objects.all()
    told = {each.pk for each in models if not liveness.why_model_not_live(each, TODAY)}
    found = liveness.with_live(models, True, TODAY).values_list("pk", flat=True)
    others = liveness.with_live(models, False, TODAY).values_list("pk", flat=True)
    assert set(found) == told
    assert set(others) == {each.pk for each in models} - told


@pytest.mark.parametrize(("days", "warned"), [(61, 0), (60, 1), (1, 1), (0, 0), (-1, 0)])
def test_an_end_is_told_from_sixty_days_before_it(days: int, warned: int, keys: Any) -> None:
    keys(openai="")
    model = ends(days)
    assert len(liveness.sunsets([model], TODAY)) == warned
    assert ProviderModel.objects.filter(liveness.ending_soon(TODAY)).count() == warned
    assert liveness.days_left(model, TODAY) == days


def test_the_warning_says_what_the_end_means_here(keys: Any, settings: Any) -> None:
    keys(openai="")
    assert liveness.sunset(ends(1), TODAY) == (
        "openai sora-2 is ended by its vendor on 2026-11-23, in 1 day: from then on nothing is sent to it."
    )
    keys(openai="https://relay.example/v1")
    assert liveness.sunset(ends(8), TODAY) == (
        "openai sora-2 is ended by its vendor on 2026-11-30, in 8 days; "
        "the server behind OPENAI_BASE_URL may end it too."
    )
    settings.SUNSET_WARNING_DAYS = 7
    assert liveness.sunset(ends(8), TODAY) == ""
    settings.SUNSET_WARNING_DAYS = 10**12
    assert liveness.sunset(ends(8), TODAY) != ""
    assert ProviderModel.objects.filter(liveness.ending_soon(TODAY)).count() == 1


def test_a_run_is_warned_of_the_models_that_it_may_go_to(keys: Any) -> None:
    ends(10)
    assert liveness.sunsets_of_run("sora2", "", TODAY) == []
    keys(openai="", aihubmix="")
    (warning,) = liveness.sunsets_of_run("sora2", "", TODAY)
    assert warning.startswith("openai sora-2 is ended by its vendor on 2026-12-02, in 10 days")
    assert liveness.sunsets_of_run("sora2", "openai", TODAY) == [warning]
    assert liveness.sunsets_of_run("sora2", "aihubmix", TODAY) == []
    assert liveness.sunsets_of_run("sora2pro", "", TODAY) == []


# ---- the log -----------------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "ends soon" in record.getMessage()]


def test_the_log_tells_an_end_once_a_day(keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    keys(openai="")
    ends(10)
    for _ in range(3):
        liveness.log_sunsets(TODAY)
    assert told(caplog) == [
        "ends soon: openai sora-2 is ended by its vendor on 2026-12-02, in 10 days: "
        "from then on nothing is sent to it."
    ]
    liveness.log_sunsets(TODAY + timedelta(days=1))
    assert len(told(caplog)) == 2
    for day in (10, 11):
        liveness.log_sunsets(TODAY + timedelta(days=day))
    assert len(told(caplog)) == 2


def test_the_log_tells_no_end_of_what_nobody_uses(
    keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ends(10)
    liveness.log_sunsets(TODAY)
    keys(openai="")
    Route.objects.filter(provider_model__provider="openai").delete()
    liveness.log_sunsets(TODAY)
    assert told(caplog) == []


def test_housekeeping_and_a_sweep_without_it_tell_the_same_end_once(
    keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keys(openai="")
    now = timezone.now()
    ProviderModel.objects.filter(pk=sora().pk).update(retired_at=now.date() + timedelta(days=5))
    pulse = Pulse()
    pulse.turn(now)
    housekeeping()
    pulse.turn(now)
    assert len(told(caplog)) == 1
