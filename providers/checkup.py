"""Whether a provider can be used: key, connection, clock, login, balance and models, by free requests only.

It sends GETs and nothing else, so that it never costs money.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from cineflow.core.environment import source
from providers import catalogue, liveness, registry
from providers.base import Account, Adapter, AskNext, HttpAnswer, HttpCall, Job, NoAnswer, Standing
from providers.errors import Code, Failure, UnexpectedReply
from providers.http import NotSent, SentNoAnswer, Transport
from providers.messages import clean
from providers.models import Provider, ProviderModel
from providers.preview.render import RenderError, render_clip
from providers.proxies import is_loopback
from providers.replies import http_date, json_object

# Look-ups and signed notices compare times; they allow for little more than this.
MAX_SKEW_SECONDS = 60.0
# Of the shape that many providers give to their ids: unknown, and not malformed.
NO_JOB = "00000000-0000-4000-8000-000000000000"
_NO_SUCH_CALL = (404, 405, 501)
_NO_SUCH_JOB = (400, 404, 410, 422)

Value = TypeVar("Value")


class Mark(StrEnum):
    GOOD = "✓"
    BAD = "✗"
    NOTE = "!"
    UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: what was looked at and what it is like; when that is bad, what to do."""

    mark: Mark
    what: str
    words: str


class _Stop(Exception):
    """A finding after which the rest cannot be looked at."""

    def __init__(self, what: str, words: str) -> None:
        super().__init__(words)
        self.line = Line(Mark.BAD, what, words)


def check(provider_id: str, *, transport: Transport, now: datetime) -> list[Line]:
    """All findings, in the order of looking; raises NotFound for an unknown provider.

    A balance that the provider tells is kept with it.
    """
    provider = catalogue.get_provider(provider_id)
    is_local = provider.pk == registry.LOCAL
    looking = _drawn_here() if is_local else _asked(provider, transport, now)
    found = []
    try:
        for line in looking:
            found.append(line)
    except _Stop as stop:
        found.append(stop.line)
    return [*found, *_in_the_catalogue(provider, now)]


def has_passed(lines: Sequence[Line]) -> bool:
    return all(line.mark != Mark.BAD for line in lines)


def _drawn_here() -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            render_clip(
                prompt="A test of the preview.",
                segment_index=1,
                take=1,
                resolution="horizontal",
                seconds=1,
                target=Path(folder) / "clip.mp4",
                timeout=60,
            )
        except RenderError as error:
            raise _Stop("drawing", str(error)) from error
    yield Line(Mark.GOOD, "drawing", "a clip was drawn on this machine; no key is needed")


# ---- at the far end ----------------------------------------------------------------------------


def _asked(provider: Provider, transport: Transport, now: datetime) -> Iterator[Line]:
    account = registry.account(provider.pk)
    yield _key(account)
    if missing := registry.missing(provider.pk):
        raise _Stop("settings", f"{missing}.")
    adapter, far_end = registry.adapter(provider.pk), _FarEnd(account, transport)
    job = Job(NO_JOB, _any_model(provider))
    standing_call = _adapted(account, lambda: adapter.standing(account))
    call = standing_call or _adapted(account, lambda: adapter.poll(account, job))
    answer = far_end.get(call)
    yield far_end.connection(answer)
    yield far_end.clock(answer)
    if standing_call:
        standing = _adapted(account, lambda: adapter.read_standing(answer))
        if isinstance(standing, Failure) and standing.http_status in _NO_SUCH_CALL:
            answer = far_end.get(_adapted(account, lambda: adapter.poll(account, job)))
            standing = _no_such_job(far_end, adapter, job, answer)
    else:
        standing = _no_such_job(far_end, adapter, job, answer)
    if isinstance(standing, Failure):
        raise _Stop("login", _refused(account, standing))
    yield Line(Mark.GOOD, "login", f"the key is accepted: {clean(standing.words, account.key)}")
    yield _balance(provider, standing, now)
    yield _models(provider, standing)


