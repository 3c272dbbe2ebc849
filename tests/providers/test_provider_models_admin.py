"""Providers' models in Django's admin: what is live, what ends, and that a person's word is kept."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from providers import origins
from providers.models import Provider, ProviderModel, Route, VideoModel
from tests.providers.test_catalogue_admin import form_of, queries, read

LIST = "/admin/providers/providermodel/"
PROVIDERS = "/admin/providers/provider/"
MODELS = "/admin/providers/videomodel/"
TODAY = timezone.now().date()


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    known = {name: {**each, "key": ""} for name, each in settings.PROVIDERS.items()}
    known["openai"] |= {"key": "sk-canary-77", "base_url": "https://api.openai.com/v1"}
    settings.PROVIDERS = known


def sora() -> ProviderModel:
    return ProviderModel.objects.get(provider="openai", name="sora-2")


def page_of(model: ProviderModel) -> str:
    return f"{LIST}{model.pk}/change/"


def ends_in(days: int) -> date:
    day: date = TODAY + timedelta(days=days)
    ProviderModel.objects.filter(provider="openai", name="sora-2").update(retired_at=day)
    return day


def names(page: str) -> set[str]:
    """Of the models that the list shows."""
    known = ProviderModel.objects.values_list("provider_id", "name")
    return {f"{provider} {name}" for provider, name in known if f">{name}</a>" in page}


# ---- reading -----------------------------------------------------------------------------------


def test_the_list_shows_what_is_live_and_what_to_do(admin_client: Client) -> None:
    page = read(admin_client, LIST)
    assert "set OPENAI_BASE_URL to another server that makes it" in page
    assert "2026-09-24, over" in page
    assert page.count('field-live"><img src="/static/admin/img/icon-yes.svg"') == 1
    assert "sk-canary-77" not in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("live=yes", {"preview preview", "openai sora-2"}),
        ("end=soon", {"openai sora-2"}),
        ("end=over", {"openai sora-2-pro"}),
        ("live=no&provider__id__exact=openai", {"openai sora-2-pro"}),
        ("provider__id__exact=preview", {"preview preview"}),
    ],
)
def test_the_list_can_be_narrowed(query: str, shown: set[str], admin_client: Client) -> None:
    ends_in(20)
    ProviderModel.objects.exclude(provider__in=["openai", "preview"]).delete()
    assert names(read(admin_client, f"{LIST}?{query}")) == shown


def test_models_without_an_end_can_be_found(admin_client: Client) -> None:
    page = read(admin_client, f"{LIST}?end=none&provider__id__exact=preview")
    assert names(page) == {"preview preview"}


# ---- the banner --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [LIST, PROVIDERS, f"{PROVIDERS}openai/change/", MODELS])
def test_an_end_that_is_near_stands_above_the_page(path: str, admin_client: Client) -> None:
    assert "is ended by its vendor" not in read(admin_client, path)
    day = ends_in(20)
    banner = (
        f'<li class="warning">Ends soon: openai sora-2 is ended by its vendor on {day}, in 20 days'
    )
    assert read(admin_client, path).count(banner) == 1
    assert banner in read(admin_client, page_of(sora()))


def test_no_banner_is_shown_for_what_nobody_uses(admin_client: Client) -> None:
    ends_in(20)
    Route.objects.filter(provider_model__provider="openai").delete()
    assert "is ended by its vendor" not in read(admin_client, LIST)


def test_a_save_does_not_say_it_twice(admin_client: Client) -> None:
    ends_in(20)
    path = page_of(sora())
    form = form_of(admin_client, path) | {"price_per_second": "0.5"}
    page = admin_client.post(path, form, follow=True).content.decode()
    assert page.count("openai sora-2 is ended by its vendor") == 1


# ---- writing -----------------------------------------------------------------------------------


def test_every_ability_can_be_edited(admin_client: Client) -> None:
    path = page_of(sora())
    form = form_of(admin_client, path) | {
        "durations": '{"min": 4, "max": 15}',
        "resolutions": '["vertical"]',
        "image_inputs": '["url"]',
        "max_prompt_length": "500",
        "max_image_bytes": "1000",
        "max_in_flight": "3",
        "max_per_minute": "30",
        "price_per_second": "0.25",
        "price_as_of": "2026-11-01",
        "retired_at": "",
        "options": '{"resolution": "720p"}',
        "poll_interval_seconds": "7.5",
    }
    assert admin_client.post(path, form).status_code == 302
    model = sora()
    assert (model.durations, model.resolutions) == ({"min": 4, "max": 15}, ["vertical"])
    assert (model.image_inputs, model.options) == (["url"], {"resolution": "720p"})
    assert (model.max_in_flight, model.max_per_minute, model.retired_at) == (3, 30, None)
    assert (model.price_per_second, model.price_as_of) == (Decimal("0.25"), date(2026, 11, 1))
    assert (model.max_prompt_length, model.max_image_bytes) == (500, 1000)
    assert model.poll_interval_seconds == 7.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("durations", "[0]"),
        ("durations", '{"min": 9, "max": 4}'),
        ("durations", "4"),
        ("resolutions", '["square"]'),
        ("image_inputs", '["fax"]'),
        ("options", "no json"),
        ("price_per_second", "-"),
        ("retired_at", "soon"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: str, admin_client: Client) -> None:
    before = ProviderModel.objects.values().get(pk=sora().pk)
    path = page_of(sora())
    response = admin_client.post(path, form_of(admin_client, path) | {field: value})
    assert response.status_code == 200
    assert response.context["adminform"].form.errors.keys() == {field}
    assert ProviderModel.objects.values().get(pk=sora().pk) == before


def test_only_what_was_changed_is_written_and_kept_in_mind_as_a_persons(
    admin_client: Client,
) -> None:
    path = page_of(sora())
    form = form_of(admin_client, path) | {"durations": "[4, 8]"}
    ProviderModel.objects.filter(pk=sora().pk).update(trips=2, hold_reason="gone")
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(path, form)
    (update,) = [q["sql"] for q in captured if 'UPDATE "providers_providermodel"' in q["sql"]]
    assert update.count(" = ") == 3  # two columns, one condition
    model = sora()
    assert (model.trips, model.durations) == (2, [4, 8])
    assert origins.in_words(model) == "by hand: durations"
    assert "by hand: durations" in read(admin_client, path)


def test_a_page_that_is_saved_as_it_was_leaves_no_trace(admin_client: Client) -> None:
    path = page_of(sora())
    admin_client.post(path, form_of(admin_client, path))
    assert sora().origins == {}


def test_a_price_that_is_set_on_the_providers_page_is_a_persons_too(admin_client: Client) -> None:
    path = f"{PROVIDERS}openai/change/"
    form = form_of(admin_client, path) | {"provider_models-0-price_per_second": "0.25"}
    assert admin_client.post(path, form).status_code == 302
    assert origins.in_words(sora()) == "by hand: price_per_second"
    other = ProviderModel.objects.get(provider="openai", name="sora-2-pro")
    assert other.origins == {}


def test_a_new_model_is_a_persons_in_what_it_says(admin_client: Client) -> None:
    path = f"{LIST}add/"
    form = form_of(admin_client, path)
    form |= {"provider": "openai", "name": "sora-3", "pro": "always", "price_per_second": "0.5"}
    assert admin_client.post(path, form).status_code == 302
    model = ProviderModel.objects.get(name="sora-3")
    assert origins.is_by_hand(model, "price_per_second")
    assert not origins.is_by_hand(model, "durations")


def test_it_can_be_mapped_on_its_own_page(admin_client: Client) -> None:
    path = page_of(sora())
    form = form_of(admin_client, path)
    form |= {"routes-TOTAL_FORMS": "2", "routes-1-model": "sora2pro", "routes-1-position": "5"}
    assert admin_client.post(path, form).status_code == 302
    assert Route.objects.get(model="sora2pro", provider_model=sora()).position == 5


def test_a_model_keeps_its_provider_and_its_name(admin_client: Client) -> None:
    path = page_of(sora())
    admin_client.post(path, form_of(admin_client, path) | {"name": "else", "provider": "preview"})
    assert sora().provider_id == "openai"


def test_a_balance_is_shown_with_its_day(admin_client: Client) -> None:
    Provider.objects.filter(pk="openai").update(
        balance="12.5", balance_currency="USD", balance_at="2026-11-22T10:00Z"
    )
    assert "12.50 USD on 2026-11-22 10:00 UTC" in read(admin_client, PROVIDERS)


# ---- queries -----------------------------------------------------------------------------------


def more() -> None:
    ends_in(20)
    for number in range(5):
        made = ProviderModel.objects.create(provider_id="openai", name=f"more-{number}")
        Route.objects.create(model_id="sora2", provider_model=made)
        VideoModel.objects.create(pk=f"more-{number}", display_name="More")


@pytest.mark.parametrize("path", [lambda: LIST, lambda: page_of(sora()), lambda: MODELS])
def test_a_page_takes_no_more_queries_for_more_models(
    path: Callable[[], str], admin_client: Client
) -> None:
    ends_in(20)
    before = queries(admin_client, path())
    more()
    assert queries(admin_client, path()) == before
