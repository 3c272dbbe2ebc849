"""Looking for secrets in whatever is left behind, in each spelling in which they could stand there."""

import base64
import html
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from django.db import connection

_PIECE = 20  # characters of a secret are as good as all of it


@dataclass(frozen=True)
class Find:
    """Whose secret stands where, and what is around it."""

    whose: str
    where: str
    around: str


def spellings(secret: str) -> set[str]:
    """Itself and its ends, as addresses and pages write them, and in the middle of any base64."""
    found = {secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret)}
    found |= {secret[:_PIECE], secret[-_PIECE:], json.dumps(secret)[1:-1], secret[::-1]}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            packed = encode(b" " * offset + secret.encode()).decode()
            # The characters that depend on the secret alone.
            found.add(packed[math.ceil(offset * 4 / 3) : (offset + len(secret)) * 4 // 3])
    return found


def hunt(secrets: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[Find]:
    wanted = {
        spelling.encode(): whose
        for whose, secret in secrets.items()
        for spelling in spellings(secret)
    }
    return [
        Find(whose, where, _around(content, spelling))
        for where, content in places
        for spelling, whose in wanted.items()
        if spelling in content
    ]


def _around(content: bytes, spelling: bytes) -> str:
    at = content.index(spelling)
    return content[max(at - 150, 0) : at + len(spelling) + 50].decode(errors="replace")


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def tables() -> Iterator[tuple[str, bytes]]:
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            for row in cursor.fetchall():
                yield f"table {table}", " ".join(map(_text, row)).encode(errors="replace")


def _text(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
