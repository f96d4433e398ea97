"""A version of format 2 on disk: integers, symbols of several code points, styles and casing."""

from pathlib import Path

import numpy as np
import pytest

from models import CheckpointError, Manifest, ModelConfig
from models.store.checkpoint import CASING, WEIGHTS, load_checkpoint, pack, records, save_checkpoint
from tests.models.int8_kernels import as_arrays
from tests.models.int8_oracle import formula_model

NAMES = ("chab", "ba", "ch")
ARRAYS = as_arrays(formula_model(8, 4, 2))
SPELLINGS = b"chab\tChaB\nmac\tMac\n"


def save(folder: Path, arrays: dict[str, np.ndarray], casing: bytes | None = SPELLINGS, schema_number: int = 2) -> Path:
    """A version written into `folder`."""
    files = pack(arrays, NAMES, {} if casing is None else {CASING: casing})
    manifest = Manifest.model_validate(
        {
            "schema_number": schema_number,
            "dataset": "elves",
            "version": 1,
            "created": "2026-01-02T03:04:05+00:00",
            "config": ModelConfig(architecture="lstm", block_size=64, n_hidden=8),
            "vocabulary": ("a", "b", "ch") if schema_number == 2 else ("a", "b", "c", "h"),
            "parameters": 12,
            "data": {"title": "Elves", "sha256": "0" * 64, "names": 3, "longest": 4, "split_seed": 42},
            "seed": 1,
            "metrics": {"dev": 2.0},
            "training": {},
            "files": records(files),
            "golden": (),
            "styles": {"gender": ("female", "male")} if schema_number == 2 else None,
        }
    )
    folder.mkdir(exist_ok=True)
    save_checkpoint(folder, manifest.sealed(), files)
    return folder


def test_integer_version_round_trips(tmp_path: Path) -> None:
    found = load_checkpoint(save(tmp_path / "one", ARRAYS))
    assert found.manifest.styles == {"gender": ("female", "male")}
    assert found.manifest.vocabulary == ("a", "b", "ch")
    assert tuple(found.names) == NAMES
    assert found.casing == {"chab": "ChaB", "mac": "Mac"}
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        assert (found.arrays[name] == array).all()


def test_version_without_casing_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(save(tmp_path / "one", ARRAYS, casing=None)).casing == {}


@pytest.mark.parametrize(
    "casing", [b"chab\n", b"a\tA\tA\n", b"a\t\n", b"a\tA\na\tb\n", b"a\tA\n\nb\tB\n", b"\xff\tA\n"]
)
def test_malformed_casing_is_refused(tmp_path: Path, casing: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"casing\.txt"):
        load_checkpoint(save(tmp_path / "one", ARRAYS, casing))


def test_each_format_refuses_the_numbers_of_the_other(tmp_path: Path) -> None:
    floats = {**ARRAYS, "table": ARRAYS["table"].astype(np.float32)}
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: table must hold integers"):
        load_checkpoint(save(tmp_path / "two", floats))
    with pytest.raises(CheckpointError, match="must hold finite 32-bit floats"):
        load_checkpoint(save(tmp_path / "one", ARRAYS, casing=None, schema_number=1))


def test_casing_of_format_1_is_not_read(tmp_path: Path) -> None:
    floats = {name: array.astype(np.float32) for name, array in ARRAYS.items()}
    assert load_checkpoint(save(tmp_path / "one", floats, b"no table", schema_number=1)).casing == {}
