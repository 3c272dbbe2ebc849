import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.base import HttpAnswer, HttpCall
from providers.errors import Code
from providers.http import NotSent, Proxies, SentNoAnswer, Transport
from tests.providers.far_end import (
    Behaviour,
    FarEnd,
    answer,
    far_end,
    hang_up,
    head,
    reset,
    say_nothing,
    send,
    trickle,
)

PATIENT = Transport(timeout=10)
HURRIED = Transport(timeout=1)


def paid(url: str, key: str = "sk-secret-key", **more: object) -> HttpCall:
    return HttpCall(
        "POST", url, secret_headers={"Authorization": f"Bearer {key}"}, json={"prompt": "dusk"}
    )


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound and not listening: nobody else can take it
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def submit(
    behaviour: Behaviour, transport: Transport = PATIENT
) -> tuple[HttpAnswer | NotSent | SentNoAnswer, FarEnd]:
    with far_end(behaviour) as there:
        return transport.submit(paid(there.url)), there


# ---- answered ------------------------------------------------------------------------------------


def test_an_answer_comes_back_whole() -> None:
    outcome, there = submit(answer(b'{"id": "v1"}', "202 Accepted", X_Request_Id="r1"))
    assert outcome == HttpAnswer(
        202, {"content-length": "12", "x-request-id": "r1"}, b'{"id": "v1"}'
    )
    assert there.lines == ["POST /v1/videos HTTP/1.1"]
    assert there.requests[0].body == b'{"prompt": "dusk"}'
    assert there.requests[0].headers["authorization"] == "Bearer sk-secret-key"


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Oops", "503 Unavailable"])
def test_an_error_is_an_answer_and_is_not_asked_for_again(status: str) -> None:
    outcome, there = submit(answer(b"", status, Retry_After="0"))
    assert isinstance(outcome, HttpAnswer)
    assert len(there.requests) == 1


def test_a_redirect_of_a_paid_call_is_an_answer_and_is_not_followed() -> None:
    with far_end(answer()) as elsewhere:
        outcome, there = submit(answer(b"", "307 Moved", Location=elsewhere.url))
    assert isinstance(outcome, HttpAnswer)
    assert outcome.status == 307
    assert (len(there.requests), elsewhere.requests) == (1, [])


def test_each_submit_has_a_connection_of_its_own() -> None:
    with far_end(answer()) as there:
        for _ in range(2):
            assert isinstance(PATIENT.submit(paid(there.url)), HttpAnswer)
    assert [request.headers["connection"] for request in there.requests] == ["close", "close"]


