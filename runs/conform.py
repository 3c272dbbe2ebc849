"""What would become of the shots of a run whose length nobody makes: told when the run is created."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from cineflow.core.errors import Invalid, problem
from providers.capabilities import in_words
from providers.offers import Offer, Shot
from providers.routing import Conform as Rule
from providers.routing import Decision, Heed, route
from providers.strategies import Strategy, heads
from runs.candidates import Load, catalogue
from runs.freezing import Frozen
from runs.models import Conform, Run
from runs.shots import shot_of

MAX_ENTRIES = 1_000

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The shots that do not fit exactly and what would happen to each, by index; at most 1,000 of them."""

    entries: Sequence[Entry]
    rest: int  # further ones that are not listed


def plan(run: Run, frozen: Iterable[Frozen], *, now: datetime) -> Plan:
    """As things stand now, but for what passes by itself. Raises `Invalid` for a strict run that does not fit."""
    told = _outcomes(run, now)
    entries: list[Entry] = []
    rest, misfits = 0, []
    for shot in frozen:
        outcome = told(shot)
        if outcome is None:
            continue
        index = shot.snapshot["segment_index"]
        if run.conform == Conform.STRICT:
            misfits.append((index, outcome))
        elif len(entries) < MAX_ENTRIES:
            entries.append({"segment_index": index, **outcome})
        else:
            rest += 1
    if misfits:
        raise Invalid([_problem(index, outcome) for index, outcome in misfits])
    return Plan(entries, rest)


def _problem(index: int, outcome: Entry) -> Any:
    message = f"Shot {index} ({outcome['seconds']} s): {outcome['why']}"
    return problem(["segments", index], message, "no_provider")


def _outcomes(run: Run, now: datetime) -> Callable[[Frozen], Entry | None]:
    """What becomes of a shot: None where it is made as it is. Shots that are alike are looked at once."""
    known = catalogue([run.model_id], now=now, with_latency=run.routing_strategy == "latency")
    candidates = known.candidates(run.model_id, load=Load())
    shortest = known.shortest_prompt(run.model_id)

    @cache
    def outcome(shot: Shot) -> Entry | None:
        decision = route(
            cast(Strategy, run.routing_strategy),
            candidates,
            shot,
            conform=cast(Rule, run.conform),
            provider_id=run.provider_id,
            heed=Heed.NOTHING if run.dry_run else Heed.WHAT_LASTS,
        )
        return None if decision.seconds == shot.seconds else _entry(decision)

    return lambda frozen: outcome(shot_of(frozen.snapshot, frozen.prompt, shortest=shortest))


def _entry(decision: Decision) -> Entry:
    drawn = heads(decision.fitting) if decision.strategy == "weighted" else []
    one = decision.choice.candidate if decision.choice and len(drawn) < 2 else None
    lengths: set[int | None] = {offer.seconds for offer in drawn} or {decision.seconds}
    asked = decision.seconds if len(lengths) == 1 else None
    return {
        "seconds": decision.requested,
        "outcome": _outcome(decision, asked),
        "provider_id": one.provider_id if one else None,
        "provider_model_id": one.provider_model_id if one else None,
        "asked_seconds": asked,
        "why": _why(decision, drawn),
    }


def _why(decision: Decision, drawn: Sequence[Offer]) -> str:
    if decision.choice is None:
        return decision.reason
    start = f"none that can take it makes {decision.requested} s"
    if len(drawn) > 1:
        return f"{start}; one is drawn by weight: {', '.join(map(_offered, drawn))}"
    return f"{start}; {_offered(decision.choice)} is {decision.reason}"


def _offered(offer: Offer) -> str:
    made = offer.candidate
    return f"{made.provider_id} {made.provider_model_id} as {offer.seconds} s (of {in_words(made.durations)})"


def _outcome(decision: Decision, asked: int | None) -> str:
    if decision.choice is None:
        return "no_provider"
    if asked is None:
        return "drawn"
    return "longer" if asked > decision.requested else "shorter"
