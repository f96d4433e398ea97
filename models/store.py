"""One store on disk: <root>/<dataset>/<architecture>/<version>/ and <root>/aliases.json. What is in a version is
`checkpoint`'s job.

Folders appear by one rename, whole; whatever has no number for a name is not a version. Writers take turns by a lock
file.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from models.aliases import Aliases, dump_aliases, parse_aliases
from models.atomic import replace_file, sync_folder
from models.checkpoint import MANIFEST
from models.errors import StoreError

ALIASES, LOCK, TEMPORARY = "aliases.json", ".lock", ".tmp-"


class Key(NamedTuple):
    """The place of a version in a store."""

    dataset: str
    architecture: str
    version: int

    @property
    def reference(self) -> str:
        """E.g. "human/wavenet@1"."""
        return f"{self.dataset}/{self.architecture}@{self.version}"


class Store:
    """A folder of immutable versions. A folder that is not there is an empty store; the first publication makes it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def present(self) -> list[Key]:
        """Return the versions present, sorted. A folder without a manifest is unfinished and does not count."""
        manifests = self.root.glob(f"*/*/*/{MANIFEST}") if self.root.is_dir() else ()
        folders = [path.parent for path in manifests if path.parent.name.isascii() and path.parent.name.isdecimal()]
        return sorted(Key(folder.parts[-3], folder.parts[-2], int(folder.name)) for folder in folders)

    def folder(self, key: Key) -> Path:
        """Return where `key` lies or would lie."""
        return self.root / key.dataset / key.architecture / str(key.version)

    def aliases(self) -> Aliases:
        """Return the alias file's contents, none without a file. Raises `StoreError` for a damaged one."""
        path = self.root / ALIASES
        try:
            return parse_aliases(path.read_bytes(), str(path))
        except FileNotFoundError:
            return Aliases()
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error

    def change_aliases(self, change: Callable[[Aliases], Aliases]) -> None:
        """Replace the alias file in one step by `change` of its contents. Call it inside `writing`."""
        replace_file(self.root / ALIASES, dump_aliases(change(self.aliases())))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store's lock; what a killed writer left behind is swept away. Raises `StoreError` where nothing
        can be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for leftover in self.root.glob(f"*/*/{TEMPORARY}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                yield
        except OSError as error:
            place = error.filename or self.root
            raise StoreError(f"The store {self.root} cannot be written: {place}: {error.strerror}.") from error

    def add(self, key: Key, fill: Callable[[Path], None]) -> None:
        """Let `fill` write a version into a temporary folder, then put it in its place by one rename. Call it inside
        `writing`.
        """
        place = self.folder(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=TEMPORARY))
        try:
            temporary.chmod(0o755)
            fill(temporary)
            os.rename(temporary, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for folder in (place.parent, place.parent.parent, self.root):
            sync_folder(folder)
