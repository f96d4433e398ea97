"""Rows 26 and 27: failing disks, dying writers, many writers. `python -m benchmarks.reliability store` is the long
form.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from models import Kernels
from tests.harness.crashes import ACTIONS, FAULTS, faulted, prepared
from tests.harness.store_machine import StoreMachine

ROOT = Path(__file__).parents[2]
# Forks want a process without threads, which this one is not.
HEAD = """
import sys
from pathlib import Path
from tests.harness.crashes import ACTIONS, killed, prepared, publish_together
from models import prepare
root = Path(sys.argv[1])
kernels = prepare()
"""


def told(program: str, folder: Path) -> str:
    """What a fresh process prints."""
    command = [sys.executable, "-c", HEAD + program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("fault", ["ENOSPC", "death"])
@pytest.mark.parametrize("name", [*ACTIONS, "the first publication"])
def test_row_26_whichever_file_operation_fails_the_store_is_old_or_new(
    tmp_path: Path, kernels: Kernels, name: str, fault: str
) -> None:
    """For every k, with the k-th file operation failing, a fresh process sees the old state or the new one; done again,
    the action succeeds, and the next writer leaves nothing lying about.
    """
    versions = 0 if name not in ACTIONS else 3
    (tmp_path / "start").mkdir()
    start = prepared(tmp_path / "start", kernels, versions)
    action = ACTIONS.get(name, ACTIONS["publish"])
    states = Counter(faulted(action, start, tmp_path / "scratch", kernels, FAULTS[fault]))
    assert states["old"] > 5
    assert states["new"] > 5


def test_row_26_a_writer_that_is_killed_leaves_the_old_store_or_the_new_one(tmp_path: Path) -> None:
    """The same with a real SIGKILL at every file operation of a process that moves an alias; its lock goes with it."""
    program = 'print(*killed(ACTIONS["alias"], prepared(root / "start", kernels), root / "scratch", kernels))'
    states = Counter(told(program, tmp_path).split())
    assert states["old"] > 5
    assert states["new"] > 5
    assert set(states) == {"old", "new"}


def test_row_27_twenty_publishers_lose_nothing(tmp_path: Path) -> None:
    """Twenty processes publish twice each at the same time: forty versions, all whole, and `latest` is the last."""
    assert told("print(publish_together(root, kernels, 20, 2))", tmp_path) == "40"


def test_rows_24_to_29_hold_in_any_order() -> None:
    """Whatever order publications, crashes, damage, alias moves, removals and looks come in, every process serves what
    is whole and was published, and nothing else.
    """
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