def _key(account: Account) -> Line:
    variable, key = registry.key_variable(account.provider_id), account.key
    if not variable:
        raise _Stop("key", f"{registry.missing(account.provider_id)}.")
    if not key:
        raise _Stop("key", f"none: set {variable}, or {variable}_FILE to a file that holds it.")
    if key[0] in "\"'" or not key.isascii() or not key.isprintable() or " " in key:
        raise _Stop(
            "key", f"from {source(variable)}: it has quotes, blanks or letters that no key has."
        )
    return Line(Mark.GOOD, "key", f"from {source(variable)}")


def _any_model(provider: Provider) -> str:
    """Some dialects have a part of the model in the address of a job."""
    return provider.provider_models.order_by("pk").values_list("name", flat=True).first() or ""


def _adapted(account: Account, use: Callable[[], Value]) -> Value:
    """What the adapter makes; its failures are findings too, and its words may quote the far end."""
    try:
        return use()
    except UnexpectedReply as error:
        where = registry.base_url_variable(account.provider_id)
        words = f"it cannot be read ({clean(str(error), account.key)}): is {where} right?"
        raise _Stop("answer", words) from error
    except Exception as error:
        raise _Stop("answer", f"the adapter failed ({type(error).__name__}).") from error


class _FarEnd:
    """Asks one account, and keeps what the exchange itself tells."""

    def __init__(self, account: Account, transport: Transport) -> None:
        self.account = account
        self.base_url = registry.base_url_variable(account.provider_id)
        self.transport = transport
        self.asked_at = datetime.now(UTC)
        self.seconds = 0.0

    def get(self, call: HttpCall) -> HttpAnswer:
        if call.method != "GET":
            raise _Stop("login", "the adapter's free request is not a GET, and was not sent.")
        self.asked_at, started = datetime.now(UTC), time.monotonic()
        answer = self.transport.submit(call)
        self.seconds = time.monotonic() - started
        host = _host(call.url)
        if isinstance(answer, NotSent | SentNoAnswer):
            hint = f"Check {self.base_url}, the network, and HTTPS_PROXY if there is one."
            raise _Stop("connection", f"{host}: {answer.failure.message} {hint}")
        if 300 <= answer.status < 400:
            words = f"{host} redirects elsewhere, where no key is sent: set {self.base_url} anew."
            raise _Stop("connection", words)
        return answer

    def connection(self, answer: HttpAnswer) -> Line:
        parts = urlsplit(self.account.base_url)
        milliseconds = f"{self.seconds * 1000:.0f} ms, HTTP {answer.status}"
        if parts.scheme == "https":
            words = f"{_host(parts.geturl())}: DNS, TLS and HTTP work ({milliseconds})"
            return Line(Mark.GOOD, "connection", words)
        words = f"{_host(parts.geturl())}: HTTP works ({milliseconds})"
        if is_loopback(parts.hostname or ""):
            return Line(Mark.GOOD, "connection", words)
        return Line(Mark.NOTE, "connection", f"{words}, but without TLS the key can be read")

    def clock(self, answer: HttpAnswer) -> Line:
        there = http_date(answer.headers.get("date"))
        if there is None:
            return Line(Mark.UNKNOWN, "clock", "not told: the answer has no Date")
        # The header has whole seconds, and was written at some time while we waited.
        behind = (there - self.asked_at).total_seconds() - self.seconds / 2 + 0.5
        if abs(behind) <= MAX_SKEW_SECONDS:
            return Line(Mark.GOOD, "clock", "ours and theirs agree")
        words = f"ours is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead'}: set it (NTP)."
        return Line(Mark.BAD, "clock", f"{words} Signatures and look-ups compare times.")


