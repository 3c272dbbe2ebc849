"""What all lists share: nobody writes, and no page costs more when there are a million rows."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.timezone import localtime

from cineflow.core import ids
from runs.models import Run

Rows = models.QuerySet[Any]
Choices = Iterable[tuple[str, str]]


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts 10,000 rows and no more: to count a million takes longer than all else on the page."""

    most = 10_000

    @cached_property
    def _seen(self) -> int:
        rows: Any = self.object_list
        found: int = rows.order_by().values("pk")[: self.most + 1].count()
        return found

    @cached_property
    def count(self) -> int:
        return min(self._seen, self.most)

    @property
    def has_more(self) -> bool:
        return self._seen > self.most


class CalendarQuerySet(models.QuerySet[Any]):
    """For the date drill-down: all days from the first row to the last, without reading each."""

    def datetimes(self, field_name: str, kind: str, *args: Any, **kwargs: Any) -> Any:
        span = self.aggregate(first=models.Min(field_name), last=models.Max(field_name))
        if span["first"] is None:
            return []
        first, last = (localtime(moment) for moment in (span["first"], span["last"]))
        return list(_calendar(first, last, kind))


def _calendar(first: datetime, last: datetime, kind: str) -> Iterable[datetime]:
    longest = {"year": 366, "month": 31, "day": 1}[kind]
    day = _start(first.date(), kind)
    while day <= last.date():
        yield datetime(day.year, day.month, day.day, tzinfo=UTC)
        # This may end a few days into the next month or year, never beyond it.
        day = _start(day + timedelta(days=longest), kind)


def _start(day: date, kind: str) -> date:
    match kind:
        case "year":
            return day.replace(month=1, day=1)
        case "month":
            return day.replace(day=1)
        case _:
            return day


class LeanList(ChangeList):
    """Leaves wide columns in the database, and sorts only where the admin says that it can."""

    model_admin: "ReadOnlyAdmin"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Rows:
        rows: Rows = super().get_queryset(request, exclude_parameters)
        return rows.defer(*self.model_admin.wide)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.paginator.has_more:
            # Else the search form would tell the bound as if it were the count.
            self.full_result_count = self.result_count

    def get_ordering(self, request: HttpRequest, queryset: Rows) -> Any:
        if self.sortable_by is not None and not self.sortable_by:
            self.params.pop(ORDER_VAR, None)  # of an old link, or written by hand
        return super().get_ordering(request, queryset)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at. What changes them are actions, for those who may change them."""

    wide: Sequence[str] = ()  # columns that no list shows
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200

    class Media:
        css: ClassVar = {"all": ["runs/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LeanList

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """May run the actions; the form stays read-only for everybody."""
        return super().has_change_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        context = {"title": title, **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    extra = 0
    can_delete = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EqualsFilter(admin.SimpleListFilter):
    """A column is one of few values, known without asking the table for its distinct ones."""

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        value = self.value()
        if value is None:
            return queryset
        if value not in dict(self.lookup_choices):
            raise IncorrectLookupParameters(f"{self.parameter_name} is never {value!r}")
        return queryset.filter(**{str(self.parameter_name): value})


def one_of(column: str, choices: Callable[[], Choices]) -> type[EqualsFilter]:
    def lookups(
        self: EqualsFilter, request: HttpRequest, model_admin: Any
    ) -> list[tuple[str, str]]:
        return list(choices())

    name = column.removesuffix("_id").replace("_", " ")
    return type(
        f"{column}_filter",
        (EqualsFilter,),
        {"title": name, "parameter_name": column, "lookups": lookups},
    )


def words(values: Iterable[str]) -> list[tuple[str, str]]:
    return [(value, value.replace("_", " ")) for value in values]


class RunFilter(admin.SimpleListFilter):
    """Takes a run's public id from a link; shows itself only then, to be taken off again."""

    title = "run"
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        wanted = request.GET.get("run")
        return [(wanted, wanted)] if wanted else []

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        wanted = self.value()
        return queryset if wanted is None else queryset.filter(run_id=ids.parse("run", wanted))


def run_of(request: HttpRequest) -> Run | None:
    """The run that a list is about, if it is about one."""
    key = ids.parse("run", request.GET.get("run", ""))
    return Run.objects.filter(pk=key).first() if key else None
