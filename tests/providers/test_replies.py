import pytest

from providers.errors import Code, Failure
from providers.messages import clean, hide
from providers.replies import ErrorBody, error_body, json_object, percent, retry_after

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a": '])
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert json_object(body) is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (None, ErrorBody()),
        ({}, ErrorBody()),
        (
            {"error": {"message": "No.", "type": "t", "code": "c", "param": None}},
            ErrorBody("No.", "c", "t"),
        ),
        ({"error": {"message": {"a": 1}, "code": 13}}, ErrorBody("", "13")),
        ({"error": "No."}, ErrorBody("No.")),
        ({"error": None}, ErrorBody()),
        ({"detail": "No."}, ErrorBody("No.")),
        ({"detail": [{"loc": ["body"], "msg": "No."}, {"msg": "Nor that."}]}, ErrorBody("No.")),
        ({"code": "c", "message": "No.", "data": None}, ErrorBody("No.", "c")),
    ],
)
def test_an_error_is_read_from_whichever_envelope(
    body: dict[str, object] | None, error: ErrorBody
) -> None:
    assert error_body(body) == error


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "12", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "99999999"}, 86400),
        ({"retry-after": "Sun, 22 Nov 2026 10:01:00 GMT", "date": DATE}, 60),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Sun, 22 Nov 1970 09:00:00 GMT"}, 0),
    ],
)
def test_the_time_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        *[(42, 42), (41.9, 41), ("30%", 30), ("7", 7), (-1, 0), (1e9, 100), ("1e400", None)],
        *[(None, None), (True, None), ("half", None), ([], None), ("nan%", None)],
    ],
)
def test_progress_is_a_whole_number_of_percent_or_unknown(
    progress: object, expected: int | None
) -> None:
    assert percent(progress) == expected


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Incorrect API key provided: sk-proj-abc***xyz.", "Incorrect API key provided: …."),
        ("Got Authorization: Bearer abcdef123456", "Got Authorization: …"),
        ("api_key=abc123 is wrong", "… is wrong"),
        ("see https://files.example/a?sig=1 now", "see … now"),
        ("data:image/png;base64,AAAA is no image", "… is no image"),
        ("two\nlines\x00and\ttabs\ud800", "two lines and tabs"),
        ("违反内容政策", "违反内容政策"),
        ("Video 'video_69a1f0c2' not found", "Video 'video_69a1f0c2' not found"),
        ("The task-based risk-free key is fine", "The task-based risk-free key is fine"),
    ],
)
def test_a_message_holds_no_key_no_address_and_one_line(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_a_message_is_short() -> None:
    assert clean("a" * 1000) == "a" * 499 + "…"


@pytest.mark.parametrize(
    ("message", "hidden"),
    [
        ("Blocked: 'A singer dances on a roof at night'.", "Blocked: '…'."),
        ("Blocked: 'A singer dances on…'.", "Blocked: '……'."),
        ("A singer dances on a roof at night", "…"),
        ("Blocked for the dances.", "Blocked for the dances."),
    ],
)
def test_a_quoted_prompt_is_hidden_in_whole_and_in_part(message: str, hidden: str) -> None:
    failure = Failure(Code.CONTENT_POLICY, message, 400)
    expected = Failure(Code.CONTENT_POLICY, hidden, 400)
    assert hide(failure, "A singer dances on a roof at night", "") == expected
