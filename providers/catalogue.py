"""Every write to the catalogue. A change names the fields it changes, and no others are written."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet

from cineflow.core.errors import Invalid, NotFound, Problem, problem
from providers.models import Pro, Provider, ProviderModel, Route, VideoModel

MAX_NAMES = 50
MAX_NAME_LENGTH = 255

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Row = TypeVar("Row", Provider, VideoModel)
ProviderMap = Mapping[str, Sequence[str]]


# ---- reading -----------------------------------------------------------------------------------


def get_provider(provider_id: str) -> Provider:
    """With its models, in one more query."""
    return _found(with_models(Provider.objects.all()), provider_id)


def with_models(providers: QuerySet[Provider]) -> QuerySet[Provider]:
    """Two queries for any number of providers, by the names of their models."""
    return providers.prefetch_related(
        Prefetch("provider_models", ProviderModel.objects.order_by("name"))
    )


def get_model(model_id: str) -> VideoModel:
    """With its routes, in one more query."""
    return _found(with_routes(VideoModel.objects.all()), model_id)


def with_routes(models: QuerySet[VideoModel]) -> QuerySet[VideoModel]:
    """Two queries for any number of models; their provider models and providers are then at hand."""
    routes = Route.objects.select_related("provider_model__provider").order_by(
        "provider_model__provider__priority", "provider_model__provider_id", "position", "id"
    )
    return models.prefetch_related(Prefetch("routes", routes))


def provider_map(model: VideoModel) -> dict[str, list[str]]:
    """Provider ids in the order they are asked, each with its own names for the model."""
    names: dict[str, list[str]] = {}
    for route in model.routes.all():
        found = route.provider_model
        names.setdefault(found.provider_id, []).append(found.name)
    return names


def all_provider_models() -> QuerySet[ProviderModel]:
    """With their providers and routes, in the order the providers are asked; two queries."""
    routes = Route.objects.order_by("model__priority", "model_id")
    rows = ProviderModel.objects.select_related("provider").prefetch_related(
        Prefetch("routes", routes)
    )
    return rows.order_by("provider__priority", "provider_id", "name")


def _found(rows: QuerySet[Row], pk: str) -> Row:
    row = rows.filter(pk=pk).first()
    if row is None:
        kind = "provider" if rows.model is Provider else "model"
        raise NotFound(f"There is no {kind} '{pk}'.")
    return row


# ---- writing -----------------------------------------------------------------------------------


@transaction.atomic
def change_provider(provider_id: str, fields: Mapping[str, Any]) -> Provider:
    provider = _locked(Provider.objects.all(), provider_id)
    _write(provider, fields)
    return provider


@transaction.atomic
def change_model(
    model_id: str, fields: Mapping[str, Any], *, routes: ProviderMap | None = None
) -> VideoModel:
    """`routes`, when given, replaces the whole map: a provider that is not in it has no entry."""
    model = _locked(VideoModel.objects.all(), model_id)
    if routes is not None:
        _check_map(routes)
        Route.objects.filter(model=model).delete()
        for provider_id, names in routes.items():
            _add_routes(model, provider_id, names)
    _write(model, fields)
    return get_model(model_id)


@transaction.atomic
def change_routes(model_id: str, provider_id: str, names: Sequence[str]) -> VideoModel:
    """What one provider offers for a model, in the order of choice; nothing removes it."""
    get_provider(provider_id)
    _refuse(_name_problems(names, ("provider_model_ids",)))
    model = _locked(VideoModel.objects.all(), model_id)
    Route.objects.filter(model=model, provider_model__provider=provider_id).delete()
    _add_routes(model, provider_id, names)
    return get_model(model_id)


def release_hold(providers: QuerySet[Provider]) -> int:
    """Lets accounts and their models be asked again at once, breakers closed; returns how many accounts were held."""
    released = {"not_before": None, "hold_reason": "", "trips": 0}
    held = Q(not_before__isnull=False) | Q(trips__gt=0)
    accounts = set(providers.values_list("pk", flat=True))
    models = ProviderModel.objects.filter(held, provider__in=accounts)
    with transaction.atomic():
        freed = set(models.values_list("provider_id", flat=True))
        models.update(**released)
        freed |= set(Provider.objects.filter(held, pk__in=accounts).values_list("pk", flat=True))
        Provider.objects.filter(held, pk__in=accounts).update(**released)
    return len(freed)


def _locked(rows: QuerySet[Row], pk: str) -> Row:
    # A plain FOR UPDATE would stop whoever inserts a row that refers to this one.
    return _found(rows.select_for_update(no_key=True), pk)


def _write(row: Provider | VideoModel, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    # The rest of a provider's row belongs to the engine, which writes it at the same time.
    row.save(update_fields=list(fields))


def _add_routes(model: VideoModel, provider_id: str, names: Sequence[str]) -> None:
    ours = ProviderModel.objects.filter(provider=provider_id)
    pro = _usual_pro(ours)
    # Two requests may bring the same new name; what is there already keeps its price and its kind.
    ProviderModel.objects.bulk_create(
        [ProviderModel(provider_id=provider_id, name=name, pro=pro) for name in names],
        ignore_conflicts=True,
    )
    ids = dict(ours.filter(name__in=names).values_list("name", "pk"))
    Route.objects.bulk_create(
        Route(model=model, provider_model_id=ids[name], position=position)
        for position, name in enumerate(names)
    )


def _usual_pro(provider_models: QuerySet[ProviderModel]) -> Pro:
    """A provider that is told "pro" per request for all it has is told so for a new model too."""
    known = set(provider_models.order_by().values_list("pro", flat=True).distinct())
    return Pro.ON_REQUEST if known == {Pro.ON_REQUEST} else Pro.NEVER


# ---- what a map may hold -----------------------------------------------------------------------


def _check_map(routes: ProviderMap) -> None:
    known = set(Provider.objects.filter(pk__in=list(routes)).values_list("pk", flat=True))
    problems: list[Problem] = []
    for provider_id, names in routes.items():
        loc = ("provider_map", provider_id)
        if provider_id not in known:
            problems.append(problem(loc, "There is no provider of this id.", "unknown_provider"))
        problems += _name_problems(names, loc)
    _refuse(problems)


def _name_problems(names: Sequence[str], loc: tuple[str, ...]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if not name.strip():
            yield problem((*loc, index), "The name of a provider's model cannot be blank.", "blank")
        elif name in names[:index]:
            yield problem((*loc, index), "The name stands in the list already.", "duplicate")
        elif CONTROL_CHARACTER.search(name):
            yield problem((*loc, index), "The name holds a control character.", "control_character")


def _refuse(problems: Iterable[Problem]) -> None:
    if found := list(problems):
        raise Invalid(found)
