"""How steps are walked: each tells what it saw or raises what did not hold, and so is judged."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import requests

from cineflow.acceptance.client import Api, Unmet
from cineflow.acceptance.shapes import Run, Segment, Storyboard, Task

Value = TypeVar("Value")


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    NOT_TESTED = "未测"


class NotTestable(Exception):
    """This server cannot be asked that; the text says why."""


@dataclass
class Walk:
    """What the steps have learnt so far, for those that follow."""

    api: Api
    watch: Callable[[Run], None] = lambda run: None  # is shown a run while it goes on
    storyboard: Storyboard | None = None
    segments: list[Segment] = field(default_factory=list)
    run: Run | None = None
    tasks: list[Task] = field(default_factory=list)
    files: dict[str, str] = field(
        default_factory=dict
    )  # of each video: its path and its size in words


Action = Callable[[Walk], str]


@dataclass(frozen=True)
class Step:
    """`act` returns what happened, in words, or raises."""

    number: str
    endpoint: str
    expected: str
    act: Action
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A step and what came of it: one line of the record."""

    step: Step
    actual: str
    verdict: Verdict


def take(steps: Iterable[Step], walk: Walk) -> Iterator[Line]:
    """Every step, also after one that failed: the record shall show all that is wrong."""
    for step in steps:
        yield _line(step, walk)


def _line(step: Step, walk: Walk) -> Line:
    try:
        return Line(step, step.act(walk), Verdict.PASS)
    except Unmet as unmet:
        return Line(step, str(unmet), Verdict.FAIL)
    except NotTestable as reason:
        return Line(step, str(reason), Verdict.NOT_TESTED)
    except requests.RequestException as error:
        return Line(step, f"没有得到响应（{type(error).__name__}）", Verdict.FAIL)


def known(value: Value | None) -> Value:
    """What an earlier step was to find out."""
    if not value:
        raise Unmet("前面的步骤未通过，无法检查")
    return value
