"""A list of video models as OpenRouter publishes it at `GET /videos/models`, read into facts of ours.

Facts: the wheel openrouter 1.3.84 (`components/videomodel.py`), and what its `pricing_skus` are called in the
lists that public clients have recorded: their names are free-form, so one that is not known here is never guessed at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cineflow.core import strict_json
from cineflow.core.errors import Invalid, Problem, problem, problems_of
from providers.capabilities import LONGEST_SECONDS

MAX_MODELS = 2_000
# What a picture of a label measures, for prices by the token.
_PIXELS = {
    "360p": 640 * 360,
    "480p": 854 * 480,
    "720p": 1280 * 720,
    "768p": 1366 * 768,
    "1080p": 1920 * 1080,
    "1k": 1280 * 720,
    "2k": 2560 * 1440,
    "4k": 3840 * 2160,
}
# Vendors of models that are paid by the token count one for 1,024 pixels, at 24 frames a second.
_TOKENS_PER_PIXEL_SECOND = Decimal(24) / 1024
# Which label is taken where the usual one is not offered: the nearest finer one, then coarser ones.
_PREFERRED = ("720p", "768p", "1080p", "1k", "2k", "4k", "480p", "360p")
_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", re.ASCII)
_MODES = ("text_to_video_", "image_to_video_")
_CENT = Decimal("0.01")
_SMALLEST = Decimal("0.0001")
_LARGEST = Decimal(100_000)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """What the list says of one model; None is what it does not say."""

    name: str
    durations: tuple[int, ...] | None
    resolutions: tuple[str, ...] | None  # "horizontal", "vertical"
    takes_image: bool
    labels: tuple[str, ...] | None  # "720p" and the like, as the provider writes them
    makes_audio: bool
    skus: Mapping[str, Decimal]

    @property
    def why_unusable(self) -> str:
        """Why no shot can be made with it; empty if one can."""
        if not self.durations:
            return "takes no length: it edits or upscales"
        if self.resolutions == ():
            return "makes neither 16:9 nor 9:16"
        return ""

    def label(self, wanted: str) -> str:
        """`wanted` where it is offered, else the next best; as the provider writes it."""
        offered = {each.lower(): each for each in self.labels or ()}
        if not offered or wanted.lower() in offered:
            return wanted
        best = next((each for each in _PREFERRED if each in offered), None)
        return offered[best] if best else next(iter(offered.values()))

    def price_per_second(self, label: str, audio: bool | None) -> Decimal | None:
        """US dollars for a second of clip at that label; None where the list has no such price.

        `audio` None is what the model does unasked: with sound, if it can. Where a clip from an image
        costs another price than one from a text, it is the higher one: a budget must not be exceeded.
        """
        audible = self.makes_audio if audio is None else audio
        found = self._by_the_second(label.lower(), audible)
        price = self._by_the_token(label.lower(), audible) if found is None else found
        return None if price is None or price >= _LARGEST else price.quantize(_SMALLEST)

    def _by_the_second(self, label: str, audible: bool) -> Decimal | None:
        sound = "with_audio" if audible else "without_audio"
        finest = [[f"duration_seconds_{sound}_{label}"]]
        sounding = [[f"duration_seconds_{sound}"]]
        plain = [
            [f"{mode}duration_seconds_{label}" for mode in _MODES],
            [f"duration_seconds_{label}"],
            *([] if audible else sounding),
            [f"{mode}duration_seconds" for mode in _MODES],
            ["duration_seconds"],
        ]
        dollars = self._first([*finest, *(sounding if audible else []), *plain])
        if dollars is not None:
            return dollars
        cents = ("cents_per_second_output", "cents_per_video_output_second")
        found = self._first([[f"{name}_{label}" for name in cents], list(cents)])
        return None if found is None else found * _CENT

    def _by_the_token(self, label: str, audible: bool) -> Decimal | None:
        if label not in _PIXELS:
            return None
        silent = [] if audible else ["video_tokens_without_audio"]
        price = self._first([[f"video_tokens_{label}"], silent, ["video_tokens"]])
        return None if price is None else price * _PIXELS[label] * _TOKENS_PER_PIXEL_SECOND

    def _first(self, names: Sequence[Sequence[str]]) -> Decimal | None:
        """Of the first group that the list has anything of, the highest."""
        for group in names:
            if known := [self.skus[name] for name in group if name in self.skus]:
                return max(known)
        return None


# ---- reading -----------------------------------------------------------------------------------


class _Model(BaseModel):
    """Only what is used is looked at: the list grows."""

    model_config = ConfigDict(strict=True, extra="ignore")

    id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    supported_durations: (
        Annotated[list[Annotated[int, Field(ge=1, le=LONGEST_SECONDS)]], Field(max_length=1_000)]
        | None
    )
    supported_aspect_ratios: list[str] | None = None
    supported_sizes: list[str] | None = None
    supported_resolutions: list[Annotated[str, StringConstraints(min_length=1)]] | None = None
    supported_frame_images: list[str] | None = None
    generate_audio: bool | None = None
    pricing_skus: dict[str, str | int | float] | None = None


class _List(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    data: Annotated[list[_Model], Field(min_length=1, max_length=MAX_MODELS)]


def read(raw: bytes) -> list[ListedModel]:
    """The models of a list in its order; raises Invalid with everything that is wrong with it."""
    try:
        body = strict_json.parse(raw, allow_bom=True)
        models = _List.model_validate(body).data
    except strict_json.StrictJSONError as error:
        raise Invalid(error.problems) from error
    except ValidationError as error:
        raise Invalid(problems_of(error)) from error
    problems = list(_problems(models))
    if problems:
        raise Invalid(problems)
    return [_listed(model) for model in models]


def _problems(models: Sequence[_Model]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, model in enumerate(models):
        at = ("data", index)
        if not model.id.isprintable() or model.id != model.id.strip():
            yield problem((*at, "id"), "The name holds a character that no name has.")
        if model.id in seen:
            yield problem((*at, "id"), f"{model.id} stands in the list twice.", "duplicate")
        seen.add(model.id)
        if model.supported_durations == []:
            yield problem((*at, "supported_durations"), "The list of lengths is empty.")
        for name, price in (model.pricing_skus or {}).items():
            if _price(price) is None:
                words = f"A price is a number from 0 to {_LARGEST}, not {str(price)[:40]!r}."
                yield problem((*at, "pricing_skus", name[:80]), words)


def _price(value: str | float) -> Decimal | None:
    try:
        price = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 <= price < _LARGEST else None


def _listed(model: _Model) -> ListedModel:
    lengths = model.supported_durations
    skus = {name.lower(): _price(value) for name, value in (model.pricing_skus or {}).items()}
    return ListedModel(
        name=model.id,
        durations=tuple(sorted(set(lengths))) if lengths else None,
        resolutions=_resolutions(model),
        takes_image="first_frame" in (model.supported_frame_images or ()),
        labels=tuple(model.supported_resolutions) if model.supported_resolutions else None,
        makes_audio=bool(model.generate_audio),
        skus={name: price for name, price in skus.items() if price is not None},
    )


def _resolutions(model: _Model) -> tuple[str, ...] | None:
    """By the shapes that it lists; by the sizes, where it lists no shapes."""
    if model.supported_aspect_ratios:
        shapes = set(model.supported_aspect_ratios)
        wanted: dict[str, Any] = {"horizontal": "16:9", "vertical": "9:16"}
        return tuple(word for word, shape in wanted.items() if shape in shapes)
    if not model.supported_sizes:
        return None
    found = [_SIZE.fullmatch(size) for size in model.supported_sizes]
    sizes = [(int(size[1]), int(size[2])) for size in found if size]
    wide = any(width > height for width, height in sizes)
    tall = any(width < height for width, height in sizes)
    return (*(("horizontal",) if wide else ()), *(("vertical",) if tall else ()))
