"""API keys: what their file holds, and whether a request has one. A key itself is kept nowhere, and never logged."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Scope

from app import headers
from models import ConfigError

LINE = re.compile(r"([0-9a-f]{64})[ \t]+([A-Za-z0-9._-]{1,64})")
MARK = "nw_"
BEARER = "bearer "


def new_key() -> str:
    """Return a key of 256 random bits."""
    return MARK + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """Return what is kept of a key: its SHA-256. A key is random and long, so that no slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_line(name: str, key: str) -> str:
    """Return the line of the file for a key. Raises `ConfigError` for a name that is not allowed."""
    line = f"{digest(key)} {name}"
    if not LINE.fullmatch(line):
        raise ConfigError(f"The name is {name!r}; allowed are 1 to 64 of A-Z a-z 0-9 . _ -.")
    return line


@dataclass(frozen=True)
class Keys:
    """The digests, in lower-case hexadecimal, and who each belongs to."""

    digests: tuple[tuple[bytes, str], ...]

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Return the keys of a file: a digest and a name a line; lines that start with # are comments. Raises
        `ConfigError` for a file that cannot be read, a line that is no key, none at all.
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
            parts = LINE.fullmatch(line.strip())
            if parts is None:
                # Not the line: it may hold a key in the clear.
                raise ConfigError(f"Line {number} of {path} is no key; `python -m app key NAME` prints one that is.")
            found.append((parts[1].encode(), parts[2]))
        if not found:
            raise ConfigError(f"{path} holds no key; `python -m app key NAME` prints a line for it.")
        return cls(tuple(found))

    def owner(self, key: str) -> str | None:
        """Return whose key that is, or None. It takes as long for any key, right, nearly right or wrong."""
        given, owner = digest(key).encode(), None
        for known, name in self.digests:
            if hmac.compare_digest(known, given):
                owner = name
        return owner


def given_key(scope: Scope) -> str:
    """Return the key that a request has in Authorization: Bearer or in X-API-Key, or nothing."""
    authorization = headers.first(scope, b"authorization")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    return headers.first(scope, b"x-api-key").strip()
