"""Named points in the engine at which a chaos test lets the process die, freeze or fail.

    CINEFLOW_FAULT=name[@text]:probability[:seed][:kill|stop|raise]

Random kills seldom meet the narrow windows, such as the one between an answer and its commit; a named point
meets its own each time. With `@text` it is met only over work that has that in its prompt. Without the variable
a point is one comparison.
"""

import os
import random
import signal
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

Action = Literal["kill", "stop", "raise"]


class FaultHit(Exception):
    """A point was told to raise."""


@dataclass(frozen=True, slots=True)
class Armed:
    name: str
    probability: float
    text: str = ""
    seed: int = 0
    action: Action = "kill"
    dice: random.Random = field(default_factory=random.Random)

    def hit(self, name: str, *prompts: str) -> None:
        meant = not self.text or any(self.text in prompt for prompt in prompts)
        if name != self.name or not meant or self.dice.random() >= self.probability:
            return
        if self.action == "raise":
            raise FaultHit(name)
        os.kill(os.getpid(), signal.SIGSTOP if self.action == "stop" else signal.SIGKILL)


def parse(text: str) -> Armed | None:
    """Raises ValueError for what is not of the form above; nothing is armed by an empty text."""
    if not text:
        return None
    name, probability, *more = text.split(":")
    action = more.pop() if more and more[-1] in get_args(Action) else "kill"
    seed = int(more.pop()) if more else 0
    if more:
        raise ValueError(f"CINEFLOW_FAULT has too many parts: {text}")
    name, _, words = name.partition("@")
    dice = random.Random(seed)  # noqa: S311
    return Armed(name, float(probability), words, seed, cast(Action, action), dice)


_armed = parse(os.environ.get("CINEFLOW_FAULT", ""))


def _draw_anew() -> None:
    """Else each worker of a web server would meet what the one before it, from the same parent, has met."""
    if _armed is not None:
        _armed.dice.seed(f"{_armed.seed} {os.getpid()}")


os.register_at_fork(after_in_child=_draw_anew)


def arm(text: str) -> None:
    """For a process that was forked from one that had read another environment."""
    global _armed
    _armed = parse(text)


def fault(name: str, *prompts: str) -> None:
    """`prompts` are those of the work at hand."""
    if _armed is not None:
        _armed.hit(name, *prompts)
