"""Reading the input of a hosted model: its maker's own fields, as strict as its schema."""

import re
from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from providers.simulator import pictures
from providers.simulator.jobs import Order
from providers.simulator.pictures import Picture

_SHORT_SIDES = {"480p": 480, "720p": 720, "768p": 768, "1080p": 1080, "2k": 1440, "4k": 2160}
_USUAL = 720
# A shape that is the size itself.
_PIXELS = re.compile(r"(\d{3,4}):(\d{3,4})")
# A shape that is the picture's, and how fine.
_AUTO = "auto_"


class BadInput(ValueError):
    """A field that is wrong, and what it should be."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Schema:
    """What one model takes. `duration` is how it writes 8 seconds: "8", "8s" or the number."""

    seconds: Collection[int]
    _: KW_ONLY
    prompt: str = "prompt"
    longest_prompt: int | None = None  # in UTF-16 units
    duration: str | int = 8
    image: str = ""  # its field; empty: it takes none
    needs_image: bool = False
    ratio: str = "aspect_ratio"  # its field; empty: it has none
    ratios: tuple[str, ...] = ("16:9", "9:16", "1:1")
    resolutions: tuple[str, ...] = ()
    others: Mapping[str, type] = field(default_factory=dict)

    def read(self, model: str, given: Mapping[str, Any]) -> Order:
        """The order in an input; raises BadInput."""
        self._check_names(given)
        prompt = self._prompt(given)
        seconds = self._seconds(given.get("duration"))
        picture = self._picture(given)
        width, height = self._size(given, picture)
        return Order(prompt, model, seconds, width, height, picture.sha256, picture.url)

    def _prompt(self, given: Mapping[str, Any]) -> str:
        prompt = given.get(self.prompt)
        if not isinstance(prompt, str) or not prompt:
            raise BadInput(self.prompt, "Input should be a valid string")
        if self.longest_prompt and len(prompt.encode("utf-16-le")) // 2 > self.longest_prompt:
            raise BadInput(self.prompt, f"At most {self.longest_prompt} characters")
        return prompt

    def _check_names(self, given: Mapping[str, Any]) -> None:
        known = {self.prompt, "duration", self.image, self.ratio, *self.others}
        if self.resolutions:
            known.add("resolution")
        for name, value in given.items():
            if not name or name not in known:
                raise BadInput(name, "Extra inputs are not permitted")
            if name in self.others and type(value) is not self.others[name]:
                raise BadInput(name, f"Input should be a valid {self.others[name].__name__}")

    def _seconds(self, value: object) -> int:
        """Written as this model writes it, and not otherwise."""
        for seconds in self.seconds:
            written = (
                seconds
                if isinstance(self.duration, int)
                else self.duration.replace("8", str(seconds))
            )
            if type(value) is type(written) and value == written:
                return seconds
        raise BadInput("duration", f"Input should be one of {list(self.seconds)}")

    def _picture(self, given: Mapping[str, Any]) -> Picture:
        if self.image and self.image in given:
            return pictures.read(given[self.image])
        if self.needs_image:
            raise BadInput(self.image, "Field required")
        return Picture()

    def _size(self, given: Mapping[str, Any], picture: Picture) -> tuple[int, int]:
        short = _USUAL
        if self.resolutions:
            wanted = given.get("resolution", self.resolutions[0])
            if wanted not in self.resolutions:
                raise BadInput("resolution", f"Input should be one of {list(self.resolutions)}")
            short = _SHORT_SIDES[wanted.lower()]
        ratio = given.get(self.ratio, self.ratios[0]) if self.ratio else _shape(picture)
        if self.ratio and ratio not in self.ratios:
            raise BadInput(self.ratio, f"Input should be one of {list(self.ratios)}")
        if pixels := _PIXELS.fullmatch(ratio):
            return int(pixels[1]), int(pixels[2])
        if ratio.startswith(_AUTO):
            short, ratio = _SHORT_SIDES[ratio.removeprefix(_AUTO)], _shape(picture)
        across, down = map(int, ratio.split(":"))
        long = round(short * max(across, down) / min(across, down) / 2) * 2
        return (long, short) if across >= down else (short, long)


def _shape(picture: Picture) -> str:
    """What keeps the shape of its picture; of an address nothing is known."""
    width, height = picture.size or (16, 9)
    return "16:9" if width > height else "9:16" if width < height else "1:1"
