"""Addresses that a user wrote: what is public is fetched, what is not is never even connected to."""
# ruff: noqa: RUF001 - look-alikes of digits and letters are what these tests are about

from collections.abc import Iterator
from ipaddress import ip_address
from socket import AddressFamily
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from providers.outside import NotFetched, Rules, fetch
from providers.proxies import Proxies
from tests.providers.far_end import (
    Behaviour,
    FarEnd,
    answer,
    far_end,
    hang_up,
    head,
    say_nothing,
    send,
    trickle,
)

PICTURE = b"\x89PNG and more"
LOOPBACK = ip_address("127.0.0.1")


class Names(AbstractResolver):
    """A name service of the test's own: names that look public and lead where a test wants them."""

    answers: dict[str, list[str]] = {
        "pictures.example": ["127.0.0.1"],
        "moved.example": ["127.0.0.1"],
        "metadata.example": ["169.254.169.254"],
        "inside.example": ["10.0.0.7"],
        "both.example": ["93.184.215.14", "192.168.0.1"],
        "six.example": ["fd00::1"],
        "mapped.example": ["::ffff:10.0.0.1"],
        "nat64.example": ["64:ff9b::a9fe:a9fe"],
    }

    async def resolve(
        self, host: str, port: int = 0, family: Any = AddressFamily.AF_INET
    ) -> list[ResolveResult]:
        if host not in self.answers:
            raise OSError("no such name")
        return [
            ResolveResult(hostname=host, host=found, port=port, family=family, proto=0, flags=0)
            for found in self.answers[host]
        ]

    async def close(self) -> None:
        pass


# As in life, but that this machine counts as public, and names mean what the test says.
HERE = Rules(allows_address=lambda address: address == LOOPBACK, resolver=Names)


def get(url: str, *, rules: Rules = HERE, timeout: float = 5, max_bytes: int = 1000) -> bytes:
    return fetch(url, timeout=timeout, max_bytes=max_bytes, rules=rules)


def at(there: FarEnd, host: str = "pictures.example") -> str:
    return f"http://{host}:{there.port}/a.png"


def refusal(url: str, **how: Any) -> NotFetched:
    with pytest.raises(NotFetched) as caught:
        get(url, **how)
    return caught.value


def to(location: str, status: str = "302 Found") -> Behaviour:
    return answer(b"", status, Location=location)


# ---- what is fetched ---------------------------------------------------------------------------------


def test_a_picture_comes_and_nothing_of_ours_goes_along() -> None:
    with far_end(answer(PICTURE, content_type="image/png")) as there:
        assert get(at(there)) == PICTURE
        [request] = there.requests
    assert set(request.headers) <= {"host", "accept", "accept-encoding", "user-agent"}
    assert request.headers["accept-encoding"] == "identity"


def test_a_redirect_to_another_public_host_is_followed() -> None:
    with far_end(answer(PICTURE)) as there, far_end(to(at(there, "moved.example"))) as first:
        assert get(at(first)) == PICTURE
        assert there.requests[0].headers["host"] == f"moved.example:{there.port}"


def test_a_redirect_within_a_host_is_followed() -> None:
    with far_end(to("/b.png"), answer(PICTURE)) as there:
        assert get(at(there)) == PICTURE
        assert there.lines == ["GET /a.png HTTP/1.1", "GET /b.png HTTP/1.1"]


def test_redirects_end_somewhere() -> None:
    with far_end(to("/a.png")) as there:
        assert "redirects" in str(refusal(at(there)))
        assert len(there.requests) == 6


# ---- what is not -------------------------------------------------------------------------------------

