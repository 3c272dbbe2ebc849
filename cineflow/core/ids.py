"""Public ids: a prefix that names the kind, then a UUIDv7 as 26 characters of Crockford base32.

`run_01jd8x…` sorts by its time of creation, carries 74 random bits, and is stored as a plain UUID.
"""

import secrets
import time
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562): 48 bits of milliseconds, 74 random bits."""
    random = secrets.randbits(74)
    milliseconds = time.time_ns() // 1_000_000
    value = (
        milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    )
    return UUID(int=value)


def show(prefix: str, value: UUID) -> str:
    """The public form of an id, such as `run_01jd8x…`."""
    number = value.int
    characters = [_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(characters)}"


def parse(prefix: str, text: str) -> UUID | None:
    """The id behind `text`, or None when it has not the shape that `show` writes."""
    head, separator, tail = text.partition("_")
    if head != prefix or not separator or len(tail) != _LENGTH or not set(tail) <= _VALUES.keys():
        return None
    number = 0
    for character in tail:
        number = number << 5 | _VALUES[character]
    return UUID(int=number) if number < 1 << 128 else None
