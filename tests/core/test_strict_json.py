import itertools
import json
import re

import pytest

from cineflow.core.strict_json import StrictJSONError, parse

PIECES = [r"\\", r"\"", r"\ud83d", r"\ude00", r"\uDE00", r"\u0000", r"\u0041", "u0000", "[", "é"]


def problems(raw: bytes) -> list[tuple[list[str | int], str]]:
    with pytest.raises(StrictJSONError) as caught:
        parse(raw)
    return [(problem["loc"], problem["type"]) for problem in caught.value.problems]


def test_every_mix_of_escapes_is_judged_by_the_text_that_it_gives() -> None:
    for pieces in itertools.product(PIECES, repeat=4):
        raw = '{"a": ["' + "".join(pieces) + '"]}'
        text = json.loads(raw)["a"][0]
        if re.search("[\0\ud800-\udfff]", text):
            assert problems(raw.encode()) == [(["a", 0], "unsafe_character")], raw
        else:
            assert parse(raw.encode()) == {"a": [text]}, raw


def test_an_unsafe_key_is_told_in_a_form_that_can_be_written() -> None:
    assert problems(rb'{"a\ud800": 1}') == [(["a\ufffd"], "unsafe_character")]


@pytest.mark.parametrize("depth", [32, 33, 100_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"[":', "}")])
def test_more_than_32_levels_are_refused(depth: int, left: str, right: str) -> None:
    raw = (left * depth + "1" + right * depth).encode()
    if depth <= 32:
        parse(raw)
    else:
        assert problems(raw) == [([], "too_deep")]


def test_brackets_inside_strings_are_no_depth() -> None:
    text = r"\\" + '[{"' * 50 + "\\"
    assert parse(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b'"', "json_invalid"),
        (b'{"a": 1}]]]', "json_invalid"),
        (b'"\\', "json_invalid"),
        (b'"\x00"', "json_invalid"),
        (b"\xef\xbb\xbf{}", "json_invalid"),
        (b'"\xff"', "unicode_error"),
        (b'"\xed\xa0\x80"', "unicode_error"),
        (b"[NaN]", "finite_number"),
        (b"[-Infinity]", "finite_number"),
        (b"[1e400]", "finite_number"),
        (b"[9007199254740993]", "int_too_large"),
        (b"[" + b"9" * 5_000 + b"]", "int_too_large"),
        (b'{"a": 1, "a": 2}', "repeated_key"),
    ],
)
def test_what_is_not_plain_json_is_refused(raw: bytes, kind: str) -> None:
    assert [found for _, found in problems(raw)] == [kind]
