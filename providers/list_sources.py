"""Where a list of models comes from: a file, a web address, or the provider itself."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from providers import outside, registry
from providers.base import Account, HttpAnswer, HttpCall
from providers.calls import bearer, is_same_origin
from providers.http import NotSent, Proxies, SentNoAnswer, Transport
from providers.messages import clean
from providers.replies import error_body, json_object

SECONDS = 30.0
MAX_BYTES = 4 * 1024 * 1024  # as many as an answer may have


class NoList(Exception):
    """It could not be had; the text says why and what to do, without a key."""


def read_file(path: str) -> bytes:
    """Of that path, or of standard input for "-"."""
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NoList(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise NoList(f"{path} is larger than {MAX_BYTES} bytes, which no list of models is.")
    return content


def is_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def ask_provider(provider_id: str, transport: Transport) -> bytes:
    """What the provider answers at its own `/videos/models`."""
    account = registry.account(provider_id)
    if missing := _missing(account):
        raise NoList(f"{missing}, or name a file or an address of the list.")
    return _ask(f"{account.base_url}/videos/models", account, transport)


def _missing(account: Account) -> str:
    if not urlsplit(account.base_url).hostname:
        return registry.missing(account.provider_id)
    variable = registry.key_variable(account.provider_id)
    return "" if account.key else f"set {variable}"


def from_address(url: str, provider_id: str, transport: Transport, proxies: Proxies) -> bytes:
    """The key goes along to the provider's own origin only; what lies elsewhere must be public."""
    account = registry.account(provider_id)
    if is_same_origin(account.base_url, url):
        return _ask(url, account, transport)
    try:
        return outside.fetch(url, timeout=SECONDS, max_bytes=MAX_BYTES, proxies=proxies)
    except outside.NotFetched as error:
        raise NoList(f"{_host(url)} gives no list: {error}.") from error


def _ask(url: str, account: Account, transport: Transport) -> bytes:
    secrets = bearer(account) if account.key else {}
    answer = transport.submit(HttpCall("GET", url, secret_headers=secrets))
    host = _host(url)
    match answer:
        case NotSent(failure) | SentNoAnswer(failure):
            raise NoList(f"{host}: {clean(failure.message, account.key)}")
        case HttpAnswer(status=200, body=body):
            return body
        case HttpAnswer(status=status) as refused:
            said = clean(error_body(json_object(refused.body)).message, account.key)
            raise NoList(f"{host} answers HTTP {status}. {said}".strip())


def _host(url: str) -> str:
    """Without what may stand before an @, and without a query: both may hold secrets."""
    return urlsplit(url).netloc.rpartition("@")[2]
