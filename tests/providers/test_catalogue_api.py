"""Models, providers and their administration, over HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from providers.models import Provider, ProviderModel, Route, VideoModel

LISTS = ["models", "providers", "admin/models", "admin/providers"]
SORA_2_MAP = {
    "sora_hk": ["sora2"],
    "openai": ["sora-2"],
    "aihubmix": ["sora-2", "web-sora-2"],
}

HEALTHY = {"held_until": None, "hold_reason": None, "breaker": "closed"}


def get(api: APIClient, path: str, **query: Any) -> Any:
    response = api.get(f"/api/v1/{path}", query)
    assert response.status_code == 200, response.content
    return response.json()


def patch(api: APIClient, path: str, body: Any) -> Any:
    return api.patch(f"/api/v1/admin/{path}", body)


def locs(response: Any) -> list[list[str | int]]:
    assert response.status_code == 400, response.content
    assert response.json()["code"] == "validation_error"
    return [error["loc"] for error in response.json()["details"]["errors"]]


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


def contracts(page: Any) -> list[str]:
    """The four providers of the contract, in the order of the page."""
    known = {"sora_hk", "openai", "aihubmix", "preview"}
    return [pk for pk in ids(page) if pk in known]


def is_missing(response: Any) -> bool:
    return (response.status_code, response.json()["code"]) == (404, "not_found")


# ---- reading -----------------------------------------------------------------------------------


def test_a_list_comes_in_the_envelope(api: APIClient) -> None:
    page = get(api, "models", page_size=2)
    assert {**page, "items": len(page["items"])} == {
        "items": 2,
        "page": 1,
        "page_size": 2,
        "total": VideoModel.objects.count(),
    }


def test_a_model_has_the_contracts_fields(api: APIClient) -> None:
    model = get(api, "models/sora2")
    contract = {name: model[name] for name in ("id", "display_name", "enabled")}
    assert contract == {"id": "sora2", "display_name": "Sora2", "enabled": True}
    assert isinstance(model["description"], str)
    assert get(api, "models")["items"][0] == model


def test_a_provider_has_the_contracts_fields(api: APIClient) -> None:
    provider = get(api, "providers/sora_hk")
    assert provider == {
        "id": "sora_hk",
        "display_name": "Sora.hk",
        "enabled": True,
        "priority": 10,
        "weight": 10,
        "supports_image_to_video": True,
        "supported_durations": [10, 15, 25],
        "supported_resolutions": ["horizontal", "vertical"],
        "supports_pro": True,
        "configured": False,
        **HEALTHY,
        "provider_models": [{"name": "sora2", **HEALTHY}, {"name": "sora2-pro", **HEALTHY}],
        "warnings": [],
    }
    assert get(api, "providers")["items"][0] == provider
    assert get(api, "admin/providers")["items"][0] == provider
    assert get(api, "admin/providers/sora_hk") == provider


def test_capabilities_are_the_last_four_fields(api: APIClient) -> None:
    assert get(api, "providers/openai/capabilities") == {
        "supports_image_to_video": True,
        "supported_durations": [4, 8, 12],
        "supported_resolutions": ["horizontal", "vertical"],
        "supports_pro": True,
    }


def test_an_admin_model_also_has_its_map(api: APIClient) -> None:
    model = get(api, "admin/models/sora2")
    assert model == {**get(api, "models/sora2"), "provider_map": SORA_2_MAP}
    assert get(api, "admin/models")["items"][0] == model


def test_a_key_is_told_of_but_never_shown(api: APIClient, settings: Any) -> None:
    keyed = {**settings.PROVIDERS["openai"], "key": "sk-secret"}
    settings.PROVIDERS = {**settings.PROVIDERS, "openai": keyed}
    response = api.get("/api/v1/providers/openai")
    assert response.json()["configured"] is True
    assert b"sk-secret" not in response.content
    settings.PROVIDERS = {**settings.PROVIDERS, "openai": {**keyed, "key": ""}}
    assert get(api, "providers/openai")["configured"] is False
    assert get(api, "providers/preview")["configured"] is True


@pytest.mark.parametrize(
    "path",
    [
        "models/sora3",
        "models/%00",
        "models/sora2%20",
        "models/" + "x" * 300,
        "providers/nobody",
        "providers/%00",
        "providers/nobody/capabilities",
        "admin/models/sora3",
        "admin/providers/nobody",
    ],
)
def test_what_is_not_there_is_not_found(api: APIClient, path: str) -> None:
    assert is_missing(api.get(f"/api/v1/{path}"))


# ---- lists -------------------------------------------------------------------------------------


def test_unsorted_lists_go_by_priority_and_then_by_id(api: APIClient) -> None:
    assert ids(get(api, "models"))[:3] == ["sora2", "sora2pro", "preview"]
    Provider.objects.update(priority=7)
    assert contracts(get(api, "providers")) == ["aihubmix", "openai", "preview", "sora_hk"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"sort": "id"}, ["sora_hk", "preview", "openai", "aihubmix"]),
        ({"sort": "display_name", "order": "asc"}, ["aihubmix", "openai", "preview", "sora_hk"]),
        ({"sort": "priority", "order": "desc"}, ["preview", "aihubmix", "openai", "sora_hk"]),
    ],
)
def test_lists_can_be_sorted(api: APIClient, query: Any, expected: list[str]) -> None:
    assert contracts(get(api, "providers", **query)) == expected


@pytest.mark.parametrize("path", LISTS)
def test_lists_can_be_filtered(api: APIClient, path: str) -> None:
    Provider.objects.exclude(pk="openai").update(enabled=False)
    VideoModel.objects.exclude(pk="sora2").update(enabled=False)
    assert get(api, path, enabled="true")["total"] == 1
    total = get(api, path)["total"]
    assert get(api, path, enabled="false")["total"] == total - 1 > 1


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enabled", "1"),
        ("enabled", "True"),
        ("enabled", ""),
        ("sort", "weight"),
        ("sort", ""),
        ("order", "up"),
        ("page", "0"),
        ("page", "x"),
        ("page_size", "201"),
    ],
)
def test_a_bad_parameter_is_named(api: APIClient, path: str, name: str, value: str) -> None:
    assert locs(api.get(f"/api/v1/{path}", {name: value})) == [[name]]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_as_many_queries_for_three_rows_as_for_one(api: APIClient, path: str) -> None:
    counts = []
    for size in (1, 3):
        with CaptureQueriesContext(connection) as queries:
            assert len(get(api, path, page_size=size)["items"]) == size
        counts.append(len(queries))
    assert counts[0] == counts[1]


# ---- changing a provider -----------------------------------------------------------------------

EVERYTHING = {
    "display_name": "Open AI relay",
    "enabled": False,
    "priority": 1,
    "weight": 100,
    "supports_image_to_video": False,
    "supported_durations": [25, 4],
    "supported_resolutions": ["vertical"],
    "supports_pro": False,
}


def test_every_field_of_a_provider_can_be_changed(api: APIClient) -> None:
    response = patch(api, "providers/openai", EVERYTHING)
    assert response.status_code == 200
    assert response.json() == {
        "id": "openai",
        "configured": False,
        **EVERYTHING,
        **HEALTHY,
        "provider_models": [{"name": "sora-2", **HEALTHY}, {"name": "sora-2-pro", **HEALTHY}],
        "warnings": [],
    }
    assert get(api, "providers/openai") == response.json()


@pytest.mark.parametrize("field", EVERYTHING)
def test_a_field_that_is_not_sent_stays(api: APIClient, field: str) -> None:
    before = get(api, "providers/openai")
    changed = patch(api, "providers/openai", {field: EVERYTHING[field]}).json()
    assert changed == {**before, field: EVERYTHING[field]}


def test_an_empty_change_answers_the_provider_as_it_is(api: APIClient) -> None:
    before = get(api, "providers/openai")
    for response in (
        patch(api, "providers/openai", {}),
        api.patch("/api/v1/admin/providers/openai"),
    ):
        assert (response.status_code, response.json()) == (200, before)


def test_only_the_columns_that_were_sent_are_written(api: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        patch(api, "providers/openai", {"weight": 5})
    (update,) = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert update.count("=") == 2
    assert '"weight" = 5' in update


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, None) for field in EVERYTHING),
        ("display_name", ""),
        ("display_name", " \t"),
        ("display_name", "a\nb"),
        ("display_name", "x" * 256),
        ("display_name", 5),
        ("enabled", "true"),
        ("enabled", 1),
        ("priority", 0),
        ("priority", 101),
        ("priority", "5"),
        ("priority", 5.0),
        ("priority", True),
        ("weight", 0),
        ("weight", 101),
        ("supported_durations", []),
        ("supported_durations", [4, 4]),
        ("supported_durations", 4),
        ("supported_resolutions", []),
        ("supported_resolutions", ["vertical", "vertical"]),
        ("id", "other"),
        ("configured", True),
        ("not_before", None),
        ("breaker", "closed"),
        ("provider_models", []),
        ("warnings", []),
        ("colour", "red"),
    ],
)
def test_a_bad_field_of_a_provider_is_refused(api: APIClient, field: str, value: Any) -> None:
    before = get(api, "providers/openai")
    body = {"supports_pro": False, field: value}
    assert locs(patch(api, "providers/openai", body)) == [[field]]
    assert get(api, "providers/openai") == before


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("supported_durations", [4, 5]),
        ("supported_durations", [4, "8"]),
        ("supported_durations", [4, True]),
        ("supported_durations", [4, None]),
        ("supported_resolutions", ["vertical", "square"]),
    ],
)
def test_an_unknown_capability_is_pointed_at(api: APIClient, field: str, values: Any) -> None:
    assert locs(patch(api, "providers/openai", {field: values})) == [[field, 1]]


@pytest.mark.parametrize("body", [[], "x", 5])
def test_a_body_that_is_no_object_is_refused(api: APIClient, body: Any) -> None:
    for path in ("providers/openai", "models/sora2", "models/sora2/providers/openai"):
        assert locs(patch(api, path, body)) == [[]]


def test_all_problems_of_a_change_come_at_once(api: APIClient) -> None:
    response = patch(api, "providers/openai", {"weight": 0, "priority": None, "x": 1})
    assert locs(response) == [["priority"], ["weight"], ["x"]]


def test_an_unknown_provider_cannot_be_changed(api: APIClient) -> None:
    assert is_missing(patch(api, "providers/nobody", {"weight": 5}))
    assert locs(patch(api, "providers/nobody", {"weight": 0})) == [["weight"]]


def test_only_json_is_taken(api: APIClient) -> None:
    response = api.patch("/api/v1/admin/providers/openai", {"weight": 5}, format="multipart")
    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"


def test_a_change_leaves_the_hold_of_the_account_alone(api: APIClient) -> None:
    until = timezone.now()
    Provider.objects.filter(pk="openai").update(not_before=until, hold_reason="429")
    patch(api, "providers/openai", EVERYTHING)
    provider = Provider.objects.get(pk="openai")
    assert (provider.not_before, provider.hold_reason) == (until, "429")


@pytest.mark.parametrize(
    ("trips", "minutes", "expected"),
    [
        (0, 5, (True, "no money", "closed")),
        (2, 5, (True, "no money", "open")),
        (2, -5, (False, "no money", "half_open")),
        (0, -5, (False, None, "closed")),
    ],
)
def test_a_provider_tells_its_hold_and_breaker(
    api: APIClient, trips: int, minutes: int, expected: tuple[bool, str | None, str]
) -> None:
    until = timezone.now() + timedelta(minutes=minutes)
    Provider.objects.filter(pk="openai").update(
        trips=trips, not_before=until, hold_reason="no money"
    )
    for path in ("providers/openai", "admin/providers/openai"):
        found = get(api, path)
        assert held(found) == shown(until, *expected)
        assert [held(model) for model in found["provider_models"]] == [HEALTHY, HEALTHY]


def held(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in HEALTHY}


def shown(until: datetime, is_held: bool, reason: str | None, breaker: str) -> dict[str, Any]:
    moment = f"{until:%Y-%m-%dT%H:%M:%S.%fZ}" if is_held else None
    return {"held_until": moment, "hold_reason": reason, "breaker": breaker}


def test_each_model_of_a_provider_tells_its_own(api: APIClient) -> None:
    until = timezone.now() + timedelta(minutes=5)
    model = ProviderModel.objects.filter(provider="openai", name="sora-2-pro")
    model.update(trips=1, not_before=until, hold_reason="no such model")
    for path in ("providers", "admin/providers"):
        found = next(row for row in get(api, path)["items"] if row["id"] == "openai")
        assert held(found) == HEALTHY
        assert found["provider_models"] == [
            {"name": "sora-2", **HEALTHY},
            {"name": "sora-2-pro", **shown(until, True, "no such model", "open")},
        ]


# ---- changing a model --------------------------------------------------------------------------


def test_a_models_texts_and_switch_can_be_changed(api: APIClient) -> None:
    body = {"display_name": "Sora Two", "description": "New.", "enabled": False}
    response = patch(api, "models/sora2", body)
    assert response.status_code == 200
    changed = response.json()
    assert {name: changed[name] for name in body} == body
    assert (changed["id"], changed["provider_map"]) == ("sora2", SORA_2_MAP)
    assert changed == get(api, "admin/models/sora2")
    assert get(api, "admin/models/sora2") == response.json()


def test_null_clears_a_description_and_silence_keeps_it(api: APIClient) -> None:
    before = get(api, "models/sora2")["description"]
    assert patch(api, "models/sora2", {"enabled": False}).json()["description"] == before
    assert patch(api, "models/sora2", {"description": None}).json()["description"] is None


def test_an_empty_change_answers_the_model_as_it_is(api: APIClient) -> None:
    before = get(api, "admin/models/sora2")
    response = patch(api, "models/sora2", {})
    assert (response.status_code, response.json()) == (200, before)


def test_a_map_is_replaced_whole(api: APIClient) -> None:
    sent = {"openai": ["sora-2-pro", "sora-2"], "sora_hk": []}
    response = patch(api, "models/sora2", {"provider_map": sent})
    assert response.json()["provider_map"] == {"openai": ["sora-2-pro", "sora-2"]}
    assert get(api, "admin/models/sora2") == response.json()
    assert patch(api, "models/sora2", {"provider_map": {}}).json()["provider_map"] == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"display_name": None}, ["display_name"]),
        ({"display_name": "  "}, ["display_name"]),
        ({"enabled": None}, ["enabled"]),
        ({"enabled": "yes"}, ["enabled"]),
        ({"description": 5}, ["description"]),
        ({"description": "x" * 4_001}, ["description"]),
        ({"id": "other"}, ["id"]),
        ({"priority": 5}, ["priority"]),
        ({"provider_map": None}, ["provider_map"]),
        ({"provider_map": []}, ["provider_map"]),
        ({"provider_map": {"openai": None}}, ["provider_map", "openai"]),
        ({"provider_map": {"openai": "sora-2"}}, ["provider_map", "openai"]),
        ({"provider_map": {"openai": [5]}}, ["provider_map", "openai", 0]),
        ({"provider_map": {"openai": ["a"] * 51}}, ["provider_map", "openai"]),
        ({"provider_map": {"nobody": ["a"]}}, ["provider_map", "nobody"]),
        ({"provider_map": {"nobody": []}}, ["provider_map", "nobody"]),
        ({"provider_map": {"openai": ["a", " "]}}, ["provider_map", "openai", 1]),
        ({"provider_map": {"openai": ["a", "a"]}}, ["provider_map", "openai", 1]),
    ],
)
def test_a_bad_change_of_a_model_is_refused(api: APIClient, body: Any, expected: Any) -> None:
    before = get(api, "admin/models/sora2")
    assert locs(patch(api, "models/sora2", {"enabled": False, **body})) == [expected]
    assert get(api, "admin/models/sora2") == before


def test_an_unknown_model_cannot_be_changed(api: APIClient) -> None:
    assert is_missing(patch(api, "models/sora3", {"provider_map": {"nobody": ["a"]}}))


# ---- changing one provider's entry of the map --------------------------------------------------


def change(api: APIClient, names: Any, *, model: str = "sora2", provider: str = "aihubmix") -> Any:
    return patch(api, f"models/{model}/providers/{provider}", {"provider_model_ids": names})


def test_one_entry_is_replaced_in_the_order_sent(api: APIClient) -> None:
    response = change(api, ["web-sora-2", "sora-2"])
    assert response.status_code == 200
    assert response.json()["provider_map"] == {**SORA_2_MAP, "aihubmix": ["web-sora-2", "sora-2"]}
    assert get(api, "admin/models/sora2") == response.json()


def test_no_names_remove_the_entry(api: APIClient) -> None:
    expected = {key: names for key, names in SORA_2_MAP.items() if key != "aihubmix"}
    for _ in range(2):
        assert change(api, []).json()["provider_map"] == expected


def test_the_same_name_may_stand_in_the_map_of_two_models(api: APIClient) -> None:
    change(api, ["sora-2-pro"])
    assert get(api, "admin/models/sora2pro")["provider_map"]["aihubmix"][0] == "sora-2-pro"
    assert ProviderModel.objects.filter(provider="aihubmix", name="sora-2-pro").count() == 1


def test_what_is_known_of_a_provider_model_survives_its_removal(api: APIClient) -> None:
    before = ProviderModel.objects.values().get(provider="openai", name="sora-2")
    change(api, [], provider="openai")
    change(api, ["sora-2"], provider="openai")
    assert ProviderModel.objects.values().get(provider="openai", name="sora-2") == before


@pytest.mark.parametrize(
    ("provider", "pro"),
    [
        ("openai", "never"),
        ("aihubmix", "never"),
        ("sora_hk", "on_request"),
        ("preview", "on_request"),
    ],
)
def test_a_new_name_takes_the_providers_usual_relation_to_pro(
    api: APIClient, provider: str, pro: str
) -> None:
    assert change(api, ["Neu/模型:1"], provider=provider).status_code == 200
    assert ProviderModel.objects.get(provider=provider, name="Neu/模型:1").pro == pro


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["provider_model_ids"]),
        ({"provider_model_ids": None}, ["provider_model_ids"]),
        ({"provider_model_ids": "sora-2"}, ["provider_model_ids"]),
        ({"provider_model_ids": [None]}, ["provider_model_ids", 0]),
        ({"provider_model_ids": ["ok", ""]}, ["provider_model_ids", 1]),
        ({"provider_model_ids": ["ok", " \u3000"]}, ["provider_model_ids", 1]),
        ({"provider_model_ids": ["ok", "ok"]}, ["provider_model_ids", 1]),
        ({"provider_model_ids": ["a\tb"]}, ["provider_model_ids", 0]),
        ({"provider_model_ids": ["x" * 256]}, ["provider_model_ids", 0]),
        ({"provider_model_ids": [str(number) for number in range(51)]}, ["provider_model_ids"]),
        ({"provider_model_ids": [], "more": 1}, ["more"]),
    ],
)
def test_a_bad_entry_is_refused(api: APIClient, body: Any, expected: Any) -> None:
    routes, before = set(Route.objects.values_list()), ProviderModel.objects.count()
    assert locs(patch(api, "models/sora2/providers/aihubmix", body)) == [expected]
    assert set(Route.objects.values_list()) == routes
    assert ProviderModel.objects.count() == before


def test_the_checks_come_in_the_order_of_the_contract(api: APIClient) -> None:
    unknown = {"model": "sora3", "provider": "nobody"}
    assert locs(change(api, None, **unknown)) == [["provider_model_ids"]]
    assert "'nobody'" in change(api, [""], **unknown).json()["message"]
    assert locs(change(api, [""], model="sora3")) == [["provider_model_ids", 0]]
    assert "'sora3'" in change(api, ["new"], model="sora3").json()["message"]
    assert not ProviderModel.objects.filter(name="new").exists()
