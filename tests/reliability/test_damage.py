"""Rows 24 and 25: versions that are not what was published. `python -m benchmarks.reliability store` is the long
form.
"""

from pathlib import Path

import pytest

from models import Kernels
from models.store import Key, Store
from tests.harness.crashes import prepared
from tests.harness.damage import FILES, cut, flip, foreign, foreigners
from tests.harness.stores import ARCHITECTURE, DATASET


@pytest.fixture
def stores(tmp_path: Path, kernels: Kernels) -> Path:
    """Stores with two small versions."""
    return prepared(tmp_path / "stores", kernels, versions=2)


def second(stores: Path) -> Path:
    """The folder of version 2."""
    return Store(stores / "user").folder(Key(DATASET, ARCHITECTURE, 2))


def test_row_24_every_flipped_bit_is_refused(stores: Path) -> None:
    """Four hundred single bits of weights, list and manifest, each flipped alone, are each refused with one line."""
    flipped = list(flip(second(stores), 400, seed=1))
    assert len(flipped) == 400
    assert {name for name, _ in flipped} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_row_25_every_prefix_is_refused(stores: Path, name: str) -> None:
    """No prefix of weights, list or manifest passes for the whole, the one that lacks a single byte included."""
    whole = (second(stores) / name).stat().st_size
    assert list(cut(second(stores), name)) == list(range(whole))


def test_row_25_foreign_versions_are_refused_and_the_last_good_one_serves(stores: Path, kernels: Kernels) -> None:
    """Swapped, half-copied and foreign files and pickles are refused unread by a fresh process; version 1 serves."""
    ways = list(foreigners(stores, kernels, stores.parent / "scratch"))
    assert ways == list(foreign(Path("2"), Path("canary")))
    assert len(ways) > 10


def test_row_25_a_version_without_its_manifest_is_invisible(stores: Path) -> None:
    """The manifest is written last: a folder without one is no version, neither served nor refused."""
    (second(stores) / "manifest.json").unlink()
    assert [key.version for key in Store(stores / "user").present()] == [1]
