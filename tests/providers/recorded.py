"""Answers as they came over the wire, kept in `tests/wire/<provider>/<case>.json`."""

import json
from pathlib import Path

from providers.base import HttpAnswer

WIRE = Path(__file__).parent.parent / "wire"


def recorded(provider: str, name: str) -> HttpAnswer:
    """`body` is JSON, `text` is anything else."""
    found = json.loads((WIRE / provider / f"{name}.json").read_text(encoding="utf-8"))
    body = found["text"] if "text" in found else json.dumps(found["body"])
    return HttpAnswer(found["status"], found.get("headers", {}), body.encode())


def names(provider: str) -> set[str]:
    return {path.stem for path in (WIRE / provider).iterdir()}
