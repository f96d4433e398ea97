"""The output of a bulk job: the job first, then its parts in any order, and the manifest when all are there."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pydantic_core import from_json, to_json

from app.bulk.job import Job
from models import StoreError
from models.bulk import Part, Span, count_names
from models.store.atomic_files import replace_file
from models.store.bucket import Bucket, Location

JOB, MANIFEST = "job.json", "manifest.json"
# The largest part has 100 million candidates of some nine bytes each.
MAX_PART_BYTES = 2**33


@dataclass(frozen=True)
class Receipt:
    """A part that is there: its file, names, size in bytes, and SHA-256."""

    file: str
    names: int
    size: int
    sha256: str

    @classmethod
    def of(cls, part: Part | Span, content: bytes, names: int) -> "Receipt":
        """Return the receipt of a part with this content."""
        return cls(part.file, names, len(content), hashlib.sha256(content).hexdigest())


class Output(Protocol):
    """The place of a job. Every method raises `StoreError` where it cannot be used."""

    def begin(self, job: Job) -> None:
        """Write the job. Raises `StoreError` where there is another one, or what is no job's."""

    def find(self, part: Part | Span) -> Receipt | None:
        """Return the receipt of a part that is there, or None. Raises `StoreError` for a damaged one."""

    def put(self, part: Part | Span, content: bytes, names: int) -> Receipt:
        """Write a part."""

    def finish(self, job: Job, receipts: list[Receipt]) -> None:
        """Write the manifest: the job, and the counts and digests of all parts."""


def open_output(location: Location) -> Output:
    """Return the folder or bucket at `location`, without using it."""
    return Folder(location) if isinstance(location, Path) else BucketOutput(Bucket.open(location))


class Folder:
    """A folder on this machine, or on a disk that several share. Each file appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def begin(self, job: Job) -> None:
        """Write the job, and create the folder."""
        before = self.path / JOB
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if before.exists():
                _check_job(job, before.read_bytes(), f"{self.path}")
            # Hidden files are of other machines that begin at the same time.
            elif any(not each.name.startswith(".") for each in self.path.iterdir()):
                raise StoreError(f"{self.path} is not empty and has no {JOB}; give an empty folder as --output.")
            else:
                replace_file(before, _as_file(job.model_dump(mode="json")))
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path} cannot be used as --output: {error}") from error

    def find(self, part: Part | Span) -> Receipt | None:
        """Read a part."""
        path = self.path / part.file
        return _receipt(part, path.read_bytes(), f"{path}") if path.exists() else None

    def put(self, part: Part | Span, content: bytes, names: int) -> Receipt:
        """Write a part."""
        try:
            replace_file(self.path / part.file, content)
        except OSError as error:
            raise StoreError(f"{self.path / part.file} cannot be written: {error.strerror}.") from error
        return Receipt.of(part, content, names)

    def finish(self, job: Job, receipts: list[Receipt]) -> None:
        """Write the manifest."""
        replace_file(self.path / MANIFEST, _manifest(job, receipts))


class BucketOutput:
    """A prefix of a bucket. Parts are created and never replaced, so that machines may draw the same job."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def begin(self, job: Job) -> None:
        """Write the job, unless another machine has."""
        before = self.bucket.read(JOB)
        if before is None:
            self.bucket.check_conditions()
            paths = self.bucket.etags()
            if paths and JOB not in paths:
                raise StoreError(f"{self.bucket.url} is not empty and has no {JOB}; give an empty prefix as --output.")
            if self.bucket.swap(JOB, _as_file(job.model_dump(mode="json")), None) is not None:
                return
            before = self.bucket.read(JOB)
        try:
            _check_job(job, before.content if before else b"", self.bucket.url)
        except ValueError as error:
            raise StoreError(f"{self.bucket.url} cannot be used as --output: {error}") from error

    def find(self, part: Part | Span) -> Receipt | None:
        """Read a part."""
        found = self.bucket.read(part.file, max_bytes=MAX_PART_BYTES)
        return found and _receipt(part, found.content, f"{self.bucket.url}/{part.file}")

    def put(self, part: Part | Span, content: bytes, names: int) -> Receipt:
        """Create a part. Raises `StoreError` if there is one with another content."""
        if self.bucket.swap(part.file, content, None) is None:
            raise StoreError(f"{self.bucket.url}/{part.file} is there already, with another content.")
        return Receipt.of(part, content, names)

    def finish(self, job: Job, receipts: list[Receipt]) -> None:
        """Write the manifest."""
        self.bucket.replace(MANIFEST, _manifest(job, receipts))


def _check_job(job: Job, before: bytes, place: str) -> None:
    """Raise `StoreError` if the job of `place` is another one, `ValueError` if it is no JSON."""
    if from_json(before) != job.model_dump(mode="json"):
        raise StoreError(f"{place} has the parts of another job ({place}/{JOB}); give another --output.")


def _receipt(part: Part | Span, content: bytes, place: str) -> Receipt:
    try:
        return Receipt.of(part, content, count_names(content))
    except StoreError as error:
        raise StoreError(f"{place} is damaged; remove it, and it is made again. {error}") from error


def _manifest(job: Job, receipts: list[Receipt]) -> bytes:
    parts = [asdict(receipt) for receipt in sorted(receipts, key=lambda receipt: receipt.file)]
    return _as_file({**job.model_dump(mode="json"), "names": sum(each.names for each in receipts), "parts": parts})


def _as_file(content: dict[str, object]) -> bytes:
    return to_json(content, indent=2) + b"\n"