def test_a_refusal_before_the_whole_body_was_read_is_an_answer() -> None:
    def refuse_early(connection: socket.socket) -> None:
        connection.sendall(head("413 Too Large", content_length="0"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    files = {"input_reference": ("start.png", b"\0" * 8_000_000, "image/png")}
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        sent = pool.submit(PATIENT.submit, HttpCall("POST", url, form={"a": "b"}, files=files))
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(100)
            refuse_early(connection)
        outcome = sent.result()
    assert outcome == HttpAnswer(413, {"content-length": "0"}, b"")


# ---- not sent ------------------------------------------------------------------------------------


def test_a_refused_connection_was_not_sent(closed_port: int) -> None:
    outcome = PATIENT.submit(paid(f"http://127.0.0.1:{closed_port}/"))
    assert isinstance(outcome, NotSent)
    assert outcome.failure.code is Code.DEPENDENCY_ERROR
    assert outcome.failure.message == "Could not connect: connection refused."


def test_an_unknown_host_was_not_sent() -> None:
    outcome = PATIENT.submit(paid("http://nowhere.invalid/videos"))
    assert isinstance(outcome, NotSent)
    assert outcome.failure.message == "Could not connect: the host's name is not known."


@pytest.mark.parametrize("behaviour", [hang_up, reset, answer(b"this is no TLS")])
def test_a_failed_tls_handshake_was_not_sent(behaviour: Behaviour) -> None:
    with far_end(behaviour) as there:
        outcome = PATIENT.submit(paid(there.url.replace("http:", "https:")))
    assert isinstance(outcome, NotSent)
    assert there.requests == []


def test_a_tls_handshake_that_never_ends_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outcome = HURRIED.submit(paid(f"https://127.0.0.1:{silent.getsockname()[1]}/"))
    assert isinstance(outcome, NotSent)


def test_a_connection_that_is_open_too_late_stays_unused() -> None:
    with far_end(answer()) as there:
        outcome = PATIENT.submit(paid(there.url), send_by=time.monotonic() - 1)
    assert isinstance(outcome, NotSent)
    assert outcome.too_late
    assert there.requests == []


@pytest.mark.parametrize("key", ["sk-“quoted”", "sk-two\nlines"])
def test_a_key_that_no_header_can_carry_is_not_sent_and_not_told(key: str) -> None:
    with far_end(answer()) as there:
        outcome = PATIENT.submit(paid(there.url, key))
    assert isinstance(outcome, NotSent)
    assert outcome.failure.code is Code.UNAUTHORIZED
    assert key not in outcome.failure.message
    assert there.requests == []


@pytest.mark.parametrize(
    "url", ["", "api.example.com/v1", "http://", "ftp://127.0.0.1/", "file:///"]
)
def test_what_is_no_web_address_is_not_sent(url: str) -> None:
    assert isinstance(PATIENT.submit(paid(url)), NotSent)


# ---- sent, no answer -----------------------------------------------------------------------------

BROKEN = {
    "hung up": hang_up,
    "reset": reset,
    "half a status line": send(b"HTTP/1.1 2"),
    "no HTTP at all": send(b"\0\1\2\3\r\n\r\n"),
    "a cut body": send(head(content_length="100") + b'{"id": "v1"}'),
    "a cut chunk": send(head(transfer_encoding="chunked") + b'ff\r\n{"id"'),
    "a wrong compression": send(head(content_length="4", content_encoding="gzip") + b"abcd"),
    "an endless answer": send(head() + b" " * (4 * 1024 * 1024 + 1)),
}
SLOW = {
    "silence": say_nothing,
    "a header a byte at a time": trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "a body a byte at a time": trickle(head(content_length="1000000")),
    "a body without a length": trickle(head()),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
def test_a_lost_answer_to_the_paid_call_is_never_resent(behaviour: Behaviour) -> None:
    outcome, there = submit(behaviour)
    assert isinstance(outcome, SentNoAnswer)
    assert outcome.failure.code is Code.SERVER_ERROR
    assert there.lines == ["POST /v1/videos HTTP/1.1"]


@pytest.mark.parametrize("behaviour", SLOW.values(), ids=SLOW)
def test_the_deadline_holds_for_an_answer_that_never_ends(behaviour: Behaviour) -> None:
    outcome, there = submit(behaviour, HURRIED)
    assert isinstance(outcome, SentNoAnswer)
    assert outcome.failure.code is Code.TIMEOUT
    assert outcome.failure.message == "No answer within 1 seconds."
    assert there.lines == ["POST /v1/videos HTTP/1.1"]


def test_the_deadline_holds_for_a_far_end_that_does_not_read() -> None:
    files = {"input_reference": ("start.png", b"\0" * 20_000_000, "image/png")}
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        outcome = HURRIED.submit(HttpCall("POST", url, form={}, files=files))
    assert isinstance(outcome, SentNoAnswer)


def test_what_is_under_way_when_the_process_ends_is_told_as_sent() -> None:
    transport = Transport(timeout=10)
    asked = threading.Event()

    def hold(connection: socket.socket) -> None:
        asked.set()
        connection.recv(1)

    with far_end(hold) as there:
        (answer,) = transport.submit_all([paid(there.url)])
        assert asked.wait(10)
        transport.close()
        assert isinstance(answer.result(10), SentNoAnswer)
    assert len(there.requests) == 1


def test_what_is_not_open_yet_when_the_process_ends_is_told_as_not_sent() -> None:
    transport = Transport(timeout=10)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        (answer,) = transport.submit_all([paid(url)])
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)  # its TLS handshake has begun, and never ends
            transport.close()
            assert isinstance(answer.result(10), NotSent)


def test_what_is_sent_together_is_answered_each_for_itself(closed_port: int) -> None:
    with far_end(answer(b"one")) as there, far_end(hang_up) as rude:
        urls = [there.url, rude.url, f"http://127.0.0.1:{closed_port}/", "no address"]
        answers = PATIENT.submit_all([paid(url) for url in urls])
        kinds = [type(each.result(10)) for each in answers]
    assert kinds == [HttpAnswer, SentNoAnswer, NotSent, NotSent]


def read_to_the_end(connection: socket.socket) -> None:
    connection.settimeout(10)
    while connection.recv(1 << 20):
        pass


def test_a_deadline_throws_away_what_was_not_taken_yet() -> None:
    files = {"input_reference": ("start.png", b"\0" * 20_000_000, "image/png")}
    with socket.create_server(("127.0.0.1", 0)) as slow:
        url = f"http://127.0.0.1:{slow.getsockname()[1]}/"
        with ThreadPoolExecutor() as pool:
            sent = pool.submit(HURRIED.submit, HttpCall("POST", url, form={}, files=files))
            connection, _ = slow.accept()
            assert isinstance(sent.result(10), SentNoAnswer)
        with connection, pytest.raises(ConnectionResetError):
            read_to_the_end(connection)


# ---- proxies and secrets -------------------------------------------------------------------------


def test_the_environment_is_not_read_behind_our_back(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    outcome, _ = submit(answer(b"direct"))
    assert isinstance(outcome, HttpAnswer)


def test_a_given_proxy_is_used() -> None:
    with far_end(answer(b"by proxy")) as proxy:
        transport = Transport(timeout=10, proxies=Proxies(http=f"http://127.0.0.1:{proxy.port}"))
        outcome = transport.submit(paid("http://provider.invalid/videos"))
    assert isinstance(outcome, HttpAnswer)
    assert proxy.lines == ["POST http://provider.invalid/videos HTTP/1.1"]


@pytest.mark.parametrize("behaviour", [answer(b"", "403 No"), hang_up, send(b"nonsense\r\n")])
def test_a_proxy_that_opens_no_tunnel_means_not_sent(behaviour: Behaviour) -> None:
    with far_end(behaviour) as proxy:
        transport = Transport(timeout=10, proxies=Proxies(https=f"http://127.0.0.1:{proxy.port}"))
        outcome = transport.submit(paid("https://provider.invalid/videos"))
    assert isinstance(outcome, NotSent)
    assert [line.split()[0] for line in proxy.lines] == ["CONNECT"]


def test_neither_key_nor_query_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with far_end(send(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")) as there:
        PATIENT.submit(paid(there.url + "?signature=s3cret"))
    assert "s3cret" not in caplog.text
    assert "secret-key" not in caplog.text
