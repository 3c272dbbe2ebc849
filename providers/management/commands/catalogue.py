import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from cineflow.core.errors import DomainError, Invalid
from providers import catalogue, importing, list_sources, liveness, model_lists
from providers.capabilities import in_words, lengths
from providers.http import Proxies, Transport
from providers.importing import Change, Order, Plan
from providers.list_sources import NoList
from providers.models import ProviderModel

_COLUMNS = ("provider", "model", "live", "$/s", "as of", "retires", "mapped to", "why not live")


class Command(BaseCommand):
    help = "The catalogue of models: list it, or import models, prices and limits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="every provider's models in a table")
        listing.add_argument("--provider", help="only this one's")
        listing.add_argument("--live", action="store_true", help="only those that are live")
        self._add_import(actions.add_parser("import", help="from a list as OpenRouter has it"))

    def _add_import(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source",
            nargs="?",
            metavar="FILE|URL|-",
            help="the list, as GET /videos/models answers it; without it the provider is asked",
        )
        parser.add_argument(
            "--provider", default="openrouter", help="whose models they are (openrouter)"
        )
        parser.add_argument("--dry-run", action="store_true", help="show the changes, write none")
        parser.add_argument(
            "--overwrite", action="store_true", help="also what was set by hand in the admin"
        )
        parser.add_argument(
            "--retire-gone",
            action="store_true",
            help="the list is complete: what is not in it has ended today",
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="MODEL=NAME",
            help="let a model of ours be made by one of the provider's, veo=google/veo-3.1; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chosen, today = Namespace(**options), timezone.now().date()
        try:
            if chosen.action == "list":
                self._list(chosen, today)
            else:
                self._import(chosen, today)
        except Invalid as error:
            raise CommandError("\n".join(_problems(error))) from error
        except (DomainError, NoList) as error:
            raise CommandError(str(error)) from error

    # ---- list ----------------------------------------------------------------------------------

    def _list(self, chosen: Namespace, today: date) -> None:
        rows = catalogue.all_provider_models()
        if chosen.provider:
            rows = rows.filter(provider=catalogue.get_provider(chosen.provider))
        cells = [_cells(row, today) for row in rows]
        shown = [row for row in cells if row[2] == "yes" or not chosen.live]
        for line in _table([_COLUMNS, *shown]):
            self.stdout.write(line)

    # ---- import --------------------------------------------------------------------------------

    def _import(self, chosen: Namespace, today: date) -> None:
        order = Order(
            provider_id=catalogue.get_provider(chosen.provider).pk,
            maps=[_pair(text) for text in chosen.map],
            listed=model_lists.read(_content(chosen)),
            today=today,
            overwrite=chosen.overwrite,
            retire_gone=chosen.retire_gone,
        )
        plan = importing.plan(order)
        for line in _shown(plan, order):
            self.stdout.write(line)
        if chosen.dry_run:
            self.stdout.write("A dry run: nothing was written.")
            return
        importing.carry_out(order, plan)
        self.stdout.write("Nothing to change." if plan.is_empty else "Written.")


def _content(chosen: Namespace) -> bytes:
    proxies = Proxies.from_environment(os.environ)
    transport = Transport(timeout=list_sources.SECONDS, proxies=proxies)
    if not chosen.source:
        return list_sources.ask_provider(chosen.provider, transport)
    if list_sources.is_address(chosen.source):
        return list_sources.from_address(chosen.source, chosen.provider, transport, proxies)
    return list_sources.read_file(chosen.source)


def _pair(text: str) -> tuple[str, str]:
    model_id, sign, name = text.partition("=")
    if not (sign and model_id.strip() and name.strip()):
        raise CommandError(f"--map is MODEL=NAME, such as veo=google/veo-3.1, and not {text!r}.")
    return model_id.strip(), name.strip()


def _problems(error: Invalid) -> Iterator[str]:
    yield "Nothing was imported."
    for each in (error.details or {})["errors"]:
        yield f"  {'.'.join(map(str, each['loc'])) or 'the list'}: {each['msg']}"


# ---- words -------------------------------------------------------------------------------------


def _shown(plan: Plan, order: Order) -> Iterator[str]:
    """The changes, one a line: + new, ~ changed, = kept as set by hand, - gone."""
    yield f"{plan.provider_id}: {len(order.listed)} models in the list"
    for name, fields in plan.new.items():
        facts = ", ".join(f"{field} {_value(field, value)}" for field, value in fields.items())
        yield f"  + {name}: {facts}"
    for change in plan.changes:
        yield f"  {_change(change)}"
    for name in plan.gone:
        yield f"  - {name}: not in the list; {_what_of_gone(name, plan, order)}"
    for model_id, name in plan.routes:
        yield f"  + {model_id} can be made by {name}"
    if plan.confirmed:
        yield f"  prices that are still right: {len(plan.confirmed)}"
    if plan.unchanged:
        yield f"  unchanged: {plan.unchanged}"
    for name, why in plan.left_out:
        yield f"  left out: {name} {why}"
    if plan.unmapped:
        yield f"Mapped to no model, so nothing is sent to them: {', '.join(plan.unmapped)}."
        yield f"  Map one with --map veo={plan.unmapped[0]}, in the admin, or over the API:"
        yield f"  PATCH /api/v1/admin/models/veo/providers/{plan.provider_id}"


def _change(change: Change) -> str:
    before, after = (_value(change.field, value) for value in (change.before, change.after))
    words = f"{change.model}: {change.field} {before} → {after}"
    return f"= {words}: set by hand and kept (--overwrite)" if change.kept else f"~ {words}"


def _what_of_gone(name: str, plan: Plan, order: Order) -> str:
    if any(change.model == name and change.field == "retired_at" for change in plan.written):
        return "it is retired"
    if order.retire_gone:
        return "it stays as it is"
    return "kept, as a list may be a part (--retire-gone)"


def _value(field: str, value: Any) -> str:
    if value is None:
        return "none"
    if field == "durations":
        try:
            return in_words(lengths(value))
        except ValueError:
            return str(value)
    if field == "price_per_second":
        return f"${_price(value)}"
    if isinstance(value, list):
        return " and ".join(map(str, value)) or "none"
    return str(value)


def _price(price: Decimal | None) -> str:
    return "" if price is None else f"{price.normalize():f}"


def _cells(row: ProviderModel, today: date) -> tuple[str, ...]:
    why = liveness.why_not_live(row, today)
    return (
        row.provider_id,
        row.name,
        "no" if why else "yes",
        _price(row.price_per_second),
        str(row.price_as_of or ""),
        str(row.retired_at or ""),
        ", ".join(route.model_id for route in row.routes.all()),
        why,
    )


def _table(rows: Sequence[Iterable[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
