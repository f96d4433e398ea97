"""Folders of stores and runs, and output files of commands."""

import csv
import fcntl
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models import Kernels, ModelRegistry
from models.store.atomic_files import replace_file
from models.store.bucket import Location
from models.store.files import ALIASES
from models.store.registry import SHIPPED
from training.errors import TrainingError

LOCK = ".lock"


@contextmanager
def exclusive_lock(folder: Path, work: str) -> Iterator[None]:
    """Hold the lock of `folder`. Raises `TrainingError` if another `work` holds it."""
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"Another {work} is running in {folder}. Wait until it ends, or give another --output."
            ) from None
        yield


def prepare_picture(path: Path, option: str = "--out") -> None:
    """Create the folder of the picture `path`.

    Raises `TrainingError` as `prepare_output` does, and if the name does not end in .png.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise TrainingError(
            f"{option} is {str(path)!r}; the picture is a PNG: give the name of a file that ends in .png."
        )
    prepare_output(path.parent, option)


def prepare_output(folder: Path, option: str = "--output") -> None:
    """Create `folder` and test that it is writable, before any long work.

    Raises `TrainingError` if it is not, and for a folder inside a store, because versions never change.
    """
    if any((place / ALIASES).exists() for place in (folder.resolve(), *folder.resolve().parents)):
        raise TrainingError(f"{option} {folder} lies in a store; published versions never change. Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\n")
    except OSError as error:
        raise _unwritable(folder, error, option) from error


def write_output(folder: Path, files: dict[str, bytes], option: str = "--output") -> list[Path]:
    """Write each file into `folder` and return the paths.

    Raises `TrainingError` as `prepare_output` does.
    """
    prepare_output(folder, option)
    try:
        for name, content in files.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise _unwritable(folder, error, option) from error
    return [folder / name for name in files]


def _unwritable(folder: Path, error: OSError, option: str) -> TrainingError:
    return TrainingError(
        f"{option} is {str(folder)!r}, where nothing can be written: {error.strerror}. Name another folder."
    )


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV in UTF-8, with a header and LF line ends; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue().encode()


RUNS = Path(".namewave/runs")


def open_registry(store: Location, kernels: Kernels) -> ModelRegistry:
    """Return the registry of the shipped store and `store`, which may be the same folder."""
    if is_shipped(store):
        return ModelRegistry.open(kernels)
    return ModelRegistry.open(kernels, user=store)


def is_shipped(store: Location) -> bool:
    """Return whether `store` is the shipped store."""
    return isinstance(store, Path) and store.resolve() == SHIPPED.resolve()


def run_folder(runs: Path | None, store: Location, dataset: str, preset: str) -> Path:
    """Return the folder of a run's state: in `runs`, or beside the user's store, never inside a store."""
    beside = store.parent / RUNS.name if isinstance(store, Path) and not is_shipped(store) else RUNS
    return (runs or beside) / f"{dataset}-{preset}"
