"""Damaged, pinned and crashed stores; long form: `python -m benchmarks.reliability store`."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from app.cli.main import main
from models import Kernels, ModelRegistry, StoreError
from models.store.files import Store
from models.store.pins import Pins
from tests.harness.crashes import ACTIONS, FAULTS, each_failure
from tests.harness.damage import FILES, flip_bits, foreign_versions, refuse_foreign_versions, truncate
from tests.harness.service import run_python
from tests.harness.store_machine import StoreMachine
from tests.harness.stores import (
    ARCHITECTURE,
    DATASET,
    MODEL,
    make_stores,
    open_registry,
    small_draft,
    store_settings,
    version_folder,
)

IMPORTS = """
import sys
from pathlib import Path
from models import prepare
from tests.harness.crashes import ACTIONS, each_failure, publish_concurrently
from tests.harness.stores import make_stores
root, kernels = Path(sys.argv[1]), prepare()
"""


@pytest.mark.row(24)
def test_every_flipped_bit_is_refused(stores: Path) -> None:
    flipped = list(flip_bits(version_folder(stores, 2), 400, seed=1))
    assert len(flipped) == 400
    assert {name for name, _ in flipped} == set(FILES)


@pytest.mark.row(25)
@pytest.mark.parametrize("name", FILES)
def test_every_truncated_file_is_refused(stores: Path, name: str) -> None:
    folder = version_folder(stores, 2)
    size = (folder / name).stat().st_size
    assert list(truncate(folder, name)) == list(range(size))


@pytest.mark.row(25)
def test_foreign_versions_are_refused_and_the_last_good_serves(stores: Path, kernels: Kernels) -> None:
    ways = list(refuse_foreign_versions(stores, kernels, stores.parent / "scratch"))
    assert ways == list(foreign_versions(Path("2"), Path("trace")))
    assert len(ways) > 10


@pytest.mark.row(25)
def test_version_without_manifest_does_not_exist(stores: Path) -> None:
    """The manifest is written last."""
    (version_folder(stores, 2) / "manifest.json").unlink()
    assert [key.version for key in Store(stores / "user").present()] == [1]


def print_pins(stores: Path, **settings: str) -> Result:
    done = CliRunner(env={**store_settings(stores), **settings}).invoke(main, ["models", "pins"])
    assert done.exit_code == 0, done.output
    return done


def open_pinned(stores: Path, kernels: Kernels, pins: Path) -> ModelRegistry:
    """Return a registry that trusts the pins only."""
    return ModelRegistry.open(kernels, stores / "user", stores / "shipped", Pins.read(pins))


@pytest.fixture
def pins(stores: Path) -> Path:
    """A file of the pins of both versions, outside the stores."""
    path = stores.parent / "pins.txt"
    path.write_text("# ours\n\n" + print_pins(stores).stdout)
    return path


@pytest.mark.row(28)
def test_printing_pins_ignores_pinned_ones(stores: Path, kernels: Kernels, pins: Path) -> None:
    """A shell empties the file of `> pins.txt` before the command starts."""
    before = print_pins(stores).stdout
    assert before.count("\n") == 2
    for content in (before, ""):
        pins.write_text(content)
        assert print_pins(stores, NAMEWAVE_PINS=str(pins)).stdout == before
    open_registry(stores, kernels).publish(small_draft(3))
    after = print_pins(stores, NAMEWAVE_PINS=str(pins)).stdout
    assert [line.split()[1] for line in after.splitlines()] == [f"{MODEL}@{number}" for number in (1, 2, 3)]
    assert "NAMEWAVE_PINS itself is ignored" in CliRunner().invoke(main, ["models", "pins", "--help"]).stdout


@pytest.mark.row(28)
def test_pins_refuse_a_consistently_forged_version(stores: Path, kernels: Kernels, pins: Path, tmp_path: Path) -> None:
    assert not open_pinned(stores, kernels, pins).refused
    other = make_stores(tmp_path / "other", kernels, versions=1)
    open_registry(other, kernels).publish(small_draft(99))
    shutil.rmtree(version_folder(stores, 2))
    shutil.copytree(version_folder(other, 2), version_folder(stores, 2))
    assert not open_registry(stores, kernels).refused
    registry = open_pinned(stores, kernels, pins)
    assert "not the one that is pinned" in registry.refused[f"{MODEL}@2"]
    assert registry.resolve(DATASET, ARCHITECTURE).reference == f"{MODEL}@1"


@pytest.mark.row(28)
def test_version_without_pin_is_refused(stores: Path, kernels: Kernels, pins: Path) -> None:
    open_registry(stores, kernels).publish(small_draft(3))
    registry = open_pinned(stores, kernels, pins)
    assert list(registry.refused) == [f"{MODEL}@3"]
    assert registry.resolve(DATASET, ARCHITECTURE).reference == f"{MODEL}@2"


@pytest.mark.row(28)
@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("elves/bigram@1\n", "line 1"),
        ("0" * 64 + "  elves\n", "line 1"),
        ("0" * 64 + " elves/bigram@1\n", "line 1"),
        ("A" * 64 + "\n", "line 1"),
        (f"{'0' * 64}  elves/bigram@1\n" * 2, "line 2"),
        (None, "cannot be read"),
    ],
)
def test_unreadable_pins_are_an_error(tmp_path: Path, content: str | None, error: str) -> None:
    if content is not None:
        (tmp_path / "pins").write_text(content)
    with pytest.raises(StoreError, match=error):
        Pins.read(tmp_path / "pins")


def run(program: str, folder: Path) -> str:
    """Return what a new process prints: only one without threads may fork."""
    done = run_python("-c", IMPORTS + program, str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.row(26)
@pytest.mark.parametrize("fault", ["ENOSPC", "death"])
@pytest.mark.parametrize("name", [*ACTIONS, "first publication"])
def test_failed_file_operation_leaves_old_or_new_store(tmp_path: Path, kernels: Kernels, name: str, fault: str) -> None:
    (tmp_path / "start").mkdir()
    start = make_stores(tmp_path / "start", kernels, 3 if name in ACTIONS else 0)
    action = ACTIONS.get(name, ACTIONS["publish"])
    states = Counter(each_failure(action, start, tmp_path / "scratch", kernels, FAULTS[fault]))
    assert states["old"] > 5
    assert states["new"] > 5


@pytest.mark.row(26)
def test_killed_writer_leaves_old_or_new_store(tmp_path: Path) -> None:
    program = """
start = make_stores(root / "start", kernels)
print(*each_failure(ACTIONS["alias"], start, root / "scratch", kernels, killed=True))
"""
    states = Counter(run(program, tmp_path).split())
    assert states["old"] > 5
    assert states["new"] > 5
    assert set(states) == {"old", "new"}


@pytest.mark.row(27)
def test_twenty_concurrent_publishers_lose_no_version(tmp_path: Path) -> None:
    assert run("print(publish_concurrently(root, kernels, 20, 2))", tmp_path) == "40"


@pytest.mark.row(24)
@pytest.mark.row(25)
@pytest.mark.row(26)
@pytest.mark.row(27)
@pytest.mark.row(28)
@pytest.mark.row(29)
def test_any_history_serves_only_what_was_published() -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=[*HealthCheck],
        ),
    )
