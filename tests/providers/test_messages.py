"""What people get to read of a provider's words."""

import base64
from urllib.parse import quote

import pytest

from providers.errors import Code, Failure
from providers.messages import MESSAGE_LENGTH, clean, hide

KEY = "canary+4f1d2c9b8a7e/0a1b2c3d4e5f6="
PROMPT = "A city at dusk, seen from a hill"


def failed(message: str, code: str = "") -> Failure:
    return Failure(Code.UNAUTHORIZED, message, 401, provider_code=code)


@pytest.mark.parametrize(
    "spelt", [KEY, quote(KEY, safe=""), base64.b64encode(f"Key {KEY}".encode()).decode()]
)
def test_a_failure_has_no_key_in_its_words_or_in_the_providers_code(spelt: str) -> None:
    hidden = hide(failed(f"Bad: {spelt}.", f"bad_{spelt}"), PROMPT, KEY)
    assert spelt[8:24] not in hidden.message + hidden.provider_code
    assert hidden.message.startswith("Bad: ")
    assert hidden.provider_code.startswith("bad_")
    assert (hidden.code, hidden.http_status) == (Code.UNAUTHORIZED, 401)


def test_a_providers_code_stays_as_it_came() -> None:
    assert (
        hide(failed("No.", "SAFETY.INPUT.TEXT"), PROMPT, KEY).provider_code == "SAFETY.INPUT.TEXT"
    )


def test_a_prompt_that_is_quoted_is_taken_out() -> None:
    assert clean(f'Refused: "{PROMPT}" is not allowed', PROMPT) == 'Refused: "…" is not allowed'


def test_a_page_of_megabytes_becomes_one_short_line() -> None:
    text = clean("x" * 5_000_000 + KEY, KEY)
    assert len(text) == MESSAGE_LENGTH
