"""Taking secrets out of text: in whole, in part, and as addresses, pages and base64 spell them."""

import base64
import logging
from html import escape
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cineflow.core import environment, redaction, spellings
from cineflow.core.debug_page import Reporter

KEY = "sk-canary+4f1d2c9b8a7e/0a1b2c3d4e5f&6="


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_known", {KEY})


@pytest.mark.parametrize(
    "spelt",
    [
        KEY,
        quote(KEY, safe=""),
        escape(KEY),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(f"Bearer {KEY}".encode()).decode(),
        KEY[3:25],
        KEY[-16:],
    ],
)
def test_a_secret_is_taken_out_in_every_spelling(spelt: str) -> None:
    said = spellings.without(f"You sent {spelt} to us.", KEY)
    assert said.startswith("You sent ")
    assert said.endswith(" to us.")
    assert spelt[6:22] not in said


@hypothesis.settings(deadline=None)
@given(before=st.binary(max_size=40), after=st.binary(max_size=40), urlsafe=st.booleans())
def test_a_secret_is_found_wherever_it_stands_in_packed_bytes(
    before: bytes, after: bytes, urlsafe: bool
) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    packed = encode(before + KEY.encode() + after).decode()
    left = spellings.without(packed, KEY)
    assert spellings.MARK in left
    # What is left of it are characters that its neighbours have a part in.
    assert len(packed) - len(left) >= len(KEY) * 4 // 3 - 4


@hypothesis.settings(deadline=None)
@given(text=st.text(max_size=200))
def test_a_text_without_the_secret_stays_as_it_is(text: str) -> None:
    assert spellings.without(text, KEY) == text


@pytest.mark.parametrize("secret", ["", "abc"])
def test_what_is_too_short_to_be_a_secret_is_left(secret: str) -> None:
    assert spellings.without("abc of the city", secret) == "abc of the city"


def test_a_long_text_is_hidden_as_it_stands_and_not_spelt_in_all_ways() -> None:
    prompt = "".join(chr(0x4E00 + number) for number in range(600))
    assert spellings.spellings(prompt) == (prompt,)
    assert spellings.without(f"Refused: {prompt}", prompt) == "Refused: …"


def logged(record: logging.LogRecord) -> str:
    formatter = redaction.Formatter("{levelname}: {message}", style="{")
    return formatter.format(record)


def test_a_line_of_the_log_has_no_secret_in_its_words_or_its_stack(known: None) -> None:
    try:
        raise RuntimeError(f"with {KEY}")
    except RuntimeError as error:
        about = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "sent %s", (KEY,), about)
    text = logged(record)
    assert text.startswith("ERROR: sent …\n")
    assert text.endswith("RuntimeError: with …")
    assert KEY not in text


def test_the_page_of_an_exception_shows_frames_without_secrets(known: None) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    try:
        raise RuntimeError(f"{KEY} in {headers}")
    except RuntimeError as error:
        reporter = Reporter(None, type(error), error, error.__traceback__)
    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert "RuntimeError" in page
        assert KEY not in page
        assert escape(KEY) not in page
    assert "headers" in reporter.get_traceback_html()


def test_without_settings_nothing_is_known_and_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "_known", set())
    assert redaction.redacted(f"sent {KEY}") == f"sent {KEY}"
