"""API keys: the file of their digests, and the check of a presented key.

Keys are never stored or logged.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from models import ConfigError

KEY_LINE = re.compile(r"([0-9a-f]{64})[ \t]+([A-Za-z0-9._-]{1,64})")
KEY_PREFIX = "nw_"
BEARER = "bearer "
# Key of the ASGI scope that holds the name of the API key.
API_KEY_NAME = "namewave.owner"


def generate_key() -> str:
    """Return a key of 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal.

    Keys are long and random, so a slow hash is not needed.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def key_line(name: str, key: str) -> str:
    """Return the line of the key file. Raises `ConfigError` for a name that is not allowed."""
    line = f"{digest(key)} {name}"
    if not KEY_LINE.fullmatch(line):
        raise ConfigError(f"The name is {name!r}; allowed are 1 to 64 of A-Z a-z 0-9 . _ -.")
    return line


@dataclass(frozen=True)
class ApiKeys:
    """Digests in lower-case hexadecimal, each with the name of its key."""

    digests: tuple[tuple[bytes, str], ...]

    @classmethod
    def load(cls, path: Path) -> "ApiKeys":
        """Read a key file: a digest and a name on each line; lines that start with # are comments.

        Raises `ConfigError` for an unreadable file, a line that is no key, or no key at all.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"The keys {path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise ConfigError(f"The keys {path} are no UTF-8 text.") from None
        found: list[tuple[bytes, str]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = KEY_LINE.fullmatch(line.strip())
            if parts is None:
                # The line is not shown: it may hold a key in plain text.
                raise ConfigError(f"Line {number} of {path} is no key; `python -m app key NAME` prints one that is.")
            found.append((parts[1].encode(), parts[2]))
        if not found:
            raise ConfigError(f"{path} holds no key; `python -m app key NAME` prints a line for it.")
        return cls(tuple(found))

    def name_for(self, key: str) -> str | None:
        """Return the name of a key, or None, in constant time for any key."""
        given, found = digest(key).encode(), None
        for known, name in self.digests:
            if hmac.compare_digest(known, given):
                found = name
        return found


def presented_key(authorization: str, x_api_key: str) -> str:
    """Return the key of the headers `Authorization: Bearer` or `X-API-Key`, or "" where there is none."""
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    return x_api_key.strip()
