"""From a provider's list of models to the catalogue: what would change, and then all of it or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max

from cineflow.core.errors import Conflict, Invalid, problem
from providers import catalogue, origins
from providers.capabilities import lengths
from providers.model_lists import ListedModel
from providers.models import Provider, ProviderModel, Route, VideoModel

_USUAL_LABEL = "720p"


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one model; `kept` when a person wrote it, so that it stays."""

    model: str
    field: str
    before: Any
    after: Any
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import comes to."""

    provider_id: str
    new: Mapping[str, Mapping[str, Any]]  # name: fields
    changes: tuple[Change, ...]
    unchanged: int
    confirmed: tuple[str, ...]  # their price is what it was, and of today
    gone: tuple[str, ...]  # in the catalogue, and not in the list
    left_out: tuple[tuple[str, str], ...]  # name, why
    routes: tuple[tuple[str, str], ...]  # our model, its name there
    unmapped: tuple[str, ...]

    @property
    def written(self) -> list[Change]:
        return [change for change in self.changes if not change.kept]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be different afterwards, but for the day on which prices were looked at."""
        return not (self.new or self.written or self.routes)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be imported, and how."""

    provider_id: str
    listed: Sequence[ListedModel]
    today: date
    overwrite: bool = False
    retire_gone: bool = False
    maps: Sequence[tuple[str, str]] = field(default=())  # our model, its name there


def plan(order: Order) -> Plan:
    """Reads only. Raises NotFound for an unknown provider, Invalid for maps that lead nowhere."""
    provider = catalogue.get_provider(order.provider_id)
    return _plan(order, provider)


@transaction.atomic
def carry_out(order: Order, planned: Plan) -> None:
    """Write what was planned. Raises Conflict, and writes nothing, when it would be something else by now."""
    provider = Provider.objects.select_for_update(no_key=True).get(pk=order.provider_id)
    if _plan(order, provider) != planned:
        raise Conflict(
            "The catalogue was changed meanwhile; nothing was imported. Look again, and repeat it."
        )
    rows = {row.name: row for row in _rows(provider).select_for_update(no_key=True, of=("self",))}
    for name, values in planned.new.items():
        row = ProviderModel(provider=provider, name=name)
        _set(row, values, order.today)
        row.save(force_insert=True)
    for name in dict.fromkeys(change.model for change in planned.written):
        values = {each.field: each.after for each in planned.written if each.model == name}
        _set(rows[name], values, order.today)
        # The rest of the row belongs to the engine, which writes it at the same time.
        rows[name].save(update_fields=[*values, "origins"])
    for name in planned.confirmed:
        _set(rows[name], {"price_as_of": order.today}, order.today)
        rows[name].save(update_fields=["price_as_of", "origins"])
    for model_id, name in planned.routes:
        _add_route(provider, model_id, name)


def _rows(provider: Provider) -> Any:
    return ProviderModel.objects.filter(provider=provider).order_by("name")


def _set(row: ProviderModel, values: Mapping[str, Any], today: date) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    origins.note_import(row, dict(values), today)


def _add_route(provider: Provider, model_id: str, name: str) -> None:
    ours = Route.objects.filter(model=model_id, provider_model__provider=provider)
    last = ours.aggregate(last=Max("position"))["last"]
    row = ProviderModel.objects.get(provider=provider, name=name)
    position = 0 if last is None else last + 1
    Route.objects.create(model_id=model_id, provider_model=row, position=position)


# ---- planning ----------------------------------------------------------------------------------


def _plan(order: Order, provider: Provider) -> Plan:
    rows = list(_rows(provider))
    for row in rows:
        row.provider = provider
    by_slug: dict[str, list[ProviderModel]] = {}
    for row in rows:
        by_slug.setdefault(_slug(row.name), []).append(row)
    usable = [listed for listed in order.listed if not listed.why_unusable]
    names = {listed.name for listed in order.listed}
    new = {
        listed.name: _facts(listed, ProviderModel(provider=provider, name=listed.name), order)
        for listed in usable
        if listed.name not in by_slug
    }
    pairs = [(listed, row) for listed in usable for row in by_slug.get(listed.name, ())]
    found = [list(_changes(listed, row, order)) for listed, row in pairs]
    gone = [row for row in rows if _slug(row.name) not in names]
    retired = [_retirement(row, order) for row in gone if order.retire_gone and not row.retired_at]
    routes = _routes(order, {*new, *(row.name for row in rows)})
    routed = {*_routed(provider), *(name for _, name in routes)}
    return Plan(
        provider_id=provider.pk,
        new=new,
        changes=tuple(change for changes in [*found, retired] for change in changes),
        unchanged=sum(not changes for changes in found),
        confirmed=tuple(row.name for listed, row in pairs if _is_confirmed(listed, row, order)),
        gone=tuple(row.name for row in gone),
        left_out=tuple(
            (listed.name, listed.why_unusable) for listed in order.listed if listed.why_unusable
        ),
        routes=routes,
        unmapped=tuple(
            name for name in [*new, *(row.name for _, row in pairs)] if name not in routed
        ),
    )


def _slug(name: str) -> str:
    """`maker/model#1080p` is a variant of `maker/model`, with options and a price of its own."""
    return name.partition("#")[0]


def _facts(listed: ListedModel, row: ProviderModel, order: Order) -> dict[str, Any]:
    """What the list says, in the fields of a row; what it does not say is not among them."""
    usual = str(row.options.get("resolution", _USUAL_LABEL))
    label = usual if _is_kept(row, "options", order) else listed.label(usual)
    facts: dict[str, Any] = {"durations": _spelt(listed.durations or ())}
    if listed.resolutions is not None:
        facts["resolutions"] = list(listed.resolutions)
    # Which ways there are is the adapter's to know; here it matters whether there is one.
    if listed.takes_image != (row.image_inputs != []):
        facts["image_inputs"] = None if listed.takes_image else []
    if label != usual:
        facts["options"] = {**row.options, "resolution": label}
    audio = row.options.get("generate_audio")
    price = listed.price_per_second(label, audio if isinstance(audio, bool) else None)
    if price is not None:
        facts |= {"price_per_second": price, "price_as_of": order.today}
    return facts


def _spelt(durations: Sequence[int]) -> list[int] | dict[str, int]:
    """Four lengths or more without a gap are a range."""
    low, high = durations[0], durations[-1]
    if len(durations) >= 4 and high - low + 1 == len(durations):
        return {"min": low, "max": high}
    return list(durations)


def _changes(listed: ListedModel, row: ProviderModel, order: Order) -> Iterator[Change]:
    facts = _facts(listed, row, order)
    priced = facts.pop("price_as_of", None)
    if row.retired_at and origins.is_imported(row, "retired_at"):
        facts["retired_at"] = None  # it is back
    for name, after in facts.items():
        before = getattr(row, name)
        if _same(name, _meant(row, name), after):
            continue
        kept = _is_kept(row, name, order)
        yield Change(row.name, name, before, after, kept)
        if name == "price_per_second" and not kept:
            yield Change(row.name, "price_as_of", row.price_as_of, priced)


def _is_confirmed(listed: ListedModel, row: ProviderModel, order: Order) -> bool:
    price = _facts(listed, row, order).get("price_per_second")
    same = price is not None and _same("price_per_second", row.price_per_second, price)
    return same and row.price_as_of != order.today and not origins.is_by_hand(row, "price_as_of")


def _retirement(row: ProviderModel, order: Order) -> Change:
    kept = _is_kept(row, "retired_at", order)
    return Change(row.name, "retired_at", None, order.today, kept)


def _is_kept(row: ProviderModel, field: str, order: Order) -> bool:
    return origins.is_by_hand(row, field) and not order.overwrite


def _meant(row: ProviderModel, name: str) -> Any:
    """A row that says nothing of its lengths or shapes means its provider's."""
    value = getattr(row, name)
    if name == "durations":
        return value or row.provider.supported_durations
    if name == "resolutions":
        return value or row.provider.supported_resolutions
    return value


