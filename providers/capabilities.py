"""What a model can make, read from the catalogue's JSON. Anything but these shapes is a mistake in the catalogue."""

from collections.abc import Sequence
from typing import Any

from providers.base import ImageInput

LONGEST_SECONDS = 3600
RESOLUTIONS = ("horizontal", "vertical")


def lengths(value: Any) -> Sequence[int]:
    """`[5, 10]` as it is, `{"min": 4, "max": 15}` as a range of whole seconds. Raises ValueError."""
    match value:
        case [_, *_] if all(_is_length(each) for each in value):
            return tuple(sorted(set(value)))
        case {"min": low, "max": high} if len(value) == 2 and _is_length(low) and _is_length(high):
            if low <= high:
                return range(low, high + 1)
    raise ValueError('Write whole seconds, as [5, 10] or as {"min": 4, "max": 15}.')


def resolutions(value: Any) -> tuple[str, ...]:
    """Raises ValueError."""
    if isinstance(value, list) and value and all(each in RESOLUTIONS for each in value):
        return tuple(value)
    raise ValueError('Write ["horizontal"], ["vertical"] or both.')


def image_inputs(value: Any) -> tuple[ImageInput, ...]:
    """The ways of taking a start image, the best one first; none is an answer too. Raises ValueError."""
    if isinstance(value, list) and all(each in set(ImageInput) for each in value):
        return tuple(ImageInput(each) for each in value)
    raise ValueError('Write any of "upload", "inline" and "url" in a list, or [] for none.')


def next_longer(durations: Sequence[int], seconds: int) -> int | None:
    return min((each for each in durations if each >= seconds), default=None)


def nearest(durations: Sequence[int], seconds: int) -> int | None:
    """Of two that are equally near, the longer one: what is too long can be cut."""
    return min(durations, key=lambda each: (abs(each - seconds), -each), default=None)


def in_words(durations: Sequence[int]) -> str:
    if isinstance(durations, range):
        return f"{durations[0]} to {durations[-1]} s"
    return f"{', '.join(map(str, durations))} s"


def _is_length(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LONGEST_SECONDS
