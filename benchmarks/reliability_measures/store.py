"""`python -m benchmarks.reliability store`: rows 24 to 27, at length.

It tries every prefix, thousands of bits, every file operation, a thousand publications by twenty processes, and
hundreds of histories. It prints a line for each, and fails if a promise does not hold.
"""

import tempfile
import time
from collections import Counter
from pathlib import Path

import click
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from models import Kernels, prepare
from tests.harness.crashes import ACTIONS, FAULTS, each_failure, publish_concurrently
from tests.harness.damage import FILES, flip_bits, refuse_foreign_versions, truncate
from tests.harness.store_machine import StoreMachine
from tests.harness.stores import make_stores, version_folder


@click.command()
@click.option("--flips", default=10_000, show_default=True, help="Bits to flip, one at a time.")
@click.option("--publishers", default=20, show_default=True, help="Processes that publish at the same time.")
@click.option("--rounds", default=50, show_default=True, help="Publications of each.")
@click.option("--examples", default=500, show_default=True, help="Histories of publish, crash, corrupt, alias, remove.")
@click.option("--seed", default=1, show_default=True, help="Which bits.")
def store(flips: int, publishers: int, rounds: int, examples: int, seed: int) -> None:
    """Damage the store and kill its writers; print the results."""
    kernels, began = prepare(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        start = make_stores(root / "start", kernels)
        _damage(root, make_stores(root / "pair", kernels, versions=2), kernels, flips, seed)
        _faults(root, start, kernels)
        total = publish_concurrently(root / "together", kernels, publishers, rounds)
        click.echo(f"row 27: {publishers} processes, {total} publications, all there and whole, latest is {total}")
    click.echo(f"history: {examples} of at most 40 steps ...")
    machine = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(StoreMachine, settings=machine)
    click.echo(f"history: {examples} histories, none with a version that is not what was published")
    click.echo(f"{time.perf_counter() - began:.0f} s in all")


def _damage(root: Path, start: Path, kernels: Kernels, flips: int, seed: int) -> None:
    folder = version_folder(start, 2)
    for name in FILES:
        click.echo(f"row 25: {name}: {sum(1 for _ in truncate(folder, name))} prefixes, all refused")
    foreign = len(list(refuse_foreign_versions(start, kernels, root / "foreign")))
    click.echo(f"row 25: {foreign} foreign versions, all refused")
    flipped = Counter(name for name, _ in flip_bits(folder, flips, seed))
    click.echo(f"row 24: {flipped.total()} bits flipped, all refused: {dict(flipped)}")


def _faults(root: Path, start: Path, kernels: Kernels) -> None:
    (root / "empty").mkdir()
    rows = [(name, action, start) for name, action in ACTIONS.items()]
    for name, action, place in [*rows, ("publish the first", ACTIONS["publish"], root / "empty")]:
        shown = []
        for fault, code in FAULTS.items():
            if code is not None:
                states = Counter(each_failure(action, place, root / "scratch", kernels, code))
                shown.append(f"{fault} {states.total()} ({states['old']} old, {states['new']} new)")
        states = Counter(each_failure(action, place, root / "scratch", kernels, killed=True))
        shown.append(f"SIGKILL {states.total()} ({states['old']} old, {states['new']} new)")
        click.echo(f"row 26: {name}: {', '.join(shown)}, none between, all done again")
