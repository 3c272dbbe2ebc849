"""What a provider's model can do: by its own row where that says something, else by its provider's.

The provider is expected to be at hand. A row that says nothing sensible can do nothing: it holds up no other.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from providers import capabilities, registry
from providers.base import ImageInput
from providers.models import ProviderModel

Item = TypeVar("Item")


def durations(model: ProviderModel) -> Sequence[int]:
    """Whole seconds, rising; a range where it makes all of them."""
    return _read(capabilities.lengths, model.durations or model.provider.supported_durations)


def resolutions(model: ProviderModel) -> Sequence[str]:
    return _read(
        capabilities.resolutions, model.resolutions or model.provider.supported_resolutions
    )


def image_inputs(model: ProviderModel) -> Sequence[ImageInput]:
    """The best one first; its adapter's where it says nothing, none where the provider's are switched off."""
    if not model.provider.supports_image_to_video:
        return ()
    if model.image_inputs is not None:
        return _read(capabilities.image_inputs, model.image_inputs)
    return registry.image_inputs(model.provider_id)


def tightest(name: str, model: ProviderModel) -> int | None:
    """The lower of its own limit and its account's; None where there is neither. `name` is of the column."""
    limits = (getattr(model, name), getattr(model.provider, name))
    return min((limit for limit in limits if limit is not None), default=None)


def _read(read: Callable[[Any], Sequence[Item]], value: Any) -> Sequence[Item]:
    try:
        return read(value)
    except ValueError:
        return ()
