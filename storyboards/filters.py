"""What the lists of storyboards and segments can be filtered by."""

import django_filters

from cineflow.api.filters import StrictBooleanFilter, StrictChoiceFilter
from storyboards.models import Segment, Storyboard


class StoryboardFilter(django_filters.FilterSet):
    # SQLite folds the case of ASCII letters only: there, `É` does not find `é`.
    name = django_filters.CharFilter(
        lookup_expr="icontains", max_length=255, strip=False, label="Part of the name, in any case."
    )

    class Meta:
        model = Storyboard
        fields: tuple[str, ...] = ()


class SegmentFilter(django_filters.FilterSet):
    resolution = StrictChoiceFilter(choices=("horizontal", "vertical"))
    is_pro = StrictBooleanFilter()

    class Meta:
        model = Segment
        fields: tuple[str, ...] = ()
