"""What every dialect does with a submit, in no dialect's words: the ledger, limits, scripted faults."""

import time
from collections.abc import Callable
from email.utils import formatdate

from aiohttp import web

from providers.simulator.engine import ENGINE, Throttled
from providers.simulator.faults import CREATES_A_JOB, Fault, parse
from providers.simulator.jobs import Job, Order
from providers.simulator.ledger import POST


class NotTaken(Exception):
    """Nothing is made, for `fault`, which the dialect words."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.name)
        self.fault = fault


def take(request: web.Request, order: Order, new_id: Callable[[], str]) -> tuple[Job, Fault | None]:
    """The job of a submit that is right, and what shall go wrong with the answer.

    Raises NotTaken; `429` is a limit's too, and `404` a retired model's. UnknownDirective is a bad request.
    """
    engine, post = request.config_dict[ENGINE], request[POST]
    post.order = order
    script = parse(order.prompt)
    if (known := engine.known(post.key)) is not None:
        post.outcome, post.job_id = "replayed", known.id
        return known, None
    if order.model in engine.settings.retired:
        raise _not_taken(request, Fault("404"))
    try:
        engine.admit()
    except Throttled as throttled:
        raise _not_taken(request, Fault("429", throttled.retry_after)) from throttled
    fault = engine.submit_fault(order.prompt, script)
    if fault and fault.name not in CREATES_A_JOB:
        raise _not_taken(request, fault)
    job = engine.create(new_id(), order, script)
    post.outcome, post.job_id = fault.name if fault else "created", job.id
    engine.remember(post.key, job)
    return job, fault


def _not_taken(request: web.Request, fault: Fault) -> NotTaken:
    request[POST].outcome = fault.name
    return NotTaken(fault)


def status_of(fault: Fault) -> int | None:
    """The status that a fault is named after: 429 of "429_ms"."""
    number = fault.name.partition("_")[0]
    return int(number) if number.isdigit() else None


def waiting_headers(fault: Fault) -> dict[str, str]:
    """How long the client is asked to wait, in the way that the fault names."""
    match fault:
        case Fault(argument=None):
            return {}
        case Fault("429_ms", milliseconds):
            return {"retry-after-ms": f"{milliseconds:g}"}
        case Fault("429_date", seconds):
            now = int(time.time())
            return {
                "Date": formatdate(now, usegmt=True),
                "Retry-After": formatdate(now + (seconds or 0), usegmt=True),
            }
    return {"Retry-After": f"{fault.argument:g}"}
