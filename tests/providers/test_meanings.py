from datetime import date

import pytest

from providers.errors import Code, Failure
from providers.meanings import CODES, WORDINGS, Meaning, of_code, of_text
from providers.replies import ErrorBody, meaning, told_failure

INPUT_REFUSED = Meaning(Code.CONTENT_POLICY)
OUTPUT_REFUSED = Meaning(Code.CONTENT_POLICY, output_refused=True)
NO_MONEY = Meaning(Code.QUOTA_EXCEEDED)
GONE = Meaning(Code.DEPENDENCY_ERROR, gone=True)


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        # A code is finer than any status, and beats any text.
        (ErrorBody("余额不足", "moderation_blocked"), 402, INPUT_REFUSED),
        (ErrorBody("", "", "insufficient_quota"), 429, NO_MONEY),
        (ErrorBody("", "SAFETY.INPUT.TEXT"), None, INPUT_REFUSED),
        (ErrorBody("", "SAFETY.OUTPUT.THIRD_PARTY"), None, OUTPUT_REFUSED),
        (ErrorBody("", "OutputVideoSensitiveContentDetected"), None, OUTPUT_REFUSED),
        (ErrorBody("", "InputTextSensitiveContentDetected"), None, INPUT_REFUSED),
        # A status that says what is wrong beats the text.
        (ErrorBody("此内容可能违反了我们的内容政策。"), 401, Meaning(Code.UNAUTHORIZED)),
        (ErrorBody("余额不足"), 429, Meaning(Code.RATE_LIMITED)),
        (ErrorBody("No such model."), 404, GONE),
        (ErrorBody("余额不足"), 500, Meaning(Code.SERVER_ERROR)),
        # Where the status leaves it open, the text tells.
        (ErrorBody("此内容可能违反了我们的内容政策。"), 400, INPUT_REFUSED),
        (ErrorBody("用户额度不足"), 403, NO_MONEY),
        (ErrorBody("Veo 3.1 is no longer available."), 400, GONE),
        (ErrorBody("You are not allowed."), 403, Meaning(Code.FORBIDDEN)),
        (ErrorBody("seconds must be a string"), 400, Meaning(Code.VALIDATION_ERROR)),
        # Inside a success there is no status, but perhaps a code that is one.
        (ErrorBody("The engine died.", "500"), None, Meaning(Code.SERVER_ERROR)),
        (ErrorBody("prediction was flagged as sensitive (E005)"), None, INPUT_REFUSED),
        (ErrorBody("The stars were wrong.", "5003"), None, None),
        (ErrorBody(""), None, None),
        # A status that means nothing.
        (ErrorBody(""), 418, None),
    ],
)
def test_code_then_status_then_text(
    error: ErrorBody, status: int | None, expected: Meaning | None
) -> None:
    assert meaning(error, status) == expected


def test_codes_are_found_whatever_their_case() -> None:
    assert all(code == code.lower() for code in CODES)
    assert of_code("", "Moderation_Blocked") == INPUT_REFUSED
    assert of_code("invalid_request_error", "") is None


def test_each_wording_says_who_and_when() -> None:
    assert all(each.source and each.passage == each.passage.lower() for each in WORDINGS)
    assert all(date(2025, 1, 1) < each.seen <= date(2026, 11, 22) for each in WORDINGS)
    assert all(of_text(f"… {each.passage} …") is not None for each in WORDINGS)
    assert len({each.passage for each in WORDINGS}) == len(WORDINGS)


@pytest.mark.parametrize(
    "text",
    [
        "The server had an error while processing your request.",
        "生成失败，请稍后重试",
        "Your prompt is too long.",
        "The account does not exist.",
    ],
)
def test_a_text_that_says_nothing_certain_means_nothing(text: str) -> None:
    assert of_text(text) is None


def test_a_failure_keeps_the_providers_own_word_and_not_the_prompt() -> None:
    error = ErrorBody('"A famous singer on a bus" may violate our rules', "E005")
    assert told_failure(error, prompt="A famous singer on a bus") == Failure(
        Code.CONTENT_POLICY, '"…" may violate our rules', provider_code="E005"
    )
