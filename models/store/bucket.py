"""A bucket (S3) as a store: immutable versions by create-only puts, aliases by compare-and-swap, a copy in a folder.

The bucket has the layout of any store. Readers use the copy alone, so that they go on without the bucket. Credentials
and the endpoint are the AWS_ variables of the environment, which obstore reads.
"""

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from models.errors import CheckpointError, StoreError
from models.inference.jit import default_folder
from models.store.aliases import Aliases, dump_aliases, parse_aliases
from models.store.atomic_files import replace_file, write_file
from models.store.checkpoint import MANIFEST, MAX_FILE_BYTES, read_manifest, read_verified
from models.store.files import ALIASES, Key, Store, VersionTaken

# A folder, or the URL of a bucket.
Location = Path | str
URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
ALLOWED_LOCATIONS = "a folder, or s3://bucket/prefix"
FILE = re.compile(
    r"([a-z][a-z0-9-]{0,31})/([a-z][a-z0-9_]{0,31})/([1-9][0-9]{0,8})/([a-z][a-z0-9_-]{0,31}\.[a-z0-9]{1,16})"
)
# A reader that waits longer for a byte gives up; `timeout` bounds a whole answer, and an upload.
READING = {"connect_timeout": "3s", "read_timeout": "5s", "timeout": "120s"}
WRITING = {"connect_timeout": "3s", "timeout": "120s"}
RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}
# Seconds between two listings: soon after a change, because its writer may not be done; and while nothing changes.
SOON, LATER = 5.0, 60.0
PARALLEL_READS, RACERS, MAX_SWAPS = 8, 16, 100
# Objects of `check_conditions`.
CHECK = ".check/"
# In a copied version: the ETag of its manifest.
ETAG = ".etag"


class Found(NamedTuple):
    """An object's content and its ETag, which is another one after each change."""

    content: bytes
    etag: str


def parse_location(given: Path | str) -> Location:
    """Return a folder's path, or a bucket's URL without a slash at the end. Raises `ValueError` for another URL."""
    if "://" not in str(given):
        return Path(given)
    if not URL.fullmatch(str(given)):
        raise ValueError(f"{given} is no place for a store; allowed: {ALLOWED_LOCATIONS}.")
    return str(given).removesuffix("/")


def open_store(location: Location) -> Store:
    """Return the store at a folder or a bucket's URL, without reading it. Raises `StoreError` without obstore."""
    if isinstance(location, Path):
        return Store(location)
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    name = re.sub("[^a-z0-9]+", "-", location.removeprefix("s3://").lower())
    digest = hashlib.sha256(f"{endpoint} {location}".encode()).hexdigest()[:12]
    return BucketStore(Bucket.open(location), default_folder().parent / "stores" / f"{name}-{digest}")


