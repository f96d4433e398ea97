"""Row 28: a version whose manifest and files were edited together."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from models import Kernels, ModelRegistry, StoreError
from models.pins import Pins
from models.store import Key, Store
from tests.harness.crashes import prepared
from tests.harness.stores import ARCHITECTURE, DATASET, opened, small_draft

PLACE = f"{DATASET}/{ARCHITECTURE}"


@pytest.fixture
def stores(tmp_path: Path, kernels: Kernels) -> Path:
    """Stores with two small versions."""
    return prepared(tmp_path / "stores", kernels, versions=2)


def printed_pins(stores: Path) -> Path:
    """What `python -m app models pins` prints for the stores, in a file outside of them."""
    places = {"NAMEWAVE_STORE": str(stores / "user"), "NAMEWAVE_SHIPPED_STORE": str(stores / "shipped")}
    done = CliRunner(env=places).invoke(main, ["models", "pins"])
    assert done.exit_code == 0, done.output
    (stores.parent / "pins.txt").write_text("# ours\n\n" + done.stdout)
    return stores.parent / "pins.txt"


def test_row_28_pins_are_printed_whatever_is_pinned(stores: Path, kernels: Kernels) -> None:
    """`models pins` does not heed NAMEWAVE_PINS, and says so: a new version gets its pin, and where the shell empties
    the file before the command begins, the file is written as if it had been full.
    """
    places = {"NAMEWAVE_STORE": str(stores / "user"), "NAMEWAVE_SHIPPED_STORE": str(stores / "shipped")}
    before = CliRunner(env=places).invoke(main, ["models", "pins"]).stdout
    assert before.count("\n") == 2
    file = stores.parent / "pins.txt"
    environment = {**places, "NAMEWAVE_PINS": str(file)}
    for content in (before, ""):
        file.write_text(content)
        assert CliRunner(env=environment).invoke(main, ["models", "pins"]).stdout == before
    opened(stores, kernels).publish(small_draft(3))
    after = CliRunner(env=environment).invoke(main, ["models", "pins"])
    assert after.exit_code == 0
    assert [line.split()[1] for line in after.stdout.splitlines()] == [f"{PLACE}@{number}" for number in (1, 2, 3)]
    assert "NAMEWAVE_PINS is ignored" in CliRunner().invoke(main, ["models", "pins", "--help"]).stdout


def edit(stores: Path, kernels: Kernels, tmp_path: Path) -> None:
    """Put another version, sound in itself, in the place of version 2: what only a thief of the store would do."""
    other = prepared(tmp_path / "other", kernels, versions=1)
    opened(other, kernels).publish(small_draft(99))
    key = Key(DATASET, ARCHITECTURE, 2)
    shutil.rmtree(Store(stores / "user").folder(key))
    shutil.copytree(Store(other / "user").folder(key), Store(stores / "user").folder(key))


def pinned(stores: Path, kernels: Kernels, pins: Path) -> ModelRegistry:
    """A registry that trusts the pins only."""
    return ModelRegistry.open(kernels, stores / "user", stores / "shipped", Pins.read(pins))


def test_row_28_editing_manifest_and_weights_is_refused_by_pins(stores: Path, kernels: Kernels, tmp_path: Path) -> None:
    """A forged version is served where nothing is pinned, and refused where its manifest is: then version 1 serves."""
    pins = printed_pins(stores)
    assert not pinned(stores, kernels, pins).refused
    edit(stores, kernels, tmp_path)
    assert not opened(stores, kernels).refused
    registry = pinned(stores, kernels, pins)
    assert "not the one that is pinned" in registry.refused[f"{PLACE}@2"]
    assert registry.resolve(DATASET, ARCHITECTURE).reference == f"{PLACE}@1"


def test_row_28_what_is_not_pinned_is_refused(stores: Path, kernels: Kernels) -> None:
    """A version that came after the pins is not served, so that moving an alias to it does nothing."""
    pins = printed_pins(stores)
    opened(stores, kernels).publish(small_draft(3))
    registry = pinned(stores, kernels, pins)
    assert list(registry.refused) == [f"{PLACE}@3"]
    assert registry.resolve(DATASET, ARCHITECTURE).reference == f"{PLACE}@2"


@pytest.mark.parametrize("line", ["elves/bigram@1", "0" * 64 + "  elves", "0" * 64 + " elves/bigram@1", "A" * 64])
def test_row_28_pins_that_cannot_be_read_stop_the_start(tmp_path: Path, line: str) -> None:
    """A line that is no pin, a reference twice and a file that is not there are errors, never an empty list."""
    (tmp_path / "pins").write_text(f"{line}\n")
    with pytest.raises(StoreError, match="line 1"):
        Pins.read(tmp_path / "pins")
    (tmp_path / "pins").write_text(f"{'0' * 64}  elves/bigram@1\n" * 2)
    with pytest.raises(StoreError, match="line 2"):
        Pins.read(tmp_path / "pins")
    with pytest.raises(StoreError, match="cannot be read"):
        Pins.read(tmp_path / "none")
