# ruff: noqa: RUF001  (Chinese marks are meant)

import pytest

from providers.preview.text import fit, font, largest_font, wrap

MISSING = "\U0010ffff"


def test_every_common_chinese_character_has_a_glyph() -> None:
    rows, cells = range(0xB0, 0xF8), range(0xA1, 0xFF)
    codes = (bytes([row, cell]) for row in rows for cell in cells)
    common = [character for code in codes if (character := code.decode("gb2312", "ignore"))]
    assert len(common) == 6763
    assert tofu_in(common) == []


def test_latin_letters_and_chinese_marks_have_glyphs() -> None:
    latin = [chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0x100)) if code != 0xAD]
    assert (
        tofu_in([*latin, *"‘’“”…—–•‰€、。《》「」『』【】〔〕，．！？：；（）～￥ＡＺａｚ０９"])
        == []
    )


def tofu_in(characters: list[str]) -> list[str]:
    face = font(20)
    tofu = bytes(face.getmask(MISSING))
    return [character for character in characters if bytes(face.getmask(character)) == tofu]


def test_two_chinese_characters_look_different() -> None:
    assert bytes(font(20).getmask("山")) != bytes(font(20).getmask("水"))


def test_latin_words_stay_whole_and_chinese_breaks_between_characters() -> None:
    width = int(font(20).getlength("一座白色灯塔"))
    lines = list(wrap("一座白色灯塔 lighthouse 在海边的黄昏", font(20), width))
    assert lines == ["一座白色灯塔", "lighthouse", "在海边的黄昏"]


def test_a_mark_neither_begins_nor_ends_a_line_it_must_not() -> None:
    width = int(font(20).getlength("一座白色灯塔"))
    assert list(wrap("一座白色灯塔，她说“等等我”", font(20), width)) == [
        "一座白色灯",
        "塔，她说“等",
        "等我”",
    ]


def test_a_word_longer_than_a_line_is_broken_anywhere() -> None:
    width = int(font(20).getlength("xxxx"))
    assert list(wrap("a xxxxxx b", font(20), width)) == ["a xx", "xxxx", "b"]


def test_a_text_that_fits_keeps_the_first_size_and_its_paragraphs() -> None:
    face, lines = fit("One.\r\n\r\n  Two\tthree. ", 400, 200, (40, 20))
    assert (face.size, lines) == (40, ["One.", "Two three."])


def test_a_text_that_does_not_fit_is_cut_at_the_last_size() -> None:
    face, lines = fit("一二三四五六七八九十" * 9, 100, 60, (40, 20))
    assert (face.size, lines) == (20, ["一二三四五", "六七八九…"])


def test_what_cannot_be_seen_is_left_out() -> None:
    assert fit("a\u200bb\ufe0f\u202ec\x00", 400, 200, (20,))[1] == ["abc"]


@pytest.mark.parametrize(("text", "size"), [("SHOT 1", 76), ("SHOT 2147483647", 20)])
def test_the_largest_font_that_fits_is_found(text: str, size: int) -> None:
    assert largest_font(text, 300, (76, 20)).size == size
