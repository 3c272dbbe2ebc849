"""`manage.py catalogue`: importing a list shows what changes, then writes all of it or nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cineflow.core.errors import Conflict
from providers import importing, list_sources, model_lists, origins, outside
from providers.http import Transport
from providers.importing import Order
from providers.models import Provider, ProviderModel, Route
from tests.processes import ROOT, environment
from tests.providers.far_end import answer, far_end, hang_up
from tests.providers.test_outside import HERE
from tests.seeds import seed

RECORDED = Path(__file__).parent.parent / "wire/model_lists/openrouter.json"
KEY = "sk-or-canary-77a1b2c3d4"
TODAY = timezone.now().date()

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty() -> None:
    """What the version brings for OpenRouter is another test's matter."""
    Provider.objects.get_or_create(pk="openrouter", defaults={"display_name": "OpenRouter"})
    Provider.objects.filter(pk="openrouter").update(
        supported_durations=[4, 8], supported_resolutions=["horizontal", "vertical"]
    )
    ProviderModel.objects.filter(provider="openrouter").delete()


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Writes the recorded list, or the models named, with changes by name: `file(**{"a/b": {...}})`."""

    def write(*only: str, **changes: Any) -> str:
        entries = json.loads(RECORDED.read_bytes())["data"]
        chosen = [each for each in entries if not only or each["id"] in only]
        data = [each | changes.get(each["id"], {}) for each in chosen]
        path = tmp_path / "list.json"
        path.write_text(json.dumps({"data": data}))
        return str(path)

    return write


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("catalogue", *arguments, stdout=out)
    return [line.strip() for line in out.getvalue().splitlines()]


def refused(*arguments: str) -> str:
    before = facts()
    with pytest.raises(CommandError) as error:
        run(*arguments)
    assert facts() == before
    return str(error.value)


def facts() -> list[Any]:
    rows = ProviderModel.objects.filter(provider="openrouter").order_by("name")
    return [*rows.values(), *Route.objects.order_by("pk").values()]


def row(name: str) -> ProviderModel:
    return ProviderModel.objects.get(provider="openrouter", name=name)


def edit(name: str, **values: Any) -> None:
    """As a person does in the admin."""
    model = row(name)
    for field, value in values.items():
        setattr(model, field, value)
    origins.note_hand(model, values, TODAY)
    model.save(update_fields=[*values, "origins"])


# ---- importing ---------------------------------------------------------------------------------


def test_new_models_come_with_what_the_list_says(file: Callable[..., str]) -> None:
    said = run("import", file())
    assert said[0] == "openrouter: 10 models in the list"
    assert (
        "+ google/veo-3.1: durations 4, 6, 8 s, resolutions horizontal and vertical, "
        f"price_per_second $0.4, price_as_of {TODAY}"
    ) in said
    assert "left out: runway/aleph-2 takes no length: it edits or upscales" in said
    assert said[-1] == "Written."
    assert ProviderModel.objects.filter(provider="openrouter").count() == 8
    hailuo = row("minimax/hailuo-3")
    assert hailuo.durations == {"min": 5, "max": 15}
    assert hailuo.resolutions == ["horizontal", "vertical"]
    assert hailuo.image_inputs is None
    assert hailuo.options == {"resolution": "2K"}
    assert (hailuo.price_per_second, hailuo.price_as_of) == (Decimal("0.1300"), TODAY)
    wan = row("alibaba/wan-2.6")
    assert (wan.durations, wan.resolutions, wan.image_inputs) == ([5, 10], ["horizontal"], [])
    assert row("maker/unpriced").price_per_second is None


def test_a_dry_run_says_the_same_and_writes_nothing(file: Callable[..., str]) -> None:
    path, before = file(), facts()
    dry = run("import", path, "--dry-run", "--map", "veo=google/veo-3.1")
    assert facts() == before
    assert dry[-1] == "A dry run: nothing was written."
    assert dry[:-1] == run("import", path, "--map", "veo=google/veo-3.1")[:-1]


def test_a_second_import_changes_nothing(file: Callable[..., str]) -> None:
    run("import", file())
    before = facts()
    said = run("import", file())
    assert said[-1] == "Nothing to change."
    assert "unchanged: 8" in said
    assert facts() == before


def test_changes_are_shown_field_by_field_with_both_values(file: Callable[..., str]) -> None:
    run("import", file())
    changed = {
        "supported_durations": [4, 8],
        "pricing_skus": {"duration_seconds": "0.5"},
        "supported_frame_images": [],
    }
    ProviderModel.objects.filter(name="google/veo-3.1").update(price_as_of=date(2026, 1, 2))
    said = run("import", file(**{"google/veo-3.1": changed}))
    assert [line for line in said if line[0] == "~"] == [
        "~ google/veo-3.1: durations 4, 6, 8 s → 4, 8 s",
        "~ google/veo-3.1: image_inputs none → none",
        "~ google/veo-3.1: price_per_second $0.4 → $0.5",
        f"~ google/veo-3.1: price_as_of 2026-01-02 → {TODAY}",
    ]
    veo = row("google/veo-3.1")
    assert (veo.durations, veo.image_inputs) == ([4, 8], [])
    assert (veo.price_per_second, veo.price_as_of) == (Decimal("0.5"), TODAY)


def test_prices_that_are_still_right_are_of_today(file: Callable[..., str]) -> None:
    listed = model_lists.read(RECORDED.read_bytes())
    order = Order(provider_id="openrouter", listed=listed, today=date(2026, 1, 2))
    importing.carry_out(order, importing.plan(order))
    assert row("google/veo-3.1").price_as_of == date(2026, 1, 2)
    said = run("import", file())
    assert "prices that are still right: 7" in said
    assert said[-1] == "Nothing to change."
    assert row("google/veo-3.1").price_as_of == TODAY


def test_a_row_that_says_nothing_means_its_providers(file: Callable[..., str]) -> None:
    ProviderModel.objects.create(provider_id="openrouter", name="google/veo-3.1")
    said = run(
        "import", file("google/veo-3.1", **{"google/veo-3.1": {"supported_durations": [8, 4]}})
    )
    assert not [line for line in said if "durations" in line or "resolutions" in line]
    veo = row("google/veo-3.1")
    assert (veo.durations, veo.resolutions, veo.price_per_second) == (None, None, Decimal("0.4"))


def test_what_is_gone_is_told_and_kept(file: Callable[..., str]) -> None:
    run("import", file())
    said = run("import", file("google/veo-3.1"))
    gone = [line for line in said if line.startswith("- ")]
    assert len(gone) == 7
    assert (
        "- runway/gen-4.5: not in the list; kept, as a list may be a part (--retire-gone)" in gone
    )
    assert row("runway/gen-4.5").retired_at is None


def test_what_is_gone_from_a_complete_list_is_retired_and_may_come_back(
    file: Callable[..., str],
) -> None:
    run("import", file())
    edit("runway/gen-4.5", retired_at=None)
    said = run("import", file("google/veo-3.1"), "--retire-gone")
    assert "- alibaba/wan-2.6: not in the list; it is retired" in said
    assert "- runway/gen-4.5: not in the list; it stays as it is" in said
    assert row("alibaba/wan-2.6").retired_at == TODAY
    assert row("runway/gen-4.5").retired_at is None
    run("import", file())
    assert row("alibaba/wan-2.6").retired_at is None


def test_a_variant_of_a_model_has_a_price_of_its_own(file: Callable[..., str]) -> None:
    for options in ({"resolution": "4K"}, {"resolution": "4K", "generate_audio": False}):
        name = f"google/veo-3.1#{len(options)}"
        ProviderModel.objects.create(provider_id="openrouter", name=name, options=options)
    said = run("import", file("google/veo-3.1"))
    assert row("google/veo-3.1#1").price_per_second == Decimal("0.6")
    assert row("google/veo-3.1#2").price_per_second == Decimal("0.4")
    assert not [line for line in said if line.startswith(("- ", "+ "))]


# ---- what a person set -------------------------------------------------------------------------


def test_what_a_person_set_stays_unless_it_is_to_be_overwritten(file: Callable[..., str]) -> None:
    run("import", file())
    edit("google/veo-3.1", price_per_second=Decimal("0.33"), durations=[8])
    edit("minimax/hailuo-3", options={"resolution": "768p"})
    said = run("import", file())
    kept = [line for line in said if line.startswith("= ")]
    assert kept == [
        "= google/veo-3.1: durations 8 s → 4, 6, 8 s: set by hand and kept (--overwrite)",
        "= google/veo-3.1: price_per_second $0.33 → $0.4: set by hand and kept (--overwrite)",
    ]
    assert row("google/veo-3.1").price_per_second == Decimal("0.33")
    assert row("minimax/hailuo-3").options == {"resolution": "768p"}
    run("import", file(), "--overwrite")
    veo = row("google/veo-3.1")
    assert (veo.price_per_second, veo.durations) == (Decimal("0.4"), [4, 6, 8])
    assert row("minimax/hailuo-3").options == {"resolution": "2K"}
    assert not [line for line in run("import", file()) if line.startswith(("= ", "~ "))]


def test_a_value_that_an_import_did_not_write_counts_as_a_persons(
    file: Callable[..., str],
) -> None:
    run("import", file())
    ProviderModel.objects.filter(name="google/veo-3.1").update(price_per_second="0.22")
    run("import", file())
    assert row("google/veo-3.1").price_per_second == Decimal("0.22")


def test_what_came_with_the_version_is_brought_up_to_date(file: Callable[..., str]) -> None:
    ProviderModel.objects.create(
        provider_id="openrouter",
        name="google/veo-3.1",
        price_per_second="0.9",
        durations={"min": 4, "max": 8},
    )
    run("import", file("google/veo-3.1"))
    veo = row("google/veo-3.1")
    assert (veo.price_per_second, veo.durations) == (Decimal("0.4"), [4, 6, 8])


def test_the_origin_of_values_can_be_read(file: Callable[..., str]) -> None:
    run("import", file("google/veo-3.1"))
    edit("google/veo-3.1", durations=[8])
    assert origins.in_words(row("google/veo-3.1")) == (
        "by hand: durations; imported: price_as_of, price_per_second, resolutions"
    )


def test_what_the_engine_writes_meanwhile_stays(file: Callable[..., str]) -> None:
    run("import", file())
    ProviderModel.objects.filter(name="google/veo-3.1").update(trips=3, hold_reason="gone")
    cheaper = {"pricing_skus": {"duration_seconds": "0.1"}}
    with CaptureQueriesContext(connection) as captured:
        run("import", file(**{"google/veo-3.1": cheaper}))
    written = [q["sql"] for q in captured if q["sql"].startswith("UPDATE")]
    assert [("trips" in sql, "hold_reason" in sql) for sql in written] == [(False, False)]
    veo = row("google/veo-3.1")
    assert (veo.trips, veo.price_per_second) == (3, Decimal("0.1"))


# ---- all or nothing ----------------------------------------------------------------------------


def test_a_catalogue_that_changed_meanwhile_is_not_written_over() -> None:
    listed = model_lists.read(RECORDED.read_bytes())
    order = Order(provider_id="openrouter", listed=listed, today=TODAY)
    planned = importing.plan(order)
    ProviderModel.objects.create(provider_id="openrouter", name="google/veo-3.1")
    with pytest.raises(Conflict, match="nothing was imported"):
        importing.carry_out(order, planned)
    assert ProviderModel.objects.filter(provider="openrouter").count() == 1


def test_a_bad_list_is_refused_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"data": [{"id": "a/b", "supported_durations": ["5"]}, {"id": 7}]}')
    assert refused("import", str(path)).splitlines() == [
        "Nothing was imported.",
        "  data.0.supported_durations.0: Input should be a valid integer",
        "  data.1.id: Input should be a valid string",
        "  data.1.supported_durations: Field required",
    ]


def test_a_file_that_is_not_there_or_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused("import", "/nowhere/list.json") == (
        "/nowhere/list.json cannot be read: No such file or directory."
    )
    monkeypatch.setattr(list_sources, "MAX_BYTES", 10)
    assert "is larger than 10 bytes" in refused("import", str(RECORDED))


def test_an_unknown_provider_is_refused() -> None:
    assert refused("import", str(RECORDED), "--provider", "nobody") == (
        "There is no provider 'nobody'."
    )
    assert refused("list", "--provider", "nobody") == "There is no provider 'nobody'."


# ---- mapping -----------------------------------------------------------------------------------


def routes(model_id: str) -> list[tuple[str, int]]:
    found = Route.objects.filter(model=model_id, provider_model__provider="openrouter")
    return list(found.order_by("position").values_list("provider_model__name", "position"))


def test_models_are_mapped_when_asked_and_the_others_are_named(file: Callable[..., str]) -> None:
    said = run(
        "import",
        file("google/veo-3.1", "google/veo-3.1-lite", "runway/gen-4.5"),
        "--map",
        "veo=google/veo-3.1",
        "--map",
        "veo=google/veo-3.1-lite",
    )
    assert "+ veo can be made by google/veo-3.1" in said
    assert "Mapped to no model, so nothing is sent to them: runway/gen-4.5." in said
    assert "Map one with --map veo=runway/gen-4.5, in the admin, or over the API:" in said
    assert routes("veo") == [("google/veo-3.1", 0), ("google/veo-3.1-lite", 1)]


def test_a_map_that_is_there_stays_as_it_is(file: Callable[..., str]) -> None:
    for _ in range(2):
        said = run("import", file("google/veo-3.1"), "--map", "veo=google/veo-3.1")
    assert said[-1] == "Nothing to change."
    assert routes("veo") == [("google/veo-3.1", 0)]


def test_a_map_that_leads_nowhere_stops_the_whole_import(file: Callable[..., str]) -> None:
    words = refused("import", file(), "--map", "ray=google/veo-3.1", "--map", "veo=no/such").split(
        "\n"
    )
    assert words[0] == "Nothing was imported."
    assert words[1].startswith("  map.ray=google/veo-3.1: There is no model 'ray'. There are: ")
    assert words[2] == (
        "  map.veo=no/such: openrouter has no model 'no/such', neither in the list nor here."
    )


@pytest.mark.parametrize("text", ["veo", "=a", "veo=", "  =  "])
def test_a_map_that_is_none_is_refused(text: str) -> None:
    assert "--map is MODEL=NAME" in refused("import", str(RECORDED), "--map", text)


# ---- where the list comes from -----------------------------------------------------------------


@pytest.fixture
def use(settings: Any) -> Callable[..., None]:
    def point(base_url: str, key: str = KEY) -> None:
        account = {"key": key, "base_url": base_url}
        settings.PROVIDERS = {**settings.PROVIDERS, "openrouter": account}

    return point


def test_without_a_file_the_provider_is_asked_with_its_key(use: Callable[..., None]) -> None:
    with far_end(answer(RECORDED.read_bytes())) as end:
        use(f"http://127.0.0.1:{end.port}/api/v1")
        assert run("import")[-1] == "Written."
    assert end.lines == ["GET /api/v1/videos/models HTTP/1.1"]
    assert end.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_an_address_of_the_providers_own_origin_gets_the_key(use: Callable[..., None]) -> None:
    with far_end(answer(RECORDED.read_bytes())) as end:
        use(f"http://127.0.0.1:{end.port}/api/v1")
        run("import", f"http://127.0.0.1:{end.port}/elsewhere", "--dry-run")
    assert end.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_an_address_elsewhere_gets_no_key(
    use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use("https://openrouter.ai/api/v1")
    monkeypatch.setattr(outside, "PUBLIC_ONLY", HERE)
    with far_end(answer(RECORDED.read_bytes())) as end:
        run("import", f"http://pictures.example:{end.port}/list.json", "--dry-run")
    assert end.lines == ["GET /list.json HTTP/1.1"]
    assert "authorization" not in end.requests[0].headers
    assert KEY not in str(end.requests)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/list",
        "http://localhost:{port}/list",
        "http://[::ffff:127.0.0.1]:{port}/list",
        "http://169.254.169.254/list",
        "http://0x7f000001:{port}/list",
    ],
)
def test_an_address_that_is_not_public_is_not_asked(address: str, use: Callable[..., None]) -> None:
    use("https://openrouter.ai/api/v1")
    with far_end(answer(RECORDED.read_bytes())) as end:
        words = refused("import", address.format(port=end.port))
    assert words.endswith("gives no list: its host is not on the public internet.")
    assert end.requests == []


def test_without_a_key_the_variable_is_named(use: Callable[..., None]) -> None:
    use("https://openrouter.ai/api/v1", key="")
    assert refused("import") == (
        "set OPENROUTER_API_KEY, or name a file or an address of the list."
    )


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (hang_up, "127.0.0.1:{port}: The connection broke before an answer came."),
        (
            answer(b'{"error": {"message": "Key %s is wrong"}}' % KEY.encode(), "401 No"),
            "127.0.0.1:{port} answers HTTP 401. Key … is wrong",
        ),
        (answer(b"", "302 Found", location="http://elsewhere.example/"), "answers HTTP 302."),
    ],
)
def test_a_provider_that_gives_no_list(
    behaviour: Any, words: str, use: Callable[..., None]
) -> None:
    with far_end(behaviour) as end:
        use(f"http://127.0.0.1:{end.port}/api/v1")
        assert words.format(port=end.port) in refused("import")


@pytest.mark.django_db(transaction=True)
def test_the_list_can_come_through_a_pipe() -> None:
    seed()
    command = [sys.executable, "manage.py", "catalogue", "import", "-", "--dry-run"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(PYTHONIOENCODING="utf-8"),
        input=RECORDED.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"openrouter: 10 models in the list\n  + ")


# ---- the table ---------------------------------------------------------------------------------


def test_the_table_shows_what_can_be_made_and_why_not(settings: Any) -> None:
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "openai": {"key": "", "base_url": "https://api.openai.com/v1"},
    }
    lines = run("list")
    assert lines[0].split("  ")[0] == "provider"
    (preview,) = [line for line in lines if line.startswith("preview")]
    assert preview.split() == ["preview", "preview", "yes", "0", "preview"]
    (sora,) = [line for line in lines if line.startswith("openai") and " sora-2 " in line]
    assert sora.split(None, 7) == [
        "openai",
        "sora-2",
        "no",
        "0.1",
        "2026-09-01",
        "2026-09-24",
        "sora2",
        "set OPENAI_API_KEY, and set OPENAI_BASE_URL to another server that makes it "
        "(its vendor ended it on 2026-09-24)",
    ]


def test_the_table_can_be_narrowed() -> None:
    assert {line.split()[0] for line in run("list", "--provider", "openai")[1:]} == {"openai"}
    live = run("list", "--live")
    assert len(live) >= 2
    assert {line.split()[2] for line in live[1:]} == {"yes"}


def test_the_table_takes_the_same_queries_for_any_number_of_models(
    file: Callable[..., str],
) -> None:
    counts = []
    for prepare in (lambda: None, lambda: run("import", file())):
        prepare()
        with CaptureQueriesContext(connection) as captured:
            run("list")
        counts.append(len(captured))
    assert counts == [2, 2]


def test_a_redirect_does_not_move_the_key(use: Callable[..., None]) -> None:
    with far_end(hang_up) as elsewhere:
        moved = answer(b"", "307 Moved", location=f"http://127.0.0.1:{elsewhere.port}/")
        with far_end(moved) as end:
            use(f"http://127.0.0.1:{end.port}/api/v1")
            with pytest.raises(list_sources.NoList):
                list_sources.ask_provider("openrouter", Transport(timeout=2))
    assert elsewhere.requests == []
