"""The catalogue in Django's admin."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from providers import client_events
from providers.models import ClientEvent, Provider, ProviderModel, Route, VideoModel

PROVIDERS = "/admin/providers/provider/"
MODELS = "/admin/providers/videomodel/"
EVENTS = "/admin/providers/clientevent/"


def read(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def form_of(client: Client, path: str) -> dict[str, Any]:
    """What a browser would send back from that page unchanged."""
    context = client.get(path).context
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    fields = [bound for form in forms for bound in form]
    values = {bound.html_name: bound.value() for bound in fields}
    values |= {
        bound.html_initial_name: bound.value()
        for bound in fields
        if bound.field.show_hidden_initial
    }
    return {
        name: "on" if value is True else value
        for name, value in values.items()
        if value is not None and value is not False
    }


def hold(provider_id: str, *, hours: int, reason: str = "the balance is empty") -> None:
    until = timezone.now() + timedelta(hours=hours)
    Provider.objects.filter(pk=provider_id).update(not_before=until, hold_reason=reason)


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        read(client, path)
    return len(captured)


def test_the_list_tells_which_keys_are_there(admin_client: Client, settings: Any) -> None:
    keyed = {**settings.PROVIDERS["openai"], "key": "sk-secret"}
    settings.PROVIDERS = {"openai": keyed}
    page = read(admin_client, PROVIDERS)
    assert page.count('field-key_configured"><img src="/static/admin/img/icon-yes.svg"') == 2
    assert "sk-secret" not in page
    assert "sk-secret" not in read(admin_client, f"{PROVIDERS}openai/change/")


def test_the_list_shows_a_hold_and_why_until_it_is_over(admin_client: Client) -> None:
    hold("openai", hours=3)
    hold("sora_hk", hours=-3, reason="long ago")
    page = read(admin_client, PROVIDERS)
    assert "left: the balance is empty" in page
    assert "long ago" not in page


def test_a_hold_can_be_released(admin_client: Client) -> None:
    hold("openai", hours=3)
    hold("aihubmix", hours=3)
    body = {"action": "release_the_hold", "_selected_action": ["openai", "sora_hk"]}
    page = admin_client.post(PROVIDERS, body, follow=True).content.decode()
    assert "Holds released: 1." in page
    held = Provider.objects.exclude(not_before=None)
    assert list(held.values_list("pk", flat=True)) == ["aihubmix"]
    assert Provider.objects.get(pk="openai").hold_reason == ""


def test_a_release_closes_the_breakers_of_the_account_and_its_models(
    admin_client: Client,
) -> None:
    Provider.objects.filter(pk="openai").update(trips=2, hold_reason="401")
    ProviderModel.objects.update(trips=1, not_before=timezone.now() + timedelta(hours=1))
    body = {"action": "release_the_hold", "_selected_action": ["openai", "sora_hk"]}
    page = admin_client.post(PROVIDERS, body, follow=True).content.decode()
    assert "Holds released: 2." in page
    assert not Provider.objects.filter(trips__gt=0).exists()
    held = ProviderModel.objects.filter(Q(trips__gt=0) | Q(not_before__isnull=False))
    others = ProviderModel.objects.exclude(provider__in=["openai", "sora_hk"])
    assert set(held.values_list("provider_id", flat=True)) == set(
        others.values_list("provider_id", flat=True)
    )


def test_the_pages_tell_the_state_of_the_breakers(admin_client: Client) -> None:
    hold("openai", hours=3)
    Provider.objects.filter(pk="openai").update(trips=1)
    ProviderModel.objects.filter(provider="openai", name="sora-2").update(trips=1)
    assert "open: nothing is submitted for now" in read(admin_client, PROVIDERS)
    page = read(admin_client, f"{PROVIDERS}openai/change/")
    assert "open: nothing is submitted for now" in page
    assert "half open: one submit at a time is tried" in page


def test_a_provider_can_be_edited_with_its_models(admin_client: Client) -> None:
    path = f"{PROVIDERS}openai/change/"
    form = form_of(admin_client, path)
    form |= {"weight": "33", "supported_durations": ["4", "25"]}
    form |= {"provider_models-0-price_per_second": "0.25"}
    assert admin_client.post(path, form).status_code == 302
    provider = Provider.objects.get(pk="openai")
    assert (provider.weight, provider.supported_durations) == (33, [4, 25])
    assert (
        str(ProviderModel.objects.get(provider="openai", name="sora-2").price_per_second)
        == "0.2500"
    )


def test_a_save_keeps_what_the_engine_wrote_while_the_page_was_open(admin_client: Client) -> None:
    path = f"{PROVIDERS}openai/change/"
    form = form_of(admin_client, path)
    hold("openai", hours=3)
    Provider.objects.filter(pk="openai").update(display_name="Renamed by another")
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(path, {**form, "display_name": "Renamed by another", "weight": "33"})
    updates = [q["sql"] for q in captured if q["sql"].startswith('UPDATE "providers_provider"')]
    assert [update.count("=") for update in updates] == [2]
    provider = Provider.objects.get(pk="openai")
    assert (provider.weight, provider.hold_reason) == (33, "the balance is empty")


def test_a_save_keeps_what_the_engine_wrote_to_a_model_while_it_was_saved(
    admin_client: Client,
) -> None:
    path = f"{PROVIDERS}openai/change/"
    form = form_of(admin_client, path) | {"provider_models-0-price_per_second": "0.25"}
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(path, form)
    (update,) = [q["sql"] for q in captured if 'UPDATE "providers_providermodel"' in q["sql"]]
    assert update.count(" = ") == 3  # the price, who set it, and which row
    assert '"price_per_second" =' in update


def test_limits_and_what_a_lost_answer_leads_to_are_set_there(admin_client: Client) -> None:
    path = f"{PROVIDERS}openai/change/"
    chosen = {"max_per_minute": "60", "max_in_flight": "5", "recovery": "look_up"}
    admin_client.post(path, form_of(admin_client, path) | chosen)
    provider = Provider.objects.get(pk="openai")
    assert (provider.max_per_minute, provider.max_in_flight) == (60, 5)
    assert provider.recovery == "look_up"


@pytest.mark.parametrize(
    ("field", "value"), [("priority", "101"), ("weight", "0"), ("supported_durations", ["5"])]
)
def test_the_admin_refuses_what_the_api_refuses(
    admin_client: Client, field: str, value: Any
) -> None:
    path = f"{PROVIDERS}openai/change/"
    form = {**form_of(admin_client, path), field: value}
    assert admin_client.post(path, form).status_code == 200
    assert Provider.objects.filter(pk="openai", priority=20, weight=10).exists()


def test_providers_are_neither_added_nor_deleted_by_hand(admin_client: Client) -> None:
    assert admin_client.get(f"{PROVIDERS}add/").status_code == 403
    assert admin_client.get(f"{PROVIDERS}openai/delete/").status_code == 403


def test_a_models_routes_can_be_edited(admin_client: Client) -> None:
    path = f"{MODELS}sora2/change/"
    form = form_of(admin_client, path)
    form |= {"routes-0-DELETE": "on", "display_name": "Sora Two"}
    assert admin_client.post(path, form).status_code == 302
    assert Route.objects.filter(model="sora2").count() == 3
    assert VideoModel.objects.get(pk="sora2").display_name == "Sora Two"


def test_a_model_can_be_added(admin_client: Client) -> None:
    path = f"{MODELS}add/"
    form = {**form_of(admin_client, path), "id": "ray", "display_name": "Ray"}
    assert admin_client.post(path, form).status_code == 302
    assert VideoModel.objects.filter(pk="ray", enabled=True).exists()


def test_the_list_of_models_says_who_makes_them(admin_client: Client) -> None:
    page = read(admin_client, MODELS)
    assert "sora_hk: sora2; openai: sora-2; aihubmix: sora-2, web-sora-2" in page


def test_events_can_be_read_filtered_and_searched(admin_client: Client) -> None:
    events = [
        {"event_type": "ui_error", "message": "<b>blank</b> page", "severity": "critical"},
        {"event_type": "api_error", "message": "timed out", "run_id": "run_77"},
    ]
    first, _ = client_events.store(events, now=timezone.now())
    assert "timed out" not in read(admin_client, f"{EVENTS}?event_type=ui_error")
    assert "blank" not in read(admin_client, f"{EVENTS}?q=RUN_77")
    assert "timed out" in read(admin_client, f"{EVENTS}?q=RUN_77")
    page = read(admin_client, f"{EVENTS}{first.pk}/change/")
    assert "&lt;b&gt;blank&lt;/b&gt; page" in page


def test_events_cannot_be_added_or_changed(admin_client: Client) -> None:
    (event,) = client_events.store([{"event_type": "ui_error"}], now=timezone.now())
    assert admin_client.get(f"{EVENTS}add/").status_code == 403
    assert admin_client.post(f"{EVENTS}{event.pk}/change/", {"event_id": "x"}).status_code == 403
    assert ClientEvent.objects.get().event_id == event.event_id


def more_provider_models() -> None:
    for number in range(3):
        made = ProviderModel.objects.create(provider_id="openai", name=f"more-{number}")
        Route.objects.create(model_id="sora2", provider_model=made)


def more_models() -> None:
    for number in range(3):
        made = VideoModel.objects.create(pk=f"more-{number}", display_name="More")
        Route.objects.create(model=made, provider_model=ProviderModel.objects.all()[number])


def more_providers() -> None:
    for number in range(3):
        Provider.objects.create(pk=f"more-{number}", display_name="More")


def more_events() -> None:
    client_events.store([{"event_type": "ui_error"}] * 3, now=timezone.now())


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (PROVIDERS, more_providers),
        (f"{PROVIDERS}openai/change/", more_provider_models),
        (MODELS, more_models),
        (f"{MODELS}sora2/change/", more_provider_models),
        (EVENTS, more_events),
    ],
)
def test_a_page_takes_no_more_queries_for_more_rows(
    admin_client: Client, path: str, more: Callable[[], None]
) -> None:
    more_events()
    read(admin_client, path)  # the first page of a process asks for content types as well
    before = queries(admin_client, path)
    more()
    assert queries(admin_client, path) == before
