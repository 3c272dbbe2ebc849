"""`manage.py provider check`: what it finds, what it says to do, and that it costs nothing."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from providers import checkup, registry
from providers.adapters.openai import OpenAIVideos
from providers.base import Account, HttpAnswer, HttpCall, Standing
from providers.checkup import Line, Mark
from providers.errors import Failure
from providers.http import Transport
from providers.models import Provider, ProviderModel, Route
from tests.processes import ROOT, environment
from tests.providers.dialects import DIALECTS, Dialect
from tests.providers.far_end import FarEnd, answer, far_end, hang_up, say_nothing
from tests.providers.simulated import Simulator, simulator

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "sk-canary-4f1d2c9b8a7e"

pytestmark = pytest.mark.django_db


@pytest.fixture
def use(settings: Any) -> Any:
    """Points the account `openai` somewhere."""

    def point(base_url: str, key: str = KEY) -> None:
        account = {"key": key, "base_url": base_url, "dialect": "openai"}
        settings.PROVIDERS = {**settings.PROVIDERS, "openai": account}

    return point


@pytest.fixture
def simulated(use: Any) -> Iterator[Simulator]:
    with simulator(api_key=KEY) as running:
        use(running.base_url)
        yield running


def look(provider_id: str = "openai", *, now: datetime = NOW) -> dict[str, Line]:
    """The findings by what was looked at; the key is in none of them."""
    lines = checkup.check(provider_id, transport=Transport(timeout=1), now=now)
    assert KEY not in repr(lines)
    assert len({line.what for line in lines}) == len(lines)
    return {line.what: line for line in lines}


def models_at(end: FarEnd) -> str:
    return end.url.removesuffix("/videos")


def listed(*names: str, **headers: str) -> Any:
    body = {"object": "list", "data": [{"id": name} for name in names]}
    return answer(json.dumps(body).encode(), content_type="application/json", **headers)


def now_there(**off: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(**off), usegmt=True)


# ---- what is well ------------------------------------------------------------------------------


def test_a_provider_that_works_passes_and_no_post_is_sent(
    simulated: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = look()
    assert {what: line.mark for what, line in found.items()} == {
        "key": Mark.GOOD,
        "connection": Mark.GOOD,
        "clock": Mark.GOOD,
        "login": Mark.GOOD,
        "balance": Mark.UNKNOWN,
        "models": Mark.GOOD,
    }
    assert found["key"].words == "from OPENAI_API_KEY"
    assert found["models"].words == "its list has all that we use: sora-2, sora-2-pro"
    assert simulated.ledger()["posts"] == []
    assert simulated.summary() == {
        "posts": 0,
        "created": 0,
        "max_in_flight": 0,
        "polls": 0,
        "fetches": 0,
    }


def test_a_key_from_a_mounted_file_is_told_by_the_files_name(
    simulated: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "/run/secrets/openai")
    assert look()["key"].words == "from the file /run/secrets/openai (OPENAI_API_KEY_FILE)"


def test_a_server_without_a_list_of_models_is_asked_for_a_job_that_does_not_exist(
    use: Any,
) -> None:
    gone = answer(b'{"detail": "Not Found"}', "404 Not Found")
    unknown = answer(b'{"error": {"message": "No such video."}}', "404 Not Found")
    with far_end(gone, unknown) as end:
        use(models_at(end))
        found = look()
    assert found["login"] == Line(
        Mark.GOOD,
        "login",
        "the key is accepted: a job that does not exist is answered with HTTP 404",
    )
    assert end.lines == [
        "GET /v1/models HTTP/1.1",
        f"GET /v1/videos/{checkup.NO_JOB} HTTP/1.1",
    ]
    assert {request.headers["authorization"] for request in end.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_dialect_is_checked_without_a_post(dialect: Dialect, settings: Any) -> None:
    with simulator(api_key=KEY) as running:
        account = dialect.account(running.origin, KEY)
        settings.PROVIDERS = {**settings.PROVIDERS, dialect.provider: account}
        found = look(dialect.provider)
        assert running.ledger()["posts"] == []
    assert {what: line for what, line in found.items() if line.mark == Mark.BAD} == {}
    assert found["login"].mark == Mark.GOOD


ASKING_FOR_KEYS = [dialect for dialect in DIALECTS if dialect.key_is_asked_for]


@pytest.mark.parametrize("dialect", ASKING_FOR_KEYS, ids=str)
def test_every_dialect_tells_a_key_that_is_refused(dialect: Dialect, settings: Any) -> None:
    with simulator(api_key="another-key-than-ours") as running:
        account = dialect.account(running.origin, KEY)
        settings.PROVIDERS = {**settings.PROVIDERS, dialect.provider: account}
        assert look(dialect.provider)["login"].mark == Mark.BAD


def test_the_preview_draws_a_clip() -> None:
    (line,) = look("preview").values()
    assert line.mark == Mark.GOOD
    assert line.what == "drawing"


# ---- what is not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "none: set OPENAI_API_KEY, or OPENAI_API_KEY_FILE to a file that holds it."),
        ('"sk-quoted"', "from OPENAI_API_KEY: it has quotes, blanks or letters that no key has."),
        ("sk-кириллица", "from OPENAI_API_KEY: it has quotes, blanks or letters that no key has."),
        ("sk-a b", "from OPENAI_API_KEY: it has quotes, blanks or letters that no key has."),
    ],
)
def test_a_key_that_is_none_is_sent_nowhere(key: str, words: str, use: Any) -> None:
    with far_end(hang_up) as end:
        use(models_at(end), key)
        found = look()
    assert found["key"] == Line(Mark.BAD, "key", words)
    assert "connection" not in found
    assert end.requests == []


def test_a_refused_key_is_told_with_its_variable(simulated: Simulator, use: Any) -> None:
    use(simulated.base_url, "sk-another")
    found = look()
    assert found["connection"].mark == Mark.GOOD
    assert found["login"] == Line(
        Mark.BAD,
        "login",
        "the key is refused: Incorrect API key provided. Set OPENAI_API_KEY to one that is valid there.",
    )


def test_a_refusal_that_quotes_the_key_is_shown_without_it(use: Any) -> None:
    body = json.dumps({"error": {"message": f"Bad key {KEY} (Bearer {KEY})."}}).encode()
    with far_end(answer(body, "401 Unauthorized")) as end:
        use(models_at(end))
        words = look()["login"].words
    assert (
        words == "the key is refused: Bad key … (…). Set OPENAI_API_KEY to one that is valid there."
    )


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://127.0.0.1:{port}/v1", "127.0.0.1:{port}: Could not connect: connection refused."),
        (
            "https://nowhere.invalid/v1",
            "nowhere.invalid: Could not connect: the host's name is not known.",
        ),
        (
            "http://user:secret@127.0.0.1:{port}/v1",
            "127.0.0.1:{port}: Could not connect: connection refused.",
        ),
    ],
)
def test_a_far_end_that_is_not_there(base_url: str, why: str, use: Any) -> None:
    port = unused_port()
    use(base_url.format(port=port))
    hint = "Check OPENAI_BASE_URL, the network, and HTTPS_PROXY if there is one."
    words = f"{why.format(port=port)} {hint}"
    assert look()["connection"] == Line(Mark.BAD, "connection", words)


def test_a_far_end_that_speaks_no_tls(use: Any) -> None:
    with far_end(hang_up) as end:
        use(models_at(end).replace("http://", "https://"))
        line = look()["connection"]
    assert line.mark == Mark.BAD
    assert "no TLS connection came about (certificate?)" in line.words


def test_a_far_end_that_says_nothing(use: Any) -> None:
    with far_end(say_nothing) as end:
        use(models_at(end))
        line = look()["connection"]
    assert line.mark == Mark.BAD
    assert "No answer within 1 seconds." in line.words


def test_a_redirect_is_not_followed_and_the_key_stays(use: Any) -> None:
    with (
        far_end(hang_up) as elsewhere,
        far_end(answer(b"", "301 Moved", location=elsewhere.url)) as end,
    ):
        use(models_at(end))
        line = look()["connection"]
    assert line.mark == Mark.BAD
    assert line.words.endswith(
        "redirects elsewhere, where no key is sent: set OPENAI_BASE_URL anew."
    )
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (
            answer(b"<html>Welcome</html>"),
            "it cannot be read (the list of models is no list): is OPENAI_BASE_URL right?",
        ),
        (
            answer(b"<html>404</html>", "404 Not Found"),
            "HTTP 404 with no JSON: is OPENAI_BASE_URL right?",
        ),
    ],
)
def test_an_address_that_is_not_the_apis(behaviour: Any, words: str, use: Any) -> None:
    with far_end(behaviour) as end:
        use(models_at(end))
        assert look()["answer"] == Line(Mark.BAD, "answer", words)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("402 Payment Required", "the account has nothing left: Pay. Top it up."),
        ("429 Too Many Requests", "asked too often: Pay. Try again later."),
        ("500 Internal Server Error", "Pay."),
    ],
)
def test_another_refusal(status: str, words: str, use: Any) -> None:
    with far_end(answer(b'{"error": "Pay."}', status)) as end:
        use(models_at(end))
        assert look()["login"] == Line(Mark.BAD, "login", words)


@pytest.mark.parametrize(
    ("off", "mark", "words"),
    [
        ({}, Mark.GOOD, "ours and theirs agree"),
        ({"hours": 1}, Mark.BAD, "s behind: set it (NTP)."),
        ({"hours": -1}, Mark.BAD, "s ahead: set it (NTP)."),
    ],
)
def test_the_clocks_are_compared(off: Any, mark: Mark, words: str, use: Any) -> None:
    with far_end(listed("sora-2", date=now_there(**off))) as end:
        use(models_at(end))
        line = look()["clock"]
    assert (line.mark, words in line.words) == (mark, True)


def test_an_answer_without_a_date_tells_nothing_of_clocks(use: Any) -> None:
    with far_end(listed("sora-2")) as end:
        use(models_at(end))
        assert look()["clock"].mark == Mark.UNKNOWN


def test_models_that_the_provider_does_not_list_are_named(use: Any) -> None:
    with far_end(listed("sora-2", "x"), listed("x")) as end:
        use(models_at(end))
        some, none = look()["models"], look()["models"]
    assert some == Line(Mark.NOTE, "models", "its list has 2 names, but not sora-2-pro.")
    assert none == Line(Mark.BAD, "models", "its list has 1 names, but not sora-2, sora-2-pro.")


def test_models_that_nobody_uses_are_told(simulated: Simulator) -> None:
    Route.objects.filter(provider_model__provider="openai").delete()
    assert look()["models"].words == "none of its models is mapped to one of ours"


# ---- balances ----------------------------------------------------------------------------------


class Funded(OpenAIVideos):
    """A dialect that tells a balance."""

    def __init__(self, balance: str) -> None:
        self.balance = Decimal(balance)

    def read_standing(self, answer: HttpAnswer) -> Standing | Failure:
        return Standing("here you are", self.balance, "USD")


def speak(adapter: OpenAIVideos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ADAPTERS", {**registry._ADAPTERS, "openai": adapter})


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ("12.50", Line(Mark.GOOD, "balance", "12.5 USD")),
        ("100", Line(Mark.GOOD, "balance", "100 USD")),
        ("0", Line(Mark.BAD, "balance", "0 USD: top the account up.")),
        ("-0.123456", Line(Mark.BAD, "balance", "-0.1235 USD: top the account up.")),
    ],
)
def test_a_balance_is_told_and_kept(
    told: str, line: Line, simulated: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak(Funded(told), monkeypatch)
    assert look()["balance"] == line
    provider = Provider.objects.get(pk="openai")
    kept = Decimal(told).quantize(Decimal("0.0001"))
    assert (provider.balance, provider.balance_currency, provider.balance_at) == (kept, "USD", NOW)


@pytest.mark.parametrize("told", ["NaN", "Infinity"])
def test_what_is_no_number_is_no_balance(
    told: str, simulated: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak(Funded(told), monkeypatch)
    assert look()["balance"].mark == Mark.UNKNOWN
    assert Provider.objects.get(pk="openai").balance is None


# ---- adapters that are wrong -------------------------------------------------------------------


class Paying(OpenAIVideos):
    """One whose free request is none."""

    def standing(self, account: Account) -> HttpCall:
        return HttpCall("POST", f"{account.base_url}/videos", secret_headers={"Authorization": KEY})


class Broken(OpenAIVideos):
    def standing(self, account: Account) -> HttpCall:
        raise RuntimeError(f"with {account.key}")


@pytest.mark.parametrize(
    ("adapter", "what", "words"),
    [
        (Paying(), "login", "the adapter's free request is not a GET, and was not sent."),
        (Broken(), "answer", "the adapter failed (RuntimeError)."),
    ],
)
def test_an_adapter_that_is_wrong_costs_nothing(
    adapter: OpenAIVideos,
    what: str,
    words: str,
    simulated: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speak(adapter, monkeypatch)
    assert look()[what] == Line(Mark.BAD, what, words)
    assert simulated.ledger()["posts"] == []


# ---- what the catalogue knows ------------------------------------------------------------------


def test_what_else_keeps_a_provider_from_being_used_is_noted(simulated: Simulator) -> None:
    Provider.objects.filter(pk="openai").update(
        enabled=False, not_before=NOW + timedelta(minutes=5), hold_reason="Slow down."
    )
    ProviderModel.objects.filter(name="sora-2", provider="openai").update(
        retired_at=date(2026, 12, 1)
    )
    found = look()
    assert {what: found[what].words for what in ("switch", "hold", "sunset")} == {
        "switch": "it is switched off, so nothing is sent to it",
        "hold": "held until 12:05:00 UTC: Slow down.",
        "sunset": "openai sora-2 is ended by its vendor on 2026-12-01, in 9 days; "
        "the server behind OPENAI_BASE_URL may end it too.",
    }
    assert checkup.has_passed(list(found.values()))


def test_a_retired_model_is_noted_at_its_vendors_own_address(use: Any) -> None:
    use("https://api.openai.com.invalid/v1")
    assert "retired" not in look()
    use("https://api.openai.com/v1", key="")
    assert look()["retired"].words == (
        "its vendor ended sora-2 (on 2026-09-24), sora-2-pro (on 2026-09-24): not sent to"
    )


# ---- the command -------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    out, code = StringIO(), 0
    try:
        call_command("provider", "check", *arguments, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, out.getvalue()


def test_the_command_prints_a_line_for_each_finding_and_ends_well(simulated: Simulator) -> None:
    code, said = run("openai")
    assert code == 0
    assert said.splitlines()[:2] == ["openai", "  ✓ key         from OPENAI_API_KEY"]
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["✓", "✓", "✓", "✓", "–", "✓"]


def test_the_command_ends_with_1_when_something_is_wrong(simulated: Simulator, use: Any) -> None:
    use(simulated.base_url, "sk-another")
    code, said = run("openai")
    assert code == 1
    assert "  ✗ login       the key is refused" in said


def test_all_checks_those_with_a_key_and_names_the_others(simulated: Simulator) -> None:
    code, said = run("--all")
    assert code == 0
    heads = {line for line in said.splitlines() if not line.startswith(" ")}
    assert heads == set(Provider.objects.values_list("pk", flat=True))
    assert "  ✓ drawing" in said
    assert said.count("  – key") == len(heads) - 2


def test_a_provider_without_a_key_fails_when_it_is_asked_for_by_name() -> None:
    code, said = run("openai")
    assert code == 1
    assert "✗ key         none: set OPENAI_API_KEY" in said


def test_an_unknown_provider_is_told_with_those_that_there_are() -> None:
    with pytest.raises(CommandError, match=r"There is no provider 'nobody'. There are: sora_hk, "):
        run("nobody")


@pytest.mark.django_db(transaction=True)
def test_the_command_is_a_process_with_an_exit_code(tmp_path: Any) -> None:
    def check(key: str) -> subprocess.CompletedProcess[str]:
        env: Mapping[str, str] = environment(
            OPENAI_API_KEY=key, OPENAI_BASE_URL=running.base_url, OPENAI_DIALECT="openai"
        )
        command = [sys.executable, "manage.py", "provider", "check", "openai", "--timeout", "5"]
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**env, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert "DATABASE_URL" in environment(**os.environ)
    Provider.objects.get_or_create(pk="openai", defaults={"display_name": "OpenAI"})
    with simulator(api_key=KEY) as running:
        good, bad = check(KEY), check("sk-another")
        assert running.ledger()["posts"] == []
    assert (good.returncode, bad.returncode) == (0, 1), good.stdout + good.stderr + bad.stderr
    assert KEY not in good.stdout + good.stderr
