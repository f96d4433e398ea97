"""Files that a command leaves in a folder of the user's: whole or not at all, tables as CSV. Stores are not here."""

import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from models.store.atomic_files import replace_file
from models.store.files import ALIASES
from training.errors import TrainingError


def prepare_picture(path: Path, option: str = "--out") -> None:
    """Make the folder of the picture `path`, as `prepare_output` does. Raises `TrainingError` as that one does, and for
    a name that is no picture's.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise TrainingError(
            f"{option} is {str(path)!r}; the picture is a PNG: give the name of a file that ends in .png."
        )
    prepare_output(path.parent, option)


def prepare_output(folder: Path, option: str = "--output") -> None:
    """Make `folder` and try to write there, so that nobody works for files that cannot be kept. Raises `TrainingError`
    where that cannot be, and inside of a store, whose versions never change.
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
    """Put each file into `folder`, which is made; return their paths. Raises `TrainingError` as `prepare_output`."""
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
    """Return a table as CSV: a head, comma, LF, UTF-8; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue().encode()