class Bucket:
    """The objects under a prefix of a bucket. Every failure is a `StoreError` of one line."""

    def __init__(self, url: str, reader: Any, writer: Any) -> None:
        self.url = url
        self._reader, self._writer = reader, writer
        self._honours_conditions = False

    @classmethod
    def open(cls, url: str) -> "Bucket":
        """Return the bucket at `url` without connecting. Raises `StoreError` without obstore."""
        store = _obstore("obstore.store").S3Store
        # The operator's own endpoint may be without TLS.
        plain = {"allow_http": True} if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://") else {}
        try:
            clients = [
                store.from_url(url, client_options={**options, **plain}, retry_config=RETRIES)
                for options in (READING, WRITING)
            ]
        except _obstore("obstore.exceptions").BaseError as error:
            raise StoreError(f"{url} cannot be used: {_reason(error)}.") from None
        return cls(url, *clients)

    def read(self, path: str, before: Found | None = None, max_bytes: int = MAX_FILE_BYTES) -> Found | None:
        """Return an object, `before` itself if that is still the object, or None if there is none."""
        options = {"if_none_match": before.etag} if before else None
        try:
            answer = _obstore().get(self._reader, path, options=options)
            if answer.meta["size"] > max_bytes:
                raise StoreError(f"{self.url}/{path} is larger than {max_bytes // 2**20} MiB.")
            return Found(bytes(answer.bytes()), str(answer.meta["e_tag"]))
        except FileNotFoundError:
            return None
        except _obstore("obstore.exceptions").NotModifiedError:
            return before
        except _obstore("obstore.exceptions").BaseError as error:
            raise StoreError(f"{self.url} cannot be read: {_reason(error)}.") from error

    def etags(self, prefix: str | None = None) -> dict[str, str]:
        """Return the ETag of each object by its path, without those of a running check."""
        try:
            return {
                each["path"]: str(each["e_tag"])
                for chunk in _obstore().list(self._reader, prefix)
                for each in chunk
                if not each["path"].startswith(CHECK)
            }
        except (FileNotFoundError, _obstore("obstore.exceptions").BaseError) as error:
            raise StoreError(f"{self.url} cannot be read: {_reason(error)}.") from error

    def swap(self, path: str, content: bytes, before: Found | None) -> Found | None:
        """Replace `before` by `content`, or create it for None. Return None if the object is another one by now."""
        mode = {"e_tag": before.etag} if before else "create"
        try:
            etag = self._put(path, content, mode)
        except StoreError as error:
            # The answer may be lost, and not the put.
            with suppress(StoreError):
                if (found := self._same(path, content)) is not None:
                    return found
            raise error
        # A put that is tried again meets its own first try.
        return Found(content, etag) if etag is not None else self._same(path, content)

    def _same(self, path: str, content: bytes) -> Found | None:
        """Return the object if it has this content."""
        found = self.read(path, max_bytes=max(len(content), MAX_FILE_BYTES))
        return found if found is not None and found.content == content else None

    def replace(self, path: str, content: bytes) -> None:
        """Write an object, whatever was there."""
        self._put(path, content, "overwrite")

    def delete(self, paths: Collection[str]) -> None:
        """Delete objects, in order."""
        try:
            for path in paths:
                _obstore().delete(self._writer, path)
        except FileNotFoundError:
            return
        except _obstore("obstore.exceptions").BaseError as error:
            raise StoreError(f"{self.url} cannot be written: {_reason(error)}.") from error

    def check_conditions(self, racers: int = 0) -> None:
        """Raise `StoreError` unless the server honours the conditions on which writers rely.

        Without them one writer silently overwrites another. `racers` threads create one object at the same time.
        """
        if self._honours_conditions and not racers:
            return
        path = f"{CHECK}{uuid4().hex}"
        try:
            first = self.swap(path, b"1", None)
            self._demand(first is not None, "it refuses to create an object")
            self._demand(self.swap(path, b"2", None) is None, "it creates an object twice")
            self._demand(self.swap(path, b"3", first) is not None, "it refuses to replace an object")
            self._demand(self.swap(path, b"4", first) is None, "it replaces an object that has changed")
            self._race(f"{path}-race", racers)
        finally:
            self.delete([path, f"{path}-race"])
        self._honours_conditions = True

    def _race(self, path: str, racers: int) -> None:
        if not racers:
            return
        ready = threading.Barrier(racers)

        def run(number: int) -> bool:
            ready.wait()
            return self._put(path, str(number).encode(), "create") is not None

        with ThreadPoolExecutor(racers) as pool:
            winners = sum(pool.map(run, range(racers)))
        self._demand(winners == 1, f"of {racers} writers that create an object at the same time {winners} succeed")

    def _demand(self, honoured: bool, fault: str) -> None:
        if not honoured:
            raise StoreError(
                f"{self.url} is not written, because its server ignores conditions (If-None-Match, If-Match): {fault}."
            )

    def _put(self, path: str, content: bytes, mode: object) -> str | None:
        """Write an object. Return its ETag, or None if the condition of `mode` does not hold."""
        errors = _obstore("obstore.exceptions")
        try:
            return str(_obstore().put(self._writer, path, content, mode=mode, use_multipart=False)["e_tag"])
        except (errors.AlreadyExistsError, errors.PreconditionError):
            return None
        except (FileNotFoundError, errors.BaseError) as error:
            raise StoreError(f"{self.url} cannot be written: {_reason(error)}.") from error


