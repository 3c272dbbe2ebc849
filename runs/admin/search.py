"""Finding by what an operator has: an id from the API, a provider's job id, our token, a name.

An id is known by its shape and looked up by its index; no text is searched in a million rows.
"""

from uuid import UUID

from django.db.models import Q, QuerySet

from cineflow.core import ids
from runs.models import Attempt, Task


def runs(words: str) -> Q:
    if key := ids.parse("run", words):
        return Q(pk=key)
    if key := ids.parse("sb", words):
        return Q(storyboard_uuid=key)
    if key := ids.parse("task", words):
        return Q(pk__in=Task.objects.filter(pk=key).values("run_id"))
    if key := ids.parse("seg", words):
        return Q(pk__in=Task.objects.filter(segment_uuid=key).values("run_id"))
    return Q(storyboard_name__icontains=words) | Q(pk__in=_attempts(words).values("run_id"))


def tasks(words: str) -> Q:
    if key := ids.parse("task", words):
        return Q(pk=key)
    if key := ids.parse("run", words):
        return Q(run_id=key)
    if key := ids.parse("seg", words):
        return Q(segment_uuid=key)
    return Q(pk__in=_attempts(words).values("task_id"))


def attempts(words: str) -> Q:
    if key := ids.parse("task", words):
        return Q(task_id=key)
    if key := ids.parse("run", words):
        return Q(run_id=key)
    return Q(pk__in=_attempts(words).values("pk"))


def _attempts(words: str) -> QuerySet[Attempt]:
    """By our token, where it is one, else by the provider's job id."""
    token = uuid(words)
    by_job = Q(provider_job_id=words)
    return Attempt.objects.order_by().filter(by_job | Q(pk=token) if token else by_job)


def uuid(words: str) -> UUID | None:
    try:
        return UUID(words)
    except ValueError:
        return None
