import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.base import HttpAnswer, HttpCall, NoAnswer
from providers.errors import Code
from providers.http import PollClient, Proxies
from tests.providers.far_end import (
    Behaviour,
    answer,
    far_end,
    hang_up,
    head,
    reset,
    say_nothing,
    send,
    trickle,
)


@pytest.fixture
def client() -> Iterator[PollClient]:
    found = PollClient()
    yield found
    found.close()


def get(url: str) -> HttpCall:
    return HttpCall("GET", url, secret_headers={"Authorization": "Bearer sk-secret-key"})


def test_answers_come_in_the_order_of_the_calls(client: PollClient) -> None:
    with far_end(answer(b"one", X_Who="a")) as first, far_end(answer(b"two", "404 No")) as second:
        answers = client.ask([get(first.url), get(second.url), get(first.url)], timeout=10)
    one = HttpAnswer(200, {"content-length": "3", "x-who": "a"}, b"one")
    assert answers == [one, HttpAnswer(404, {"content-length": "3"}, b"two"), one]
    assert first.requests[0].headers["authorization"] == "Bearer sk-secret-key"


def test_no_calls_are_no_answers(client: PollClient) -> None:
    assert client.ask([], timeout=10) == []


def test_a_redirect_is_an_answer(client: PollClient) -> None:
    with (
        far_end(answer()) as elsewhere,
        far_end(answer(b"", "302 Found", Location=elsewhere.url)) as there,
    ):
        [found] = client.ask([get(there.url)], timeout=10)
    assert isinstance(found, HttpAnswer)
    assert (found.status, elsewhere.requests) == (302, [])


def test_a_name_and_password_in_an_address_are_left_out(client: PollClient) -> None:
    with far_end(answer(b"fine")) as there:
        url = there.url.replace("http://", "http://somebody:word@")
        (found,) = client.ask([get(url)], timeout=10)
    assert isinstance(found, HttpAnswer)
    assert there.requests[0].headers["authorization"] == "Bearer sk-secret-key"


BROKEN: dict[str, tuple[Behaviour, Code]] = {
    "hung up": (hang_up, Code.DEPENDENCY_ERROR),
    "reset": (reset, Code.DEPENDENCY_ERROR),
    "no HTTP": (send(b"\0\1\r\n\r\n"), Code.DEPENDENCY_ERROR),
    "cut": (send(head(content_length="9") + b"{"), Code.DEPENDENCY_ERROR),
    "endless": (send(head() + b" " * (4 * 1024 * 1024 + 1)), Code.SERVER_ERROR),
    "silent": (say_nothing, Code.TIMEOUT),
    "a header a byte at a time": (trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "), Code.TIMEOUT),
    "a body a byte at a time": (trickle(head(content_length="1000000")), Code.TIMEOUT),
}


@pytest.mark.parametrize(("behaviour", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_disturbs_no_other(
    client: PollClient, behaviour: Behaviour, code: Code
) -> None:
    with far_end(answer(b"fine")) as good, far_end(behaviour) as bad:
        broken, fine = client.ask([get(bad.url), get(good.url)], timeout=1)
    assert isinstance(broken, NoAnswer)
    assert (broken.failure.code, broken.gone) == (code, False)
    assert isinstance(fine, HttpAnswer)


@pytest.mark.parametrize("url", ["", "no address", "ftp://127.0.0.1/", "http://nowhere.invalid/"])
def test_an_address_that_leads_nowhere_disturbs_no_other(client: PollClient, url: str) -> None:
    with far_end(answer(b"fine")) as good:
        broken, fine = client.ask([get(url), get(good.url)], timeout=10)
    assert isinstance(broken, NoAnswer)
    assert isinstance(fine, HttpAnswer)


def test_a_given_proxy_is_used_and_the_environment_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with far_end(answer(b"by proxy")) as proxy, far_end(answer(b"direct")) as there:
        client = PollClient(proxies=Proxies(http=f"127.0.0.1:{proxy.port}"))
        client.ask([get("http://provider.invalid/videos/1"), get(there.url)], timeout=10)
        client.close()
    assert proxy.lines == ["GET http://provider.invalid/videos/1 HTTP/1.1"]
    assert len(there.requests) == 1


def test_threads_share_it(client: PollClient) -> None:
    with far_end(answer(b"fine")) as there, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.ask, [get(there.url)] * 3, timeout=10) for _ in range(8)]
        answers = [found for each in asked for found in each.result()]
    assert [isinstance(found, HttpAnswer) for found in answers] == [True] * 24


def test_closing_ends_what_is_under_way_and_the_next_question_starts_anew(
    client: PollClient,
) -> None:
    asked = threading.Event()

    def hold(connection: object) -> None:
        asked.set()
        say_nothing(connection)  # type: ignore[arg-type]

    with far_end(hold) as there, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.ask, [get(there.url)], timeout=60)
        asked.wait(10)
        client.close()
        assert isinstance(waiting.result()[0], NoAnswer)
    with far_end(answer(b"fine")) as there:
        assert isinstance(client.ask([get(there.url)], timeout=10)[0], HttpAnswer)


def test_a_process_that_forgets_to_close_it_ends_without_a_word() -> None:
    script = (
        "import sys; from providers.base import HttpCall; from providers.http import PollClient\n"
        "client = PollClient()\n"
        "client.ask([HttpCall('GET', sys.argv[1])], timeout=10)"
    )
    with far_end(answer(b"fine")) as there:
        done = subprocess.run(
            [sys.executable, "-W", "default", "-c", script, there.url],
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(there.requests) == 1
