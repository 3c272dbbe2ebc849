import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from providers.base import Unverified
from providers.signatures import check_age, check_standard_webhook

SECRET = "whsec_" + base64.b64encode(b"a secret of both sides").decode()
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
BODY = '{"type": "video.completed", "say": "城市"}'.encode()


def signed(
    body: bytes, now: datetime, *, secret: str = SECRET, event_id: str = "msg_1"
) -> dict[str, str]:
    """The headers of a notice, made as the specification says."""
    timestamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{event_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def test_the_example_of_the_specification() -> None:
    """Of standardwebhooks.com: the values of its reference libraries' tests."""
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    now = datetime.fromtimestamp(1614265330, UTC)
    found = check_standard_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, body, now)
    assert found == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_a_notice_that_is_signed_tells_its_id() -> None:
    assert check_standard_webhook(SECRET, signed(BODY, NOW), BODY, NOW) == "msg_1"
    bare = SECRET.removeprefix("whsec_")
    assert check_standard_webhook(f" {bare}\n", signed(BODY, NOW), BODY, NOW) == "msg_1"


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed(BODY, NOW)
    other = signed(BODY, NOW, secret="whsec_b3RoZXI=")["webhook-signature"]
    both = {"webhook-signature": f"v1a,x {other} {headers['webhook-signature']}"}
    assert check_standard_webhook(SECRET, headers | both, BODY, NOW) == "msg_1"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_clock_may_be_wrong_by_five_minutes(seconds: int) -> None:
    sent = NOW + timedelta(seconds=seconds)
    assert check_standard_webhook(SECRET, signed(BODY, sent), BODY, NOW) == "msg_1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-id": "mśg"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": str(int(NOW.timestamp()) - 301)},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ünicode"},
        {"webhook-signature": signed(BODY, NOW)["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": signed(b"else", NOW)["webhook-signature"]},
        {"webhook-signature": signed(BODY, NOW, secret="whsec_b3RoZXI=")["webhook-signature"]},
    ],
)
def test_any_other_notice_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Unverified):
        check_standard_webhook(SECRET, signed(BODY, NOW) | change, BODY, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_notice_of_another_time_is_refused_although_it_is_signed(seconds: int) -> None:
    sent = NOW + timedelta(seconds=seconds)
    with pytest.raises(Unverified, match="too old"):
        check_standard_webhook(SECRET, signed(BODY, sent), BODY, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", " "])
def test_without_a_usable_secret_nothing_is_verified(secret: str) -> None:
    """An empty key signs as well as any other: anybody could."""
    headers = signed(BODY, NOW, secret="")
    with pytest.raises(Unverified, match="whsec_"):
        check_standard_webhook(secret, headers, BODY, NOW)


@pytest.mark.parametrize("timestamp", ["", "-1", "٣", "12.5", "now"])
def test_an_age_that_cannot_be_told_is_refused(timestamp: str) -> None:
    with pytest.raises(Unverified, match="when it was sent"):
        check_age(timestamp, NOW)
