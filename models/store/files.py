"""One store on disk: <root>/<dataset>/<architecture>/<version>/ and <root>/aliases.json; its last readable state.

`checkpoint` reads and writes the files of a version. Version folders appear by one atomic rename; a folder whose name
is not a number is not a version. A lock file serializes writers. `Contents` are what a reader saw last.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    """The identity of a version in a store: data set, architecture and number."""

    dataset: str
    architecture: str
    version: int

    @property
    def reference(self) -> str:
        """E.g. "human/wavenet@1"."""
        return f"{self.dataset}/{self.architecture}@{self.version}"


class VersionTaken(StoreError):
    """Another writer has published under this number."""


class Store:
    """A folder of immutable versions; a missing folder is an empty store.

    The first publication creates it. A `BucketStore` keeps a copy of a bucket in the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """The store's place, for messages."""
        return str(self.root)

    def pull(self) -> None:
        """Copy what changed elsewhere into the folder: nothing for a folder. Takes as long as a network does.

        Raises `StoreError` if there is no earlier copy to go on with.
        """

    def problems(self) -> tuple[str, ...]:
        """Return one line for each problem of the last `pull`."""
        return ()

    def present(self) -> list[Key]:
        """Return the versions present, sorted. Raises `StoreError` as `manifests` does."""
        return sorted(self.manifests())

    def manifests(self) -> dict[Key, Stamp]:
        """Return the versions present, each with the stamp of its manifest.

        A folder without a manifest is unfinished and does not count. Raises `StoreError` if the store exists but cannot
        be read.
        """
        found: dict[Key, Stamp] = {}
        try:
            # An unreadable folder inside is not a version; an unreadable store is an error.
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
        """Return the folder of `key`, which may not exist."""
        return self.root / key.dataset / key.architecture / str(key.version)

    def aliases(self) -> Aliases:
        """Return the contents of the alias file, empty without a file. Raises `StoreError` for a damaged one."""
        return self.parse(self.alias_file())

    def parse(self, content: bytes | None) -> Aliases:
        """Parse an alias file; None is empty. Raises `StoreError` for a damaged one."""
        return Aliases() if content is None else parse_aliases(content, str(self.root / ALIASES))

    def alias_file(self) -> bytes | None:
        """Return the alias file, None if it is missing. Raises `StoreError` if it cannot be read."""
        path = self.root / ALIASES
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error

    def change_aliases(self, change: Callable[[Aliases], Aliases]) -> None:
        """Replace the alias file atomically by `change` of its contents. Call it inside `writing`."""
        replace_file(self.root / ALIASES, dump_aliases(change(self.aliases())))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store's lock, and remove leftovers of killed writers.

        Raises `StoreError` if it is not writable.
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
        """Let `fill` write a version into a temporary folder, then rename that into place.

        Call it inside `writing`. Raises `VersionTaken` if another writer was faster.
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
        """Remove a version by one rename, then delete its files.

        Call it inside `writing`, which also removes leftovers of a crash.
        """
        place = self.folder(key)
        temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=TEMPORARY))
        os.rename(place, temporary)
        sync_folder(place.parent)
        shutil.rmtree(temporary, ignore_errors=True)


def stamp(path: Path | str) -> Stamp | None:
    """Return the stamp of a file, None if it is missing or unreadable."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def stamps(folder: Path) -> dict[str, Stamp | None]:
    """Return the stamps of all files in `folder`, none if it cannot be read."""
    try:
        return {path.name: stamp(path) for path in folder.iterdir()}
    except OSError:
        return {}


def _folders(path: Path | str, private: bool = True) -> list[os.DirEntry[str]]:
    """Return the folders in `path`, none if it is not a folder or, with `private`, cannot be read."""
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        if private:
            return []
        raise


@dataclass(frozen=True)
class StoreFingerprint:
    """A cheap fingerprint of a store; it is equal while nothing is published, removed or moved.

    `manifests`: the versions with the stamps of their manifests. `aliases`: the content of the alias file, empty
    without one, because a file can change twice within one tick of its time stamp. `read_errors`: why a part could not
    be read. `problems`: of the last `pull`.
    """

    manifests: Mapping[Key, Stamp] | None
    aliases: bytes | None
    read_errors: tuple[str, str]
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store) -> "StoreFingerprint":
        """Return the fingerprint of `store`; it takes some ten microseconds for each architecture."""
        manifests, aliases, unread, unlisted = None, None, "", ""
        # The aliases first: what they point to was there before them.
        try:
            aliases = store.alias_file()
        except StoreError as error:
            unread = str(error)
        try:
            manifests = store.manifests()
        except StoreError as error:
            unlisted = str(error)
        return cls(manifests, aliases, (unread, unlisted), store.problems())


@dataclass(frozen=True)
class Contents:
    """The contents of a store; `read_errors` lists its problems."""

    fingerprint: StoreFingerprint | None = None
    manifests: Mapping[Key, Stamp] = field(default_factory=dict)
    aliases: Aliases = field(default_factory=Aliases)
    read_errors: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, before: "Contents") -> "Contents":
        """Read `store`; unreadable parts keep their content of `before`."""
        fingerprint = StoreFingerprint.of(store)
        manifests, aliases, read_errors = fingerprint.manifests, before.aliases, [*fingerprint.problems]
        if manifests is None:
            manifests = before.manifests
            earlier = "its last readable versions are served" if before.fingerprint else "it counts as empty"
            read_errors.append(f"{fingerprint.read_errors[1]} Until then {earlier}.")
        try:
            if fingerprint.read_errors[0]:
                raise StoreError(fingerprint.read_errors[0])
            aliases = store.parse(fingerprint.aliases)
        except StoreError as error:
            earlier = (
                "its last readable aliases apply" if before.fingerprint else "only the aliases of other stores apply"
            )
            read_errors.append(f"{error} Until then {earlier}.")
        return cls(fingerprint, manifests, aliases, tuple(read_errors))
