import pytest

from providers.proxies import Proxies

BOTH = {"HTTP_PROXY": "http://plain:1", "https_proxy": "secure:2"}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://api.example/v1", "http://plain:1"),
        ("https://api.example/v1", "http://secure:2"),
        ("http://127.0.0.1:8000/", None),
        ("http://127.9.9.9/", None),
        ("http://localhost:8000/", None),
        ("http://simulator.localhost/", None),
        ("http://[::1]:8000/", None),
        ("http://localhost.example/", "http://plain:1"),
    ],
)
def test_loopback_never_goes_through_a_proxy(url: str, proxy: str | None) -> None:
    assert Proxies.from_environment(BOTH).choose(url) == proxy


@pytest.mark.parametrize(
    ("bypass", "url"),
    [
        ("*", "http://api.example/"),
        ("other, api.example", "http://api.example/"),
        (".example", "http://api.example/"),
        ("*.example", "http://api.example/"),
        ("EXAMPLE", "http://API.example./"),
        ("api.example:8080", "http://api.example:8080/"),
        ("10.0.0.0/8", "http://10.1.2.3/"),
        ("10.1.2.3", "http://10.1.2.3/"),
        ("[fd00::1]", "http://[fd00::1]/"),
    ],
)
def test_no_proxy_names_who_is_reached_directly(bypass: str, url: str) -> None:
    assert Proxies.from_environment(BOTH | {"NO_PROXY": bypass}).choose(url) is None


@pytest.mark.parametrize(
    "bypass", ["", " , ", "pi.example", "api.example:80", "10.0.0.0/8", "example.", "."]
)
def test_others_go_through_the_proxy(bypass: str) -> None:
    proxies = Proxies.from_environment(BOTH | {"no_proxy": bypass})
    assert proxies.choose("http://api.exampl:8080/") == "http://plain:1"


def test_without_a_proxy_there_is_none() -> None:
    assert Proxies.from_environment({}).choose("https://api.example/") is None


def test_a_password_in_a_proxy_is_not_shown() -> None:
    assert "secret" not in repr(Proxies(http="http://me:secret@proxy"))