def _same(name: str, before: Any, after: Any) -> bool:
    """Whether two values mean the same, in whatever way they are written."""
    if name == "durations" and before is not None:
        try:
            return set(lengths(before)) == set(lengths(after))
        except ValueError:
            return False
    if name == "resolutions" and isinstance(before, list):
        return set(before) == set(after)
    if isinstance(after, Decimal):
        return before is not None and before == after
    return bool(before == after)


def _routed(provider: Provider) -> set[str]:
    routes = Route.objects.filter(provider_model__provider=provider)
    return set(routes.values_list("provider_model__name", flat=True))


def _routes(order: Order, names: set[str]) -> tuple[tuple[str, str], ...]:
    """The maps that are new. Raises Invalid for models that there are not, on either side."""
    known = set(VideoModel.objects.values_list("pk", flat=True))
    problems = []
    for model_id, name in order.maps:
        loc = ["map", f"{model_id}={name}"]
        if model_id not in known:
            ids = ", ".join(sorted(known))
            problems.append(problem(loc, f"There is no model '{model_id}'. There are: {ids}."))
        if name not in names:
            words = f"{order.provider_id} has no model '{name}', neither in the list nor here."
            problems.append(problem(loc, words))
    if problems:
        raise Invalid(problems)
    routed = set(
        Route.objects.filter(provider_model__provider=order.provider_id).values_list(
            "model_id", "provider_model__name"
        )
    )
    return tuple(pair for pair in dict.fromkeys(order.maps) if pair not in routed)
