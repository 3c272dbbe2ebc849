"""`Idempotency-Key` on a POST: who repeats it after a lost answer gets that answer, not a second deed.

A key is taken before the work, in a transaction of its own; its unique row decides every race. The answer is kept in
the transaction that does the work. So a server that dies leaves both or neither, and a key that stays in progress
means that nothing was done: another request may take it over, and its first holder can no longer commit.
Answers other than success are not kept: they free the key.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.http import HttpResponse
from django.utils.datastructures import MultiValueDict
from django.utils.encoding import iri_to_uri
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cineflow.api.errors import envelope
from cineflow.core import clock
from cineflow.core.errors import Conflict, IdempotencyKeyReused, Invalid, NotFound, problem
from cineflow.models import IdempotencyKey

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEPT_HOURS = 48
PATTERN = r"^[!-~]([ -~]*[!-~])?$"

_PRUNED_BY_A_REQUEST = 100
_MAX_PATH = 255

# What keeps an answer; it belongs into the transaction that does the work.
Keep = Callable[[Response], None]
Post = Callable[..., Any]


# ---- for views ---------------------------------------------------------------------------------


def idempotent(post: Post) -> Post:
    """For a `post` of database work only: it and its answer become one transaction."""

    def together(view: Any, request: Request, *, keep: Keep, **kwargs: Any) -> Response:
        with transaction.atomic():
            response: Response = post(view, request, **kwargs)
            keep(response)
        return response

    return _marked(post, alone=post, once=together)


def idempotent_upload(post: Post) -> Post:
    """For a `post(…, keep)` that writes files, which is no work for a transaction.

    It has the domain call `keep` with the answer in the transaction that points at the files.
    """

    def alone(view: Any, request: Request, **kwargs: Any) -> Response:
        response: Response = post(view, request, keep=_nowhere, **kwargs)
        return response

    return _marked(post, alone=alone, once=post)


def is_idempotent(post: Post | None) -> bool:
    return getattr(post, "is_idempotent", False)


def _nowhere(response: Response) -> None:
    """Without a key, no answer is kept."""


def _marked(post: Post, *, alone: Post, once: Post) -> Post:
    @wraps(post)
    def answer(view: Any, request: Request, **kwargs: Any) -> Any:
        if HEADER not in request.headers:
            return alone(view, request, **kwargs)
        mine = _claim_of(request)
        found = _claim(mine)
        if found.holder != mine.holder:
            return _answer_of(found, mine.fingerprint)
        try:
            return once(view, request, keep=lambda response: _keep(mine, response), **kwargs)
        except BaseException:
            _release(mine)
            raise

    answer.is_idempotent = True  # type: ignore[attr-defined]
    return answer


# ---- what a request says -----------------------------------------------------------------------


def _claim_of(request: Request) -> IdempotencyKey:
    key, path = request.headers[HEADER], iri_to_uri(request.path_info)
    if len(key) > MAX_LENGTH or not re.fullmatch(PATTERN, key):
        wrong = f"An {HEADER} is 1 to {MAX_LENGTH} printable ASCII characters."
        raise Invalid([problem([HEADER], wrong, "invalid")])
    if len(path) > _MAX_PATH or "\0" in path:
        # Ids are of one length, so this leads to nothing; and the database could not hold it.
        raise NotFound("There is nothing at this address.")
    return IdempotencyKey(
        key=key, path=path, fingerprint=_fingerprint(request.data), claimed_at=clock.now()
    )


def _fingerprint(data: Any) -> str:
    """Of what was meant: a form's boundary, the order of keys and blanks between them do not count."""
    said = _parts(data) if isinstance(data, MultiValueDict) else data
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _parts(form: "MultiValueDict[str, Any]") -> list[Any]:
    return [
        [field, value if isinstance(value, str) else [value.name, _hash(value)]]
        for field, values in sorted(form.lists())
        for value in values
    ]


def _hash(file: Any) -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


# ---- the rows ----------------------------------------------------------------------------------


def _claim(mine: IdempotencyKey) -> IdempotencyKey:
    """The row of this key, ours or another's. Of many at once, exactly one finds its own."""
    with transaction.atomic():
        prune(now=mine.claimed_at, most=_PRUNED_BY_A_REQUEST)
        IdempotencyKey.objects.bulk_create([mine], ignore_conflicts=True)
    found = IdempotencyKey.objects.filter(key=mine.key, path=mine.path).first()
    if found is None:
        # Another's, freed this very moment: for us it was in progress.
        return IdempotencyKey(key=mine.key, path=mine.path, fingerprint=mine.fingerprint)
    return mine if found.holder == mine.holder or _take_over(found, mine) else found


def _take_over(found: IdempotencyKey, mine: IdempotencyKey) -> bool:
    too_old = mine.claimed_at - timedelta(seconds=settings.IDEMPOTENCY_TAKE_OVER_SECONDS)
    if found.fingerprint != mine.fingerprint or found.status or found.claimed_at > too_old:
        return False
    # Waits for a holder that is committing after all, and then finds no row.
    left = IdempotencyKey.objects.filter(pk=found.pk, holder=found.holder, status=None)
    return bool(left.update(holder=mine.holder, claimed_at=mine.claimed_at))


def _keep(mine: IdempotencyKey, response: Response) -> None:
    body = JSONRenderer().render(response.data).decode()
    location = response.headers.get("Location", "")
    held = IdempotencyKey.objects.filter(key=mine.key, path=mine.path, holder=mine.holder)
    if not held.update(status=response.status_code, location=location, body=body):
        raise Conflict(f"Another request with this {HEADER} has taken over.")


def _release(mine: IdempotencyKey) -> None:
    held = IdempotencyKey.objects.filter(key=mine.key, path=mine.path, holder=mine.holder)
    try:
        # Not where the answer was kept: a commit whose confirmation got lost is a commit.
        held.filter(status=None).delete()
    except DatabaseError as error:
        logger.warning("a key stays in progress for a while (%s)", type(error).__name__)


def _answer_of(found: IdempotencyKey, fingerprint: str) -> HttpResponse | Response:
    """What a request gets whose key belongs to another one."""
    if found.fingerprint != fingerprint:
        raise IdempotencyKeyReused(f"This {HEADER} was used with another body; take a new one.")
    if found.status is None:
        body = envelope(409, f"A request with this {HEADER} is in progress; repeat it shortly.")
        return Response(body, status=409, headers={"Retry-After": "1"})
    response = HttpResponse(found.body, status=found.status, content_type="application/json")
    response["Idempotent-Replayed"] = "true"
    if found.location:
        response["Location"] = found.location
    return response


@transaction.atomic(savepoint=False)
def prune(*, now: datetime, most: int = 10_000) -> None:
    """Deletes keys that are no longer kept, the oldest first."""
    old = IdempotencyKey.objects.filter(claimed_at__lt=now - timedelta(hours=KEPT_HOURS))
    # Skipping what another one deletes: two that wait for each other's rows would be a deadlock.
    free = old.order_by("claimed_at").select_for_update(skip_locked=True)
    if gone := list(free.values_list("pk", flat=True)[:most]):
        IdempotencyKey.objects.filter(pk__in=gone).delete()
