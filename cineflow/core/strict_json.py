"""One strict JSON reader for uploads and API bodies.

The standard library accepts what databases, browsers and people trip over later: repeated keys,
NaN, numbers no double can hold, NUL and lone surrogates in strings, nesting that exhausts the
stack. Each is refused here with the place where it stands.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from cineflow.core.errors import Problem, problem

MAX_DEPTH = 32
MAX_INTEGER = 2**53

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
# An escape that gives such a character: \u0000, and a surrogate without its other half beside it.
_UNSAFE_ESCAPE = re.compile(
    rb"\\u(?:0000"
    rb"|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u)[dD][c-fC-F])"
)


class StrictJSONError(ValueError):
    """The bytes are not JSON that we take; `problems` says where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0]["msg"])
        self.problems = problems


class _Refused:
    """Stands in the parsed tree for a value that must not be there."""

    def __init__(self, msg: str, kind: str) -> None:
        self.msg = msg
        self.kind = kind


class _Repeated(dict[str, Any]):
    """An object in which a key stood more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.keys_twice: list[str] = []


def parse(raw: bytes, *, allow_bom: bool = False) -> Any:
    """Read `raw` as UTF-8 JSON; raise `StrictJSONError` with every problem found."""
    text = _decode(raw, allow_bom=allow_bom)
    # With escaped backslashes out of the way, a backslash escapes what follows it.
    plain = raw.replace(rb"\\", b"  ")
    _check_depth(plain)
    reader = _Reader()
    value = reader.read(text)
    # Control characters cannot stand raw in JSON and UTF-8 has no surrogates: only an escape brings
    # them in. The walk is slow, and files made by Python escape every Chinese character.
    if reader.suspicious or _UNSAFE_ESCAPE.search(plain):
        problems = list(_walk(value))
        if problems:
            raise StrictJSONError(problems)
    return value


def _decode(raw: bytes, *, allow_bom: bool) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(f"The text is not UTF-8: byte {error.start} cannot be read.", "unicode_error")
    if text.startswith("\ufeff"):
        if not allow_bom:
            _refuse("The text starts with a byte order mark; send plain UTF-8.", "json_invalid")
        text = text[1:]
    return text


def _check_depth(plain: bytes) -> None:
    """Before parsing, because the parser itself recurses."""
    depth = 0
    structure = plain.replace(rb"\"", b"").translate(None, _NOT_STRUCTURE)
    for bracket in b"".join(structure.split(b'"')[::2]):  # every other piece is a string
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            _refuse(f"The document is nested deeper than {MAX_DEPTH} levels.", "too_deep")


class _Reader:
    """Parses at full speed and only notes that something is wrong; `_walk` then says where."""

    def __init__(self) -> None:
        self.suspicious = False

    def read(self, text: str) -> Any:
        try:
            return json.loads(
                text,
                object_pairs_hook=self._object,
                parse_constant=self._constant,
                parse_float=self._float,
                parse_int=self._int,
            )
        except json.JSONDecodeError as error:
            _refuse(
                f"Not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
                "json_invalid",
            )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self.suspicious = True
        repeated = _Repeated(pairs)
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.keys_twice.append(key)
            seen.add(key)
        return repeated

    def _refused(self, msg: str, kind: str) -> _Refused:
        self.suspicious = True
        return _Refused(msg, kind)

    def _constant(self, name: str) -> _Refused:
        return self._refused(f"{name} is not a number in JSON.", "finite_number")

    def _float(self, digits: str) -> float | _Refused:
        value = float(digits)
        return (
            value
            if math.isfinite(value)
            else self._refused("The number is too large.", "finite_number")
        )

    def _int(self, digits: str) -> int | _Refused:
        if len(digits) <= 17 and abs(value := int(digits)) <= MAX_INTEGER:
            return value
        return self._refused("The integer is past 2^53; readers would round it.", "int_too_large")


def _walk(root: Any) -> Iterator[Problem]:
    stack: list[tuple[list[str | int], Any]] = [([], root)]
    while stack:
        loc, value = stack.pop()
        match value:
            case _Refused():
                yield problem(loc, value.msg, value.kind)
            case str():
                yield from _check_text(loc, value)
            case dict():
                yield from _check_keys(loc, value)
                stack.extend(([*loc, _safe(key)], item) for key, item in reversed(value.items()))
            case list():
                stack.extend(([*loc, index], value[index]) for index in reversed(range(len(value))))


def _check_keys(loc: list[str | int], value: dict[str, Any]) -> Iterator[Problem]:
    for key in value:
        yield from _check_text([*loc, _safe(key)], key)
    if isinstance(value, _Repeated):
        for key in value.keys_twice:
            yield problem(
                [*loc, _safe(key)],
                "The key stands more than once in the same object.",
                "repeated_key",
            )


def _check_text(loc: list[str | int], text: str) -> Iterator[Problem]:
    found = _UNSAFE.search(text)
    if found:
        what = "a NUL character" if found[0] == "\0" else "half of a surrogate pair"
        yield problem(loc, f"The text contains {what}.", "unsafe_character")


def _safe(key: str) -> str:
    """A key that can be written back to the reader: UTF-8 has no lone surrogates."""
    return _UNSAFE.sub("\ufffd", key)


def _refuse(msg: str, kind: str) -> NoReturn:
    raise StrictJSONError([problem([], msg, kind)])
