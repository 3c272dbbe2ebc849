"""The input of one model of many, where a provider hosts models of several makers: each names its fields anew.

The catalogue says how, in the `options` of a provider model:

| option | meaning | else |
|---|---|---|
| `image_field` | the field of the start image | the adapter's |
| `duration` | how the length is written, `{}` being the seconds: `"{}"` is "8", `"{}s"` is "8s" | a number |
| `ratio_field` | the field of the shape; null: the model takes none | the adapter's |
| `ratios` | what stands there: `{"horizontal": "1280:720", "vertical": "720:1280"}` | 16:9, 9:16 |
| `resolution` | the label of how fine the picture is: "720p" | the model's own |
| `inputs` | more fields that are always sent: `{"generate_audio": true}` | none |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from providers.base import GenerationRequest
from providers.calls import picture

_RATIOS = {"horizontal": "16:9", "vertical": "9:16"}
_PLACE = "{}"
# Options of every adapter's models, which the engine heeds.
_OF_ALL = frozenset({"image_inputs", "max_image_bytes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """How one model wants its input. The defaults are an adapter's; `with_options` is the model's own."""

    prompt_field: str = "prompt"
    duration_field: str = "duration"
    image_field: str
    ratio_field: str | None = "aspect_ratio"
    duration: str | None = None
    ratios: Mapping[str, str] = field(default_factory=lambda: _RATIOS)
    resolution: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def with_options(self, options: Mapping[str, Any]) -> "Template":
        """Raises ValueError for what is no option, or none of its kind."""
        ours = {name: value for name, value in options.items() if name not in _OF_ALL}
        _check(ours)
        return replace(self, **ours)

    def input(self, request: GenerationRequest) -> dict[str, Any]:
        made = self._without_picture(request)
        if request.image:
            made[self.image_field] = picture(request.image)
        return made

    def is_of(self, request: GenerationRequest, given: Mapping[str, Any]) -> bool:
        """Whether an input that a provider shows is this request's; a picture is not compared."""
        shown = {name: value for name, value in given.items() if name != self.image_field}
        return shown == self._without_picture(request)

    def _without_picture(self, request: GenerationRequest) -> dict[str, Any]:
        made = dict(self.inputs)
        made[self.prompt_field] = request.prompt
        made[self.duration_field] = self._length(request.seconds)
        if self.ratio_field:
            made[self.ratio_field] = self.ratios[request.resolution]
        if self.resolution:
            made["resolution"] = self.resolution
        return made

    def _length(self, seconds: int) -> int | str:
        return seconds if self.duration is None else self.duration.replace(_PLACE, str(seconds))


def _check(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name not in _KINDS or not _KINDS[name](value):
            raise ValueError(f"the option {name!r} of a provider model is not understood")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_ratios(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(_RATIOS)
        and all(map(_is_name, value.values()))
    )


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "image_field": _is_name,
    "duration": lambda value: isinstance(value, str) and _PLACE in value,
    "ratio_field": lambda value: value is None or _is_name(value),
    "ratios": _is_ratios,
    "resolution": _is_name,
    "inputs": lambda value: isinstance(value, dict),
}