def _host(url: str) -> str:
    """Without what may stand before an @."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _no_such_job(
    far_end: _FarEnd, adapter: Adapter, job: Job, answer: HttpAnswer
) -> Standing | Failure:
    """A stranger would not be told that a job does not exist."""
    account = far_end.account
    outcome = _adapted(account, lambda: adapter.read_poll(account, job, answer))
    if isinstance(outcome, AskNext):
        answer = far_end.get(outcome.call)
        outcome = _adapted(account, lambda: adapter.read_result(account, job, answer))
    if not isinstance(outcome, NoAnswer):
        raise _Stop("answer", "it claims to know a job that does not exist.")
    if not outcome.gone and outcome.failure.http_status not in _NO_SUCH_JOB:
        return outcome.failure
    if json_object(answer.body) is None:
        words = f"HTTP {answer.status} with no JSON: is {far_end.base_url} right?"
        raise _Stop("answer", words)
    return Standing(f"a job that does not exist is answered with HTTP {answer.status}")


def _refused(account: Account, failure: Failure) -> str:
    said = clean(failure.message, account.key)
    match failure.code:
        case Code.UNAUTHORIZED:
            variable = registry.key_variable(account.provider_id)
            return f"the key is refused: {said} Set {variable} to one that is valid there."
        case Code.QUOTA_EXCEEDED:
            return f"the account has nothing left: {said} Top it up."
        case Code.RATE_LIMITED:
            return f"asked too often: {said} Try again later."
    return said


def _balance(provider: Provider, standing: Standing, now: datetime) -> Line:
    if standing.balance is None or not standing.balance.is_finite():
        return Line(Mark.UNKNOWN, "balance", "not told by this provider")
    balance = standing.balance.quantize(Decimal("0.0001"))
    Provider.objects.filter(pk=provider.pk).update(
        balance=balance, balance_currency=standing.currency[:8], balance_at=now
    )
    words = f"{balance.normalize():f} {standing.currency}".strip()
    if balance <= 0:
        return Line(Mark.BAD, "balance", f"{words}: top the account up.")
    return Line(Mark.GOOD, "balance", words)


def _models(provider: Provider, standing: Standing) -> Line:
    routed = ProviderModel.objects.filter(provider=provider, routes__isnull=False).distinct()
    ours = sorted(routed.values_list("name", flat=True))
    if not ours:
        return Line(Mark.NOTE, "models", "none of its models is mapped to one of ours")
    if standing.models is None:
        return Line(Mark.UNKNOWN, "models", "not told by this provider")
    unlisted = [name for name in ours if name not in standing.models]
    if not unlisted:
        return Line(Mark.GOOD, "models", f"its list has all that we use: {', '.join(ours)}")
    words = f"its list has {len(standing.models)} names, but not {', '.join(unlisted)}"
    return Line(Mark.BAD if unlisted == ours else Mark.NOTE, "models", f"{words}.")


# ---- in the catalogue --------------------------------------------------------------------------


def _in_the_catalogue(provider: Provider, now: datetime) -> Iterator[Line]:
    today = now.date()
    if not provider.enabled:
        yield Line(Mark.NOTE, "switch", "it is switched off, so nothing is sent to it")
    if provider.not_before and provider.not_before > now:
        words = f"held until {provider.not_before:%H:%M:%S} UTC: {provider.hold_reason}"
        yield Line(Mark.NOTE, "hold", words)
    models = list(provider.provider_models.order_by("name"))
    ended = [model for model in models if liveness.is_retired(model, today)]
    if ended:
        names = ", ".join(f"{model.name} (on {model.retired_at})" for model in ended)
        yield Line(Mark.NOTE, "retired", f"its vendor ended {names}: not sent to")
    for words in liveness.sunsets(models, today):
        yield Line(Mark.NOTE, "sunset", words)


def all_ids() -> list[str]:
    """Every provider of the catalogue, in the order they are asked."""
    return list(Provider.objects.values_list("pk", flat=True))
