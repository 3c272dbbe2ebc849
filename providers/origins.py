"""Who set a field of a provider's model last, so that an import leaves alone what a person wrote."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from providers.models import ProviderModel

_HAND, _IMPORT = "hand", "import"


def note_hand(model: ProviderModel, fields: Iterable[str], today: date) -> None:
    """A person wrote these; the row is yet to be saved, with `origins` among its fields."""
    said = {"by": _HAND, "on": today.isoformat()}
    model.origins = {**model.origins, **dict.fromkeys(fields, said)}


def note_import(model: ProviderModel, values: dict[str, Any], today: date) -> None:
    """The value is kept too: when another stands there later, a person wrote it in some other way."""
    for field, value in values.items():
        said = {"by": _IMPORT, "on": today.isoformat(), "value": as_json(value)}
        model.origins = {**model.origins, field: said}


def is_by_hand(model: ProviderModel, field: str) -> bool:
    match model.origins.get(field):
        case {"by": "hand"}:
            return True
        case {"by": "import", "value": value}:
            return bool(value != as_json(getattr(model, field)))
    return False


def is_imported(model: ProviderModel, field: str) -> bool:
    return field in model.origins and not is_by_hand(model, field)


def in_words(model: ProviderModel) -> str:
    """For people: "by hand: price_per_second; imported: durations, options"."""
    by_hand = [field for field in model.origins if is_by_hand(model, field)]
    imported = [field for field in model.origins if field not in by_hand]
    parts = [("by hand", by_hand), ("imported", imported)]
    return "; ".join(f"{who}: {', '.join(sorted(fields))}" for who, fields in parts if fields)


def as_json(value: Any) -> Any:
    """A field's value as JSON keeps it, and the same for values that are equal."""
    if isinstance(value, dict | list | str | bool) or value is None:
        return value
    return str(value.normalize()) if hasattr(value, "normalize") else str(value)
