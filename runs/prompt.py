"""The prompt that is sent: names become ids, then scene, props and the director's note are appended.

The rules and their order are the HTTP contract's; clients show the result and compare it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Dialogue is spoken, not shown: names inside quotes stay names.
_QUOTED = r'"[^"]*"|“[^”]*”'
_ID = re.compile(r"@[A-Za-z0-9_]+")


def full_prompt(
    prompt_text: str, asset: Mapping[str, Any] | None, director_intent: str | None
) -> str:
    """The whole prompt of a segment. `asset` is `{characters: [{name, id}], scene, props}`."""
    asset = asset or {}
    parts = [_with_ids(prompt_text, asset.get("characters") or [])]
    setting = _setting(asset.get("scene"), asset.get("props") or [])
    if setting:
        parts.append(f"[{setting}]")
    if director_intent and director_intent.strip():
        parts.append(f"(Director Note: {director_intent})")
    spaced = _ID.sub(r" \g<0> ", " ".join(parts))
    return " ".join(spaced.split())


def _setting(scene: str | None, props: Sequence[str]) -> str:
    shown = [prop for prop in props if prop.strip()]
    parts = []
    if scene and scene.strip():
        parts.append(f"Scene: {scene}")
    if shown:
        parts.append(f"Props: {', '.join(shown)}")
    return " | ".join(parts)


def _with_ids(text: str, characters: Sequence[Mapping[str, Any]]) -> str:
    ids: dict[str, str | None] = {}
    for character in characters:
        ids.setdefault(character["name"], character.get("id"))
    if not any(ids.values()):
        return text
    bracketed = any(f"[{name}]" in text for name in ids)
    # A character without an id takes part: "Bobby" must not become Bob's id and "by".
    names = "|".join(re.escape(name) for name in sorted(ids, key=len, reverse=True))
    pattern = rf"{_QUOTED}|\[(?P<name>{names})\]" if bracketed else rf"{_QUOTED}|(?P<name>{names})"
    return re.sub(pattern, lambda found: _replacement(found, ids), text)


def _replacement(found: re.Match[str], ids: Mapping[str, str | None]) -> str:
    name = found["name"]
    known = ids.get(name) if name else None
    # With its blanks at once: what follows the name ("Alicea") must not become a part of the id.
    return f" @{known.removeprefix('@')} " if known else found[0]
