"""Fits a prompt, in Chinese or Latin letters or both, into a box."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from PIL import ImageFont

FONT = Path(__file__).with_name("font.ttf")
LEADING = 1.45

_IDEOGRAPHS = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_OPENING = r"“‘（《〈「『【〔［｛"  # noqa: RUF001  Chinese marks are meant
_CLOSING = r"”’，。、；：？！）》〉」』】〕］｝…—～"  # noqa: RUF001
# A piece is what a line may not be broken within: a Latin word or one ideograph, with the marks
# that must not begin or end a line, after the blank that separates it from the piece before.
_PIECE = re.compile(rf"\s*[{_OPENING}]*(?:[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}]+)[{_CLOSING}]*")


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    # The basic layout: the other one depends on libraries that not every machine has.
    return ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)


def largest_font(text: str, width: float, sizes: tuple[int, ...]) -> ImageFont.FreeTypeFont:
    """The first of `sizes` (falling) at which the text fits on one line, or the last."""
    fitting = (size for size in sizes if font(size).getlength(text) <= width)
    return font(next(fitting, sizes[-1]))


def fit(
    text: str, width: int, height: int, sizes: tuple[int, ...]
) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """The text in lines at the first of `sizes` (falling) that fits, or its beginning at the last.

    `width` and `height` are the box in pixels.
    """
    text = _tidy(text)
    for size in sizes:
        room = int(height // (size * LEADING))
        # One line too many tells enough: a long text is not wrapped to its end at every size.
        lines = list(islice(wrap(text, font(size), width), room + 1))
        if len(lines) <= room:
            return font(size), lines
    last = _cut(lines[room - 1], font(size), width)
    return font(size), [*lines[: room - 1], last]


def wrap(text: str, face: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    for paragraph in text.split("\n"):
        line, used = "", 0.0
        for piece in _pieces(paragraph, face, width):
            length = face.getlength(piece)
            if line and used + length > width:
                yield line
                line = piece.lstrip()
                used = face.getlength(line)
            else:
                line, used = line + piece, used + length
        yield line


def _pieces(paragraph: str, face: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    for match in _PIECE.finditer(paragraph):
        piece = match.group()
        if face.getlength(piece) <= width:
            yield piece
        else:
            yield from piece


def _cut(line: str, face: ImageFont.FreeTypeFont, width: int) -> str:
    while line and face.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


def _tidy(text: str) -> str:
    """One blank between words, no empty lines, nothing invisible (a font draws that as a box)."""
    lines = (" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines())
    return "\n".join(filter(None, ("".join(filter(_is_visible, line)) for line in lines)))


def _is_visible(character: str) -> bool:
    is_variation_selector = "\ufe00" <= character <= "\ufe0f"
    return not is_variation_selector and unicodedata.category(character) not in ("Cc", "Cf", "Cs")
