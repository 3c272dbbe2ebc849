"""Tables for the terminal and for `benchmarks/README.md`, which keeps its own words around them."""

import os
import platform
import re
import sys
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

README = Path(__file__).with_name("README.md")
_PACKAGES = ("Django", "djangorestframework", "celery", "psycopg", "gunicorn")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown, with columns of even width so that it reads well in a terminal too."""
    widths = [max(map(_width, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`0.41 (0.39–0.47)`: the median, the least and the most."""
    shown = [f"{value:.{digits}f}" for value in (median(values), min(values), max(values))]
    return f"{shown[0]} ({shown[1]}–{shown[2]})"


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def circumstances(*facts: str) -> str:
    """Where, when and with what it was measured."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    machine = f"{cores} cores, {platform.machine()}, load average {load:.1f} at the end"
    python = f"Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    day = datetime.now(UTC).date()
    return f"{day}, {machine}; {', '.join(facts)}; {python}, {packages}."


def publish(name: str, title: str, body: str, note: str) -> None:
    """Prints a result and puts it into the README between the markers of its name."""
    print(f"\n{title}\n\n{body}\n\n{note}", flush=True)
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = README.read_text(encoding="utf-8")
    block = f"{begin}\n**{title}**\n\n{body}\n\n{note}\n{end}"
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not marked.search(text):
        raise SystemExit(
            f"{README.name} has no place for {name}: put {begin} and {end} where it belongs."
        )
    README.write_text(marked.sub(lambda _: block, text), encoding="utf-8")
