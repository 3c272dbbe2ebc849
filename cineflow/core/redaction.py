"""Logs without the secrets of this process's settings."""

import logging
from functools import lru_cache

from cineflow.core.environment import known_secrets
from cineflow.core.spellings import MARK, spellings


def redacted(text: str) -> str:
    """Without the secrets of this process's settings: quick, for every line of a log."""
    for spelling in _all_spellings(known_secrets()):
        if spelling in text:
            text = text.replace(spelling, MARK)
    return text


@lru_cache(maxsize=8)
def _all_spellings(secrets: frozenset[str]) -> tuple[str, ...]:
    """The longest first: a short one may be a part of it."""
    found = {spelling for secret in secrets for spelling in spellings(secret)}
    return tuple(sorted(found, key=len, reverse=True))


class Formatter(logging.Formatter):
    """Whatever is logged, an exception's words and its stack included, is logged without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
