"""One store on disk: <root>/<dataset>/<architecture>/<version>/ and <root>/aliases.json. What is in a version is
`checkpoint`'s job.

Folders appear by one rename, whole; whatever has no number for a name is not a version. Writers take turns by a lock
file.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from models.errors import StoreError
from models.store.aliases import Aliases, dump_aliases, parse_aliases
from models.store.atomic_files import replace_file, sync_folder
from models.store.checkpoint import MANIFEST

ALIASES, LOCK, TEMPORARY = "aliases.json", ".lock", ".tmp-"
# Inode, size in bytes, time of the last change in nanoseconds: another file, or another state of it, has another stamp.
Stamp = tuple[int, int, int]
NUMBER = re.compile("[1-9][0-9]{0,8}")


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
        """Return the versions present, sorted. Raises `StoreError` as `manifests` does."""
        return sorted(self.manifests())

    def manifests(self) -> dict[Key, Stamp]:
        """Return the versions present, each with its manifest's stamp. A folder without a manifest is unfinished and
        does not count. Raises `StoreError` where the store is there but cannot be read.
        """
        found: dict[Key, Stamp] = {}
        try:
            # What others may not read inside is not a version; a store that cannot be read at all is an error.
            for dataset in _folders(self.root, private=False):
                for architecture in _folders(dataset.path):
                    for folder in _folders(architecture.path):
                        manifest = stamp(f"{folder.path}/{MANIFEST}")
                        if manifest and NUMBER.fullmatch(folder.name):
                            found[Key(dataset.name, architecture.name, int(folder.name))] = manifest
        except OSError as error:
            raise StoreError(f"The store {self.root} cannot be read: {error.strerror}.") from error
        return found

    def folder(self, key: Key) -> Path:
        """Return where `key` lies or would lie."""
        return self.root / key.dataset / key.architecture / str(key.version)

    def aliases(self) -> Aliases:
        """Return the alias file's contents, none without a file. Raises `StoreError` for a damaged one."""
        return self.parse(self.alias_file())

    def parse(self, content: bytes | None) -> Aliases:
        """Return what an alias file says, nothing for None. Raises `StoreError` for a damaged one."""
        return Aliases() if content is None else parse_aliases(content, str(self.root / ALIASES))

    def alias_file(self) -> bytes | None:
        """Return the alias file, None where there is none. Raises `StoreError` where it cannot be read."""
        path = self.root / ALIASES
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
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
                for alias_file in self.root.glob(f".{ALIASES}-*"):
                    alias_file.unlink(missing_ok=True)
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

    def take_away(self, key: Key) -> None:
        """Remove a version: by one rename it is gone, then its files are deleted. Call it inside `writing`, which also
        sweeps away what a crash left.
        """
        place = self.folder(key)
        temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=TEMPORARY))
        os.rename(place, temporary)
        sync_folder(place.parent)
        shutil.rmtree(temporary, ignore_errors=True)


def stamp(path: Path | str) -> Stamp | None:
    """Return the file's stamp, None where there is no such file or it may not be seen."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def stamps(folder: Path) -> dict[str, Stamp | None]:
    """Return the stamps of all files in `folder`, none where it cannot be read."""
    try:
        return {path.name: stamp(path) for path in folder.iterdir()}
    except OSError:
        return {}


def _folders(path: Path | str, private: bool = True) -> list[os.DirEntry[str]]:
    """Return the folders in `path`, none where it is no folder or, if it may be `private`, cannot be read."""
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        if private:
            return []
        raise
