"""Which proxy a URL goes through.

The libraries' own reading of the environment is not used: it would send loopback traffic to a
proxy, and requests' way with NO_PROXY changes the environment under the other threads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Proxies:
    """One proxy for each scheme; `bypass` is a list as NO_PROXY has it."""

    http: str = ""
    https: str = ""
    bypass: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Proxies":
        def read(name: str) -> str:
            return environment.get(name, "") or environment.get(name.lower(), "")

        return cls(http=read("HTTP_PROXY"), https=read("HTTPS_PROXY"), bypass=read("NO_PROXY"))

    def __repr__(self) -> str:
        return "Proxies(…)"  # a proxy's address may hold a password

    def choose(self, url: str) -> str | None:
        if not self.http and not self.https:
            return None
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if is_loopback(host) or self._bypassed(host, parts.port):
            return None
        proxy = self.https if parts.scheme == "https" else self.http
        return _with_scheme(proxy) if proxy else None

    def _bypassed(self, host: str, port: int | None) -> bool:
        entries = self.bypass.replace(",", " ").split()
        return any(_covers(entry.lower(), host, port) for entry in entries)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _covers(entry: str, host: str, port: int | None) -> bool:
    """`*`, a domain with all below it, an address, a network, or one of these with a port."""
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        return int(wanted) == port and _covers(name, host, port)
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith("." + domain))


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
