"""Draws what an animatic shows: a still card, and the two small parts that move over it."""

import colorsys
from dataclasses import dataclass

from PIL import Image, ImageDraw

from providers.preview.text import LEADING, fit, font, largest_font

Colour = tuple[int, int, int]
BACKGROUND: Colour = (17, 22, 29)
CARD: Colour = (27, 35, 45)
TRACK: Colour = (48, 60, 74)
MUTED: Colour = (138, 152, 168)
TEXT: Colour = (232, 237, 242)

HEADING_SIZES = (76, 60, 48, 40, 32, 26)
# The last one is the smallest that can be read when a 720-line clip fills a laptop's player.
PROMPT_SIZES = (48, 44, 40, 36, 32, 29, 26, 24, 22, 20, 18)
HEADING_MIDDLE = 84


@dataclass(frozen=True)
class Shot:
    prompt: str
    number: int
    take: int
    seconds: int


@dataclass(frozen=True)
class Layout:
    """Where things are, in pixels. Even numbers: video halves the resolution of its colours."""

    width: int
    height: int
    aspect: str
    margin: int
    bar_height: int = 14
    timecode_size: tuple[int, int] = (180, 48)

    @property
    def right(self) -> int:
        return self.width - self.margin

    @property
    def inner_width(self) -> int:
        return self.right - self.margin

    @property
    def card_box(self) -> tuple[int, int, int, int]:
        return self.margin, 150, self.right, self.height - 168

    @property
    def timecode_at(self) -> tuple[int, int]:
        return self.margin, self.height - 144

    @property
    def bar_at(self) -> tuple[int, int]:
        return self.margin, self.height - 84


LAYOUTS = {
    "horizontal": Layout(width=1280, height=720, aspect="16:9", margin=56),
    "vertical": Layout(width=720, height=1280, aspect="9:16", margin=40),
}


def draw_still(shot: Shot, layout: Layout) -> Image.Image:
    image = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    _draw_heading(draw, shot, layout)
    _draw_format(draw, shot, layout)
    _draw_prompt(draw, shot, layout)
    _draw_length(draw, shot, layout)
    _draw_ruler(draw, shot, layout)
    return image


def draw_bar(shot: Shot, layout: Layout) -> Image.Image:
    """A full bar and, to its right, an empty one: a window sliding left over it shows progress."""
    image = Image.new("RGB", (2 * layout.inner_width, layout.bar_height), TRACK)
    image.paste(accent(shot.number), (0, 0, layout.inner_width, layout.bar_height))
    return image


def draw_timecode(tenths: int, layout: Layout) -> Image.Image:
    image = Image.new("RGB", layout.timecode_size, BACKGROUND)
    middle = layout.timecode_size[1] // 2
    ImageDraw.Draw(image).text((0, middle), timecode(tenths), TEXT, font(40), anchor="lm")
    return image


def timecode(tenths: int) -> str:
    minutes, rest = divmod(tenths, 600)
    return f"{minutes:02}:{rest // 10:02}.{rest % 10}"


def accent(number: int) -> Colour:
    """Neighbours are a golden angle apart on the colour wheel, so that a cut can be seen."""
    red, green, blue = colorsys.hls_to_rgb(number * 0.381966 % 1, 0.66, 0.58)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_heading(draw: ImageDraw.ImageDraw, shot: Shot, layout: Layout) -> None:
    heading, pill, middle = f"SHOT {shot.number}", f"take {shot.take}", HEADING_MIDDLE
    face = largest_font(heading, 0.45 * layout.inner_width, HEADING_SIZES)
    draw.text((layout.margin, middle), heading, TEXT, face, anchor="lm", stroke_width=1)
    x = layout.margin + round(face.getlength(heading)) + 26
    width = round(font(26).getlength(pill)) + 32
    draw.rounded_rectangle((x, middle - 22, x + width, middle + 22), 22, accent(shot.number))
    draw.text((x + width / 2, middle), pill, BACKGROUND, font(26), anchor="mm")


def _draw_format(draw: ImageDraw.ImageDraw, shot: Shot, layout: Layout) -> None:
    """The length and the clip's shape, at the right end of the heading."""
    right, middle, length = layout.right, HEADING_MIDDLE, f"{shot.seconds} s"
    draw.text((right, middle - 20), length, TEXT, font(38), anchor="rm")
    draw.text((right, middle + 22), layout.aspect, MUTED, font(26), anchor="rm")
    x = right - round(max(font(38).getlength(length), font(26).getlength(layout.aspect))) - 24
    width, height = layout.width // 20, layout.height // 20
    box = (x - width, middle - height // 2, x, middle + height // 2)
    draw.rounded_rectangle(box, 5, outline=accent(shot.number), width=3)


def _draw_prompt(draw: ImageDraw.ImageDraw, shot: Shot, layout: Layout) -> None:
    left, top, right, bottom = layout.card_box
    draw.rounded_rectangle(layout.card_box, 18, CARD)
    draw.rounded_rectangle((left, top + 28, left + 6, bottom - 28), 3, accent(shot.number))
    face, lines = fit(shot.prompt, right - left - 80, bottom - top - 48, PROMPT_SIZES)
    step = round(face.size * LEADING)
    y = (top + bottom - step * (len(lines) - 1)) / 2
    for line in lines:
        draw.text((left + 40, y), line, TEXT, face, anchor="lm")
        y += step


def _draw_length(draw: ImageDraw.ImageDraw, shot: Shot, layout: Layout) -> None:
    """What the timecode, at the other end of this line, runs towards."""
    middle = layout.timecode_at[1] + layout.timecode_size[1] // 2
    draw.text((layout.right, middle), timecode(10 * shot.seconds), MUTED, font(32), anchor="rm")


def _draw_ruler(draw: ImageDraw.ImageDraw, shot: Shot, layout: Layout) -> None:
    """Below the bar a mark for every second, with its number where there is room for it."""
    x, top = layout.bar_at[0], layout.bar_at[1] + layout.bar_height + 6
    every = 1 if shot.seconds <= 12 else 5
    for second in range(shot.seconds + 1):
        at = x + second * (layout.inner_width - 2) / shot.seconds
        if second % every:
            draw.rectangle((at, top, at + 1, top + 6), TRACK)
        else:
            draw.rectangle((at, top, at + 1, top + 12), MUTED)
            anchor = {0: "ls", shot.seconds: "rs"}.get(second, "ms")
            draw.text((at, top + 34), str(second), MUTED, font(20), anchor=anchor)