# {port} is where a canary listens on this machine: on 127.0.0.1 and, were it asked, on all others.
PRIVATE = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.1.2.3:{port}/",
    "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.0.0.01:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://a.localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fc00::1]:{port}/",
    "http://[fd00:ec2::254]:{port}/",
    "http://[ff02::1]:{port}/",
    "http://10.0.0.1:{port}/",
    "http://10.255.255.255:{port}/",
    "http://172.16.0.1:{port}/",
    "http://172.31.255.255:{port}/",
    "http://192.168.0.1:{port}/",
    "http://192.168.255.255:{port}/",
    "http://169.254.169.254:{port}/latest/meta-data/",
    "http://169.254.0.1:{port}/",
    "http://100.64.0.1:{port}/",
    "http://100.127.255.255:{port}/",
    "http://192.0.0.1:{port}/",
    "http://192.0.2.1:{port}/",
    "http://198.18.0.1:{port}/",
    "http://198.51.100.1:{port}/",
    "http://203.0.113.1:{port}/",
    "http://224.0.0.1:{port}/",
    "http://240.0.0.1:{port}/",
    "http://255.255.255.255:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://ｌocalhost:{port}/",
    "http://pictures.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@pictures.example/",
    "http://127.0.0.1:{port}\\@pictures.example/",
    "http://127.0.0.1:{port}?.pictures.example/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:127.0.0.1:{port}",
    "//127.0.0.1:{port}/",
    "http://\t127.0.0.1:{port}/",
    "http://metadata.example:{port}/",
    "http://inside.example:{port}/",
    "http://both.example:{port}/",
    "http://six.example:{port}/",
    "http://mapped.example:{port}/",
    "http://nat64.example:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/hostname",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "data:image/png;base64,AAAA",
    "http://",
    "",
]


@pytest.fixture(scope="module")
def canary() -> Iterator[FarEnd]:
    with far_end(answer(PICTURE)) as there:
        yield there


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_never_connected_to(address: str, canary: FarEnd) -> None:
    # Only the addresses of names are the test's: what is written in the URL is judged as in life.
    rules = Rules(resolver=Names)
    assert not refusal(address.format(port=canary.port), rules=rules).temporary
    assert canary.requests == []


@pytest.mark.parametrize("address", PRIVATE)
def test_no_redirect_leads_there_either(address: str, canary: FarEnd) -> None:
    hidden = address.format(port=canary.port).encode().decode("latin-1")
    with far_end(to(hidden), answer(PICTURE, "404 Not Found")) as there:
        refusal(at(there))
    assert canary.requests == []


def test_a_name_that_leads_elsewhere_the_second_time_leads_nowhere(canary: FarEnd) -> None:
    """It is looked up once, where the connection is made: there is no second time."""

    class Rebinding(Names):
        turns = iter([["93.184.215.14"], ["127.0.0.1"]])

        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
            Names.answers["rebind.example"] = next(self.turns)
            return await super().resolve("rebind.example", port, family)

    rules = Rules(resolver=Rebinding)
    refusal(f"http://rebind.example:{canary.port}/", rules=rules, timeout=0.5)
    refusal(f"http://rebind.example:{canary.port}/", rules=rules, timeout=0.5)
    assert canary.requests == []


def test_behind_a_proxy_a_name_must_be_public_here_too(canary: FarEnd) -> None:
    proxies = Proxies.from_environment({"HTTP_PROXY": f"http://127.0.0.1:{canary.port}"})
    with pytest.raises(NotFetched):
        fetch(
            "http://inside.example/a.png",
            timeout=5,
            max_bytes=100,
            proxies=proxies,
            rules=Rules(resolver=Names),
        )
    assert canary.requests == []


# ---- far ends that do not behave ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "temporary", "words"),
    [
        (answer(b"", "404 Not Found"), False, "HTTP 404"),
        (answer(b"", "403 Forbidden"), False, "HTTP 403"),
        (answer(b"", "429 Too Many Requests"), True, "HTTP 429"),
        (answer(b"", "503 Service Unavailable"), True, "HTTP 503"),
        (answer(b"x" * 1001), False, "larger than 1000 bytes"),
        (trickle(head(content_type="image/png")), False, "larger"),
        (answer(b"packed", Content_Encoding="gzip"), False, "packed"),
        (send(head(content_length="99") + b"half"), True, "connection failed"),
        (hang_up, True, "connection failed"),
        (say_nothing, True, "within"),
    ],
)
def test_what_does_not_come_whole_is_told(
    behaviour: Behaviour, temporary: bool, words: str
) -> None:
    limit = 20 if words == "larger" else 1000
    with far_end(behaviour) as there:
        error = refusal(at(there), timeout=2, max_bytes=limit)
    assert error.temporary is temporary
    assert words in str(error)
