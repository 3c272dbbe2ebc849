"""Settings from the environment, from `.env`, and from mounted files.

django-environ reads a file named by `NAME_FILE`, but hands on the newline that editors and `echo` put at its
end, fails with a bare stack trace when the file is not there, and writes a line of `.env` that it cannot read,
key and all, into the log.
"""

import io
import logging
import os
import re
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

logger = logging.getLogger(__name__)

# What is shorter is no secret worth the name, and would be found in innocent words.
_LEAST_SECRET = 8
_known: set[str] = set()

_ASSIGNMENT = re.compile(r"(?:export )?[A-Za-z_0-9]+=.*", re.DOTALL)


class _Mapping(FileAwareMapping):
    def __getitem__(self, name: str) -> str:
        path = self.env.get(f"{name}_FILE")
        try:
            value: str = super().__getitem__(name)
        except UnicodeDecodeError:
            # Its own text would quote what cannot be decoded.
            raise ImproperlyConfigured(
                f"{name}_FILE names {path}, which is no UTF-8 text."
            ) from None
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {path}, which cannot be read: {error.strerror}."
            ) from None
        return value.rstrip("\r\n") if path else value


class Secret(str):
    """It works as any text does, and shows itself in no `repr`: of a dict of settings, of a frame's variables."""

    def __repr__(self) -> str:
        return "'…'" if self else "''"


class Env(environ.FileAwareEnv):
    """`NAME_FILE` wins over `NAME`, and both over `.env`."""

    ENVIRON = _Mapping()

    def secret(self, name: str) -> Secret:
        """Empty when it is not set. As it stands: a `$` at its beginning refers to nothing."""
        value = Secret(str(self.ENVIRON.get(name, "")).strip())
        if len(value) >= _LEAST_SECRET:
            _known.add(str(value))
        return value

    @classmethod
    def read_dotenv(cls, path: Path) -> None:
        """What is set already stays. A line that is no `NAME=value` is told by its number alone."""
        if not path.is_file():
            return
        kept = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if _ASSIGNMENT.fullmatch(line):
                kept.append(line)
            else:
                logger.warning("%s, line %d is not NAME=value and is left out", path.name, number)
        cls.read_env(io.StringIO("\n".join(kept)))


def source(name: str) -> str:
    """Where a setting comes from, for people: the variable, or the file that another one names."""
    path = os.environ.get(f"{name}_FILE")
    return f"the file {path} ({name}_FILE)" if path else name


def known_secrets() -> frozenset[str]:
    """All that this process has read from its settings."""
    return frozenset(_known)
