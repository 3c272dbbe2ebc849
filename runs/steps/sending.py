"""On the wire: from a committed attempt to what its provider made of it. Nothing here touches the database."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from cineflow.core.faults import fault
from providers import registry
from providers.base import (
    Accepted,
    Adapter,
    Ambiguous,
    GenerationRequest,
    HttpAnswer,
    HttpCall,
    ImageInput,
    Rejected,
    SubmitOutcome,
)
from providers.errors import Code, Failure, UnexpectedReply
from providers.http import NotSent, Sent, SentNoAnswer, Transport
from providers.messages import hide
from runs import start_images
from runs.models import Attempt, Task
from runs.steps import recover
from runs.steps.dispatch import Sending

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TooLate:
    """Not sent: so long after its attempt was made that somebody may have taken it for lost."""


@dataclass(frozen=True, slots=True)
class NoImage:
    """Not sent: the start image cannot be had right now. No provider is at fault."""

    failure: Failure


Outcome = SubmitOutcome | TooLate | NoImage
# What comes of a sending: the wire's word, still to be read, or what is known without it.
Arrived = Sent | Outcome


class Senders:
    """Sends side by side, one POST an attempt at the most.

    Whatever happens before it is a rejection; whatever happens after, an ambiguity.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        # To fetch a picture or to make it fit takes its time: not while others wait to be sent.
        self.pictures = ThreadPoolExecutor(settings.SENDERS, thread_name_prefix="picture")

    def send(self, sendings: Sequence[Sending]) -> list[Future[Arrived]]:
        """Of each, in their order, a future for `outcome_of`."""
        found: dict[int, Future[Any]] = {}  # of Arrived, or of a part of it
        calls: dict[int, HttpCall] = {}
        for place, sending in enumerate(sendings):
            if sending.task.snapshot["image_url"]:
                found[place] = self.pictures.submit(send, self.transport, sending)
                continue
            call = _call(sending)
            if isinstance(call, HttpCall):
                calls[place] = call
            else:
                found[place] = _known(call)
        if calls:
            begun = min(sendings[place].begun for place in calls)
            sent = self.transport.submit_all(list(calls.values()), send_by=_send_by(begun))
            found |= zip(calls, sent, strict=True)
        return [found[place] for place in range(len(sendings))]

    def close(self) -> None:
        """What is on the wire comes back all the same."""
        self.pictures.shutdown(wait=True)


def send(transport: Transport, sending: Sending) -> Outcome:
    """One, and wait for its outcome."""
    call = _call(sending)
    if isinstance(call, HttpCall):
        return outcome_of(sending, transport.submit(call, send_by=_send_by(sending.begun)))
    return call


def outcome_of(sending: Sending, arrived: Arrived) -> Outcome:
    """Read what arrived; people get to read neither prompt nor key in it, which a provider may quote."""
    if not isinstance(arrived, HttpAnswer | NotSent | SentNoAnswer):
        return arrived
    found = _read(sending.attempt, arrived)
    if isinstance(found, Rejected | Ambiguous):
        key = registry.account(sending.attempt.provider_id).key
        return replace(found, failure=hide(found.failure, sending.attempt.prompt, key))
    return found


def request_of(task: Task, attempt: Attempt, adapter: Adapter) -> GenerationRequest:
    """With its picture, as the provider takes one."""
    request = recover.request_facts(task, attempt)
    inputs = attempt.options.get("image_inputs", adapter.image_inputs)
    image = start_images.load(
        task.snapshot["image_url"],
        inputs=[ImageInput(how) for how in inputs],
        size=adapter.image_size(request),
        max_bytes=attempt.options.get("max_image_bytes"),
    )
    return replace(request, image=image)


def _known(outcome: Outcome) -> Future[Arrived]:
    future: Future[Arrived] = Future()
    future.set_result(outcome)
    return future


def _send_by(begun: float) -> float:
    within: float = settings.SEND_WITHIN_SECONDS
    return begun + within


def _call(sending: Sending) -> HttpCall | Outcome:
    """What is to be sent; or, where there is nothing to send, what that means."""
    attempt = sending.attempt
    try:
        account = registry.account(attempt.provider_id)
        adapter = registry.adapter(attempt.provider_id)
        call = adapter.submit(account, request_of(sending.task, attempt, adapter))
    except start_images.Unusable as error:
        if error.temporary:
            return NoImage(Failure(Code.DEPENDENCY_ERROR, str(error)))
        return Rejected(Failure(Code.VALIDATION_ERROR, str(error)))
    except Exception as error:
        logger.exception("the request of attempt %s could not be built", attempt.pk)
        return Rejected(
            Failure(Code.UNKNOWN_ERROR, f"The request could not be built: {type(error).__name__}.")
        )
    if isinstance(call, Accepted):
        return call
    fault("committed_before_send", attempt.prompt)
    return TooLate() if time.monotonic() > _send_by(sending.begun) else call


def _read(attempt: Attempt, sent: Sent) -> Outcome:
    fault("sent_before_answer_written")
    match sent:
        case NotSent(too_late=True):
            return TooLate()
        case NotSent(failure):
            return Rejected(failure)
        case SentNoAnswer(failure):
            return Ambiguous(failure)
    try:
        return registry.adapter(attempt.provider_id).read_submit(sent)
    except UnexpectedReply as error:
        words = f"{attempt.provider_id} sent an answer we cannot read: {error}"
    except Exception as error:
        logger.exception("the answer of %s could not be handled", attempt.provider_id)
        words = f"The answer could not be handled: {type(error).__name__}."
    return Ambiguous(Failure(Code.UNKNOWN_ERROR, words))
