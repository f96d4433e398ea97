"""Pinned manifests: digests that an operator keeps where writers of the store cannot change them.

Each is a line:

    <SHA-256 of manifest.json>  human/wavenet@1

A manifest has the digests of all other files, so a pin covers the whole version. `checkpoint` loads versions.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import CheckpointError, StoreError
from models.manifest import sha256

LINE = re.compile(r"([0-9a-f]{64})  ([a-z][a-z0-9-]{0,31}/[a-z][a-z0-9_]{0,31}@[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Pins:
    """Pinned digests of manifest files by reference. `place` is the path of the file, for errors."""

    digests: Mapping[str, str]
    place: str = "the pins"

    @property
    def name(self) -> str:
        """The file's name without its folders, which may be shown to clients."""
        return Path(self.place).name

    @classmethod
    def read(cls, path: Path) -> "Pins":
        """Return the pins of a file, without empty lines and # comments. Raises `StoreError`."""
        try:
            lines = path.read_text("utf-8").splitlines()
        except OSError as error:
            raise StoreError(f"The pins {path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            raise StoreError(f"The pins {path} are no UTF-8 text.") from None
        digests: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            found = LINE.fullmatch(line.rstrip())
            if found is None or found[2] in digests:
                raise StoreError(
                    f"{path}, line {number}: a pin is 64 hexadecimal digits, two spaces and a reference, "
                    "each once. Write the file with: python -m app models pins"
                )
            digests[found[2]] = found[1]
        return cls(digests, str(path))

    def check(self, reference: str, manifest: bytes) -> None:
        """Raise `CheckpointError` unless the file `manifest` is the pinned one for `reference`."""
        if reference not in self.digests:
            raise CheckpointError(f"{reference} is not pinned in {self.place}.")
        if sha256(manifest) != self.digests[reference]:
            raise CheckpointError(f"{reference}: the manifest is not the one that is pinned in {self.place}.")


def pin_lines(manifests: Iterable[tuple[str, bytes]]) -> str:
    """Return the text of a file of pins for manifests, given as pairs of reference and content."""
    return "".join(f"{sha256(content)}  {reference}\n" for reference, content in manifests)
