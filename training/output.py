"""Files that a command leaves in a folder of the user's: whole or not at all, tables as CSV. Stores are not here."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from models.atomic import replace_file
from models.store import ALIASES
from training.errors import TrainingError


def write_output(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Put each file into `folder`, which is made; return their paths. Raises `TrainingError` where that cannot be, and
    inside of a store, whose versions never change.
    """
    if any((place / ALIASES).exists() for place in (folder.resolve(), *folder.resolve().parents)):
        raise TrainingError(f"--output {folder} lies in a store; published versions never change. Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise TrainingError(
            f"--output is {str(folder)!r}, where nothing can be written: {error.strerror}. Name another folder."
        ) from error
    return [folder / name for name in files]


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV: a head, comma, LF, UTF-8; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue().encode()