class BucketStore(Store):
    """The copy of a bucket in a folder. Writes go to the bucket, then to the copy.

    `pull` copies what changed: `aliases.json` is asked for each time, the list of versions after a change of it, and
    now and then. Several processes may share a copy.
    """

    def __init__(self, bucket: Bucket, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(root)
        self.bucket = bucket
        self._clock = clock
        self._aliases: Found | None = None
        self._list_at = 0.0
        self._intact = set[tuple[Key, str]]()
        self._unread, self._damaged = "", dict[Key, str]()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The bucket's URL."""
        return self.bucket.url

    def problems(self) -> tuple[str, ...]:
        """Return why the bucket could not be read, and one line for each version that is damaged there."""
        return (*filter(None, [self._unread]), *self._damaged.values())

    def pull(self) -> None:
        """Copy what changed. A bucket that cannot be read leaves the copy as it is, and a line in `problems`.

        Raises `StoreError` if there is no copy yet.
        """
        with self._lock:
            try:
                self._pull()
                self._unread = ""
            except StoreError as error:
                if self.alias_file() is None:
                    raise
                self._unread = f"{error} Until then its last copy is served."

    def _pull(self) -> None:
        copied = self.alias_file()
        before = self._aliases if self._aliases and self._aliases.content == copied else None
        aliases = self.bucket.read(ALIASES, before)
        if aliases is None and copied is not None:
            raise StoreError(f"{self.name} cannot be read: it has no {ALIASES} any more.")
        if aliases is before and self._clock() < self._list_at:
            return
        # In this order: a process that shares the copy may publish meanwhile, and its version must stay.
        here, there = set(self.present()), self._listed()
        missing = {key: files for key, files in there.items() if not self._has(key, files[MANIFEST])}
        # Versions come before the aliases that point to them, and go after those.
        self._damaged = self._copy(missing)
        if aliases is not None:
            self._keep_aliases(aliases)
        with Store.writing(self):
            for key in here - there.keys():
                Store.take_away(self, key)
        settled = aliases is before and here <= there.keys() and missing.keys() == self._damaged.keys()
        self._list_at = self._clock() + (LATER if settled else SOON)

    def _listed(self) -> dict[Key, dict[str, str]]:
        """Return the versions in the bucket, each with the ETags of its files. One without a manifest is unfinished."""
        listed: dict[Key, dict[str, str]] = {}
        for path, etag in self.bucket.etags().items():
            if found := FILE.fullmatch(path):
                listed.setdefault(Key(found[1], found[2], int(found[3])), {})[found[4]] = etag
        return {key: files for key, files in listed.items() if MANIFEST in files}

    def _has(self, key: Key, etag: str) -> bool:
        """Return whether the copy has this state of the version. The files are checked once in each process."""
        folder = self.folder(key)
        try:
            if (folder / ETAG).read_text() != etag:
                return False
            if (key, etag) not in self._intact:
                _verify(folder)
                self._intact.add((key, etag))
        except (OSError, CheckpointError):
            return False
        return True

    def _copy(self, missing: Mapping[Key, Mapping[str, str]]) -> dict[Key, str]:
        """Copy versions, and return what is wrong with those that are damaged in the bucket."""
        damaged: dict[Key, str] = {}
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            for key, files in zip(missing, pool.map(self._download, missing.items()), strict=True):
                try:
                    self._keep(key, missing[key][MANIFEST], files)
                except CheckpointError as error:
                    damaged[key] = str(error)
        return damaged

    def _download(self, version: tuple[Key, Mapping[str, str]]) -> dict[str, bytes]:
        """Return the files of a version. Its manifest is read last, because a removal begins with it."""
        key, names = version
        found = {name: self.bucket.read(f"{_prefix(key)}/{name}") for name in sorted(names, key=MANIFEST.__eq__)}
        return {name: file.content for name, file in found.items() if file is not None}

    def _keep(self, key: Key, etag: str, files: Mapping[str, bytes]) -> None:
        """Put a version into the copy, in place of an earlier state. Raises `CheckpointError` if it is damaged."""

        def fill(folder: Path) -> None:
            for name, content in files.items():
                write_file(folder / name, content)
            try:
                _verify(folder)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(f"{folder}", f"{self.name}/{_prefix(key)}")) from None
            write_file(folder / ETAG, etag.encode())
            if self.folder(key).exists():
                Store.take_away(self, key)

        with Store.writing(self):
            # Another process may have been faster.
            if not self._has(key, etag):
                Store.add(self, key, fill)
                self._intact.add((key, etag))

    def _keep_aliases(self, aliases: Found) -> None:
        """Put the alias file into the copy. Raises `StoreError` if it is damaged."""
        parse_aliases(aliases.content, f"{self.name}/{ALIASES}")
        with Store.writing(self):
            if self.alias_file() != aliases.content:
                replace_file(self.root / ALIASES, aliases.content)
        self._aliases = aliases

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Pull, so that a change starts from the bucket as it is. Other machines may write at the same time.

        Raises `StoreError` if the bucket cannot be read, or its server does not honour conditions.
        """
        self.bucket.check_conditions()
        with self._lock:
            self._pull()
        yield

    def add(self, key: Key, fill: Callable[[Path], None]) -> None:
        """Create the files that `fill` writes, the manifest last, each only if there is no other one.

        A version that is there thus has all its files as its manifest says. What a killed writer leaves is unfinished,
        and its number is not used.
        """
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder))
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        created = {}
        for name in sorted(files, key=MANIFEST.__eq__):
            found = self.bucket.swap(f"{_prefix(key)}/{name}", files[name], None)
            if found is None:
                raise VersionTaken(f"{self.name} has another {key.reference} already.")
            created[name] = found.etag
        self._keep(key, created[MANIFEST], files)

    def change_aliases(self, change: Callable[[Aliases], Aliases]) -> None:
        """Replace the alias file by `change` of its contents, again if another writer was faster."""
        for _ in range(MAX_SWAPS):
            before = self.bucket.read(ALIASES)
            aliases = parse_aliases(before.content, f"{self.name}/{ALIASES}") if before else Aliases()
            after = self.bucket.swap(ALIASES, dump_aliases(change(aliases)), before)
            if after is not None:
                self._keep_aliases(after)
                return
        raise StoreError(f"{self.name}/{ALIASES} cannot be changed: others change it all the time. Try again.")

    def take_away(self, key: Key) -> None:
        """Delete a version, the manifest first: without it the others are no version."""
        names = sorted(self.bucket.etags(_prefix(key)), key=lambda path: not path.endswith(f"/{MANIFEST}"))
        self.bucket.delete(names)
        with Store.writing(self):
            if self.folder(key).exists():
                Store.take_away(self, key)


def _prefix(key: Key) -> str:
    return f"{key.dataset}/{key.architecture}/{key.version}"


def _verify(folder: Path) -> None:
    """Raise `CheckpointError` unless every file is as the manifest says."""
    manifest = read_manifest(folder, any_sampling=True)
    for name in manifest.files:
        read_verified(folder, manifest, name)


def _obstore(module: str = "obstore") -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise StoreError(
            "A bucket needs obstore: .venv/bin/pip install --require-hashes -r requirements/bucket.txt"
        ) from None


def _reason(error: BaseException) -> str:
    """Return the cause of an error of obstore in a few words: its text has many lines, and addresses."""
    text = str(error)
    code = re.search(r"<Code>(\w+)</Code>", text)
    status = re.search(r"status code: (\d{3})", text)
    cause = re.search(r'(?:message|error): "([^"]+)"', text)
    if "169.254.169.254" in text:
        return "there are no credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what else obstore knows)"
    if code and code[1] == "NoSuchBucket":
        return "there is no such bucket"
    if status and status[1] in ("401", "403"):
        return f"access is denied ({code[1] if code else status[1]}); check the AWS_ variables and the bucket's policy"
    if status:
        return f"its server answers {status[1]}{f' ({code[1]})' if code else ''}"
    if "TimedOut" in text:
        return "its server does not answer in time"
    return cause[1] if cause else text.partition("\n")[0].rpartition(" - ")[2].rstrip(".")
