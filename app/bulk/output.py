"""The folder of a bulk job: the job first, then its parts in any order, and the manifest when all are there."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic_core import from_json, to_json

from app.bulk.job import Job
from models import StoreError
from models.bulk import Part, Span, count_names
from models.store.atomic_files import replace_file

JOB, MANIFEST = "job.json", "manifest.json"


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


class Folder:
    """A folder on this machine, or on a disk that several share. Each file appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def begin(self, job: Job) -> None:
        """Write the job. Raises `StoreError` where the folder has another one, or files that are no job's."""
        mine = job.model_dump(mode="json")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            before = self.path / JOB
            if before.exists():
                if from_json(before.read_bytes()) != mine:
                    raise StoreError(f"{self.path} has the parts of another job ({before}); give another --output.")
            # Hidden files are of other machines that begin at the same time.
            elif any(not each.name.startswith(".") for each in self.path.iterdir()):
                raise StoreError(f"{self.path} is not empty and has no {JOB}; give an empty folder as --output.")
            else:
                replace_file(before, to_json(mine, indent=2) + b"\n")
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path} cannot be used as --output: {error}") from error

    def find(self, part: Part | Span) -> Receipt | None:
        """Return the receipt of a part that is there, or None. Raises `StoreError` for a damaged one."""
        path = self.path / part.file
        if not path.exists():
            return None
        content = path.read_bytes()
        try:
            return Receipt.of(part, content, count_names(content))
        except StoreError as error:
            raise StoreError(f"{path} is damaged; remove it, and it is made again. {error}") from error

    def put(self, part: Part | Span, content: bytes, names: int) -> Receipt:
        """Write a part. Raises `StoreError`, for example on a full disk."""
        try:
            replace_file(self.path / part.file, content)
        except OSError as error:
            raise StoreError(f"{self.path / part.file} cannot be written: {error.strerror}.") from error
        return Receipt.of(part, content, names)

    def finish(self, job: Job, receipts: list[Receipt]) -> Path:
        """Write the manifest: the job, and the counts and digests of all parts."""
        parts = [asdict(receipt) for receipt in sorted(receipts, key=lambda receipt: receipt.file)]
        names = sum(receipt.names for receipt in receipts)
        content = {**job.model_dump(mode="json"), "names": names, "parts": parts}
        replace_file(self.path / MANIFEST, to_json(content, indent=2) + b"\n")
        return self.path / MANIFEST
