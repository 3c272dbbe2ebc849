"""What people get to read of a provider's words: short, and without keys, prompts and addresses."""

import re
from dataclasses import replace

from cineflow.core.spellings import MARK, without
from providers.errors import Failure

MESSAGE_LENGTH = 500

_SECRETS = re.compile(
    r"""
      (?:https?|wss?|ftp|s3|gs|file)://\S+ | \bdata:\S+ | \bwww\.\S+   # addresses
    | \b(?:bearer|basic)\s+[\w.~+/=*-]{6,}                             # headers
    | \b(?:sk|pk|rk|ak|r8|hf|xai)[-_][\w*.-]{5,}[\w*]                  # keys
    | \bkey_[0-9a-f]{8,}
    | \b(?:api[-_\ ]?key|token|secret|password)["']?\s*[=:]\s*["']?[^\s"',;]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What comes after so many characters is not shown to anybody.
_READ = 20_000


def clean(text: str, *hidden: str) -> str:
    """One short line for a person: without keys, addresses, and the `hidden` texts."""
    text = without(text[:_READ], *hidden)
    text = _SECRETS.sub(MARK, text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + MARK


def hide(failure: Failure, *texts: str) -> Failure:
    """For texts that an adapter does not see when it reads an answer: the prompt, the key."""
    code = without(failure.provider_code, *texts)
    return replace(failure, message=clean(failure.message, *texts), provider_code=code)
