"""What people get to read of a provider's words: short, and without keys, prompts and addresses."""

import re
from dataclasses import replace

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
# So many characters in a row are a quotation, not a coincidence.
_QUOTED = 16


def clean(text: str, *hidden: str) -> str:
    """One short line for a person: without keys, addresses, and the `hidden` texts."""
    for secret in hidden:
        text = _without(text, secret)
    text = _SECRETS.sub("…", text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"


def hide(failure: Failure, *texts: str) -> Failure:
    """For texts that an adapter does not see when it reads an answer: the prompt, the key."""
    return replace(failure, message=clean(failure.message, *texts))


def _without(text: str, secret: str) -> str:
    """`text` without the passages that quote `secret`, in whole or in part."""
    size = min(_QUOTED, len(secret))
    if size < 4:
        return text
    pieces = {secret[i : i + size] for i in range(len(secret) - size + 1)}
    kept, done, i = [], 0, 0
    while i + size <= len(text):
        if text[i : i + size] not in pieces:
            i += 1
            continue
        end = i + size
        while text[end - size + 1 : end + 1] in pieces and end < len(text):
            end += 1
        kept += [text[done:i], "…"]
        done = i = end
    return "".join([*kept, text[done:]])
