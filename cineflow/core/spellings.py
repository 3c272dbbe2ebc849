"""Taking secrets out of text, in whatever spelling they stand there. It knows no settings."""

import base64
import html
import math
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

MARK = "…"
# So many characters in a row are a quotation, not a coincidence.
_QUOTED = 16
_LEAST = 4
# Nobody's key is longer; a longer text is only ever repeated as it is.
_LONGEST_KEY = 512


@lru_cache(maxsize=256)
def spellings(secret: str) -> tuple[str, ...]:
    """Itself, and as addresses, pages and base64 write it, wherever in the packed bytes it stands."""
    if len(secret) > _LONGEST_KEY:
        return (secret,)
    found = [secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)]
    content = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            packed = encode(bytes(before) + content).decode()
            # Only the characters that no neighbour of the secret has a part in.
            found.append(packed[math.ceil(before * 4 / 3) : (before + len(content)) * 4 // 3])
    return tuple(dict.fromkeys(found))


def without(text: str, *secrets: str) -> str:
    """`text` without the passages that quote one of them, in whole or in part."""
    for size, pieces in _pieces(secrets).items():
        text = _cut(text, size, pieces)
    return text


def _pieces(secrets: Iterable[str]) -> dict[int, set[str]]:
    """All that is long enough to be a quotation, by length."""
    found: dict[int, set[str]] = {}
    for spelling in (each for secret in secrets for each in spellings(secret)):
        size = min(_QUOTED, len(spelling))
        if size >= _LEAST:
            windows = range(len(spelling) - size + 1)
            found.setdefault(size, set()).update(spelling[i : i + size] for i in windows)
    return found


def _cut(text: str, size: int, pieces: set[str]) -> str:
    kept, done, i = [], 0, 0
    while i + size <= len(text):
        if text[i : i + size] not in pieces:
            i += 1
            continue
        end = i + size
        while text[end - size + 1 : end + 1] in pieces and end < len(text):
            end += 1
        kept += [text[done:i], MARK]
        done = i = end
    return "".join([*kept, text[done:]])
