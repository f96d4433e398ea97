"""Write a version folder completely, and load only files that match its manifest.

    model.safetensors   the arrays           names.txt   every distinct name of the list
    manifest.json       written last         card.md, pictures
    table.tsv           optional: names, weights and styles, as the list has them
    casing.txt          optional, in format 2: a word and its most frequent spelling a line, with a tab between them

safetensors runs no code but does not notice flipped bits, so every file is held against its SHA-256.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.errors import CheckpointError
from models.inference import ListedNames
from models.kernel.int8.model import has_integers
from models.manifest import FORMAT_1, SAMPLING, FileRecord, Manifest, sha256
from models.store.atomic_files import sync_folder, write_file
from models.store.pins import Pins

WEIGHTS, NAMES, MANIFEST, CASING = "model.safetensors", "names.txt", "manifest.json", "casing.txt"
# Weights and styles of the names, where the list has them.
TABLE = "table.tsv"
INTEGERS = (np.int8, np.int16, np.int32)
# No model of this project comes near: larger files are refused before they are read.
MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a verified version folder.

    `casing`: the entries of the casing table (see `models.casing`), if there is one.
    """

    manifest: Manifest
    arrays: dict[str, np.ndarray]
    names: ListedNames
    casing: Mapping[str, str] = field(default_factory=dict)


def pack(arrays: Mapping[str, np.ndarray], names: tuple[str, ...], extras: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the contents of every file of a version but the manifest.

    Integers stay, other numbers become float32.
    """
    tidy = {
        name: np.ascontiguousarray(array, array.dtype if array.dtype in INTEGERS else np.float32)
        for name, array in arrays.items()
    }
    return {WEIGHTS: save(tidy), NAMES: "".join(f"{name}\n" for name in names).encode(), **extras}


def records(files: Mapping[str, bytes]) -> dict[str, FileRecord]:
    """Return what a manifest says of `files`."""
    return {name: FileRecord(sha256=sha256(content), size=len(content)) for name, content in files.items()}


def save_checkpoint(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a version into the empty `folder`, the manifest last, and wait for the disk."""
    for name, content in files.items():
        write_file(folder / name, content)
    write_file(folder / MANIFEST, manifest.as_file())
    sync_folder(folder)


def load_checkpoint(
    folder: Path, any_sampling: bool = False, pins: Pins | None = None, lists: dict[str, ListedNames] | None = None
) -> Checkpoint:
    """Return the version in `folder`, with every file checked against its digest.

    `lists`: lists of names by digest, so that versions of one list share it; a new one is added. Raises
    `CheckpointError`.
    """
    manifest = read_manifest(folder, any_sampling, pins)
    files = {name: read_verified(folder, manifest, name) for name in manifest.files}
    missing = {WEIGHTS, NAMES} - set(files)
    if missing:
        raise CheckpointError(f"{folder}: the manifest does not list {', '.join(sorted(missing))}.")
    try:
        arrays = load(files[WEIGHTS])
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder / WEIGHTS} is no readable safetensors file: {error}.") from error
    _check_numbers(folder, manifest, arrays)
    lists = {} if lists is None else lists
    digest = manifest.files[NAMES].sha256
    if digest not in lists:
        lists[digest] = ListedNames(files[NAMES].decode().removesuffix("\n"))
    names = lists[digest]
    if not _fits(manifest, names):
        raise CheckpointError(f"{folder / NAMES} is not the list that the manifest describes.")
    casing = {}
    if CASING in files and manifest.schema_number != FORMAT_1:
        try:
            casing = read_casing(files[CASING])
        except ValueError as error:
            raise CheckpointError(f"{folder / CASING}: {error}.") from error
    return Checkpoint(manifest, arrays, names, casing)


def _check_numbers(folder: Path, manifest: Manifest, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `CheckpointError` unless all arrays are of the format's types, and finite."""
    if manifest.schema_number == FORMAT_1 or not has_integers(arrays):
        allowed = "finite 32-bit floats"
        odd = [name for name, array in arrays.items() if array.dtype != np.float32 or not np.isfinite(array).all()]
    else:
        allowed = "integers of 8, 16 or 32 bits"
        odd = [name for name, array in arrays.items() if array.dtype not in INTEGERS]
    if odd:
        raise CheckpointError(f"{folder / WEIGHTS}: {', '.join(odd)} must hold {allowed} only.")


def read_casing(content: bytes) -> dict[str, str]:
    """Return the entries of a casing table. Raises `ValueError` where it is malformed."""
    pairs = [line.split("\t") for line in content.decode().splitlines()]
    if any(len(pair) != 2 or not all(pair) for pair in pairs) or len({word for word, *_ in pairs}) != len(pairs):
        raise ValueError("each line must be a word, a tab and its spelling, and each word must stand once")
    return dict(pairs)


def _fits(manifest: Manifest, names: ListedNames) -> bool:
    """Tell whether the list has the length, the longest name and the letters that its manifest says."""
    number, longest, letters = names.measures
    expected = manifest.data.names, manifest.data.longest
    return expected == (number, longest) and letters <= set("".join(manifest.vocabulary))


def read_manifest(folder: Path, any_sampling: bool = False, pins: Pins | None = None) -> Manifest:
    """Return the manifest of `folder`.

    Raises `CheckpointError` if it is missing, malformed, altered, not among the `pins` or, without `any_sampling`, of
    another sampling number.
    """
    content = _read(folder / MANIFEST)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise CheckpointError(f"{folder / MANIFEST}: {place}: {first['msg']}.") from None
    if not manifest.vouches_for(content):
        raise CheckpointError(f"{folder / MANIFEST} differs from its own seal: it was altered.")
    if pins is not None:
        pins.check(manifest.reference, content)
    if manifest.sampling != SAMPLING and not any_sampling:
        raise CheckpointError(
            f"{folder} was published for sampling {manifest.sampling}; this program has {SAMPLING} and would draw "
            "other names. Publish the same weights under a new number: "
            f"python -m app models republish {manifest.reference}"
        )
    return manifest


def read_verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Return the file `name`, which the manifest lists.

    Raises `CheckpointError` if size or digest differ.
    """
    record = manifest.files[name]
    content = _read(folder / name)
    if len(content) != record.size or sha256(content) != record.sha256:
        raise CheckpointError(f"{folder / name} differs from its manifest: it was cut, altered or copied in part.")
    return content


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CheckpointError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB, which no version's file is.")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
