"""Two-sided guards: each guard is taken away in turn, in a copy of the tree, and a named test must turn red.

A guard whose absence no test notices can vanish by accident. The list is tests/reliability/mutations/*.toml.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "tests/reliability/mutations"
# What pytest ends with where a test failed, and nothing else went wrong.
FAILED = 1


@dataclass(frozen=True)
class Mutation:
    """A guard: where it stands, what stands there without it, and the test that must notice."""

    name: str
    file: str
    before: str
    after: str
    test: str


def listed(folder: Path = LISTS) -> list[Mutation]:
    """Return all mutations, in the order of their files."""
    found = [tomllib.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.toml"))]
    return [Mutation(**entry) for table in found for entry in table["mutation"]]


def copy_of_tree(place: Path) -> Path:
    """Return a copy of the files that git knows, as they are now."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    return place


def red_already(tree: Path, tests: list[str]) -> str:
    """Return what fails with every guard in its place, nothing where all is well: such a test would notice nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *dict.fromkeys(tests)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else "\n".join(done.stdout.strip().splitlines()[-8:])


def verdict(tree: Path, mutation: Mutation) -> str:
    """Take the guard away in `tree`, run its test there, put the guard back, and return "caught" or what went wrong."""
    path = tree / mutation.file
    text = path.read_text("utf-8")
    if text.count(mutation.before) != 1:
        return f"the guard stands {text.count(mutation.before)} times in {mutation.file}"
    path.write_text(text.replace(mutation.before, mutation.after), "utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        return "caught (its test never ended)"
    finally:
        path.write_text(text, "utf-8")
    if done.returncode == FAILED:
        return "caught"
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    return f"NOT caught: {last}"


@click.command()
@click.option("--only", default="", help="Mutations whose name has this in it.")
def mutations(only: str) -> None:
    """Take away each guard in turn; exit with 1 where a test does not notice."""
    chosen = [mutation for mutation in listed() if only in mutation.name]
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        tree = copy_of_tree(Path(name))
        if told := red_already(tree, [mutation.test for mutation in chosen]):
            click.echo(f"Before anything is taken away:\n{told}")
            raise SystemExit(1)
        for number, mutation in enumerate(chosen, 1):
            told = verdict(tree, mutation)
            missed += not told.startswith("caught")
            click.echo(f"{number}/{len(chosen)} {mutation.name}: {told}")
    click.echo(f"{len(chosen) - missed} of {len(chosen)} guards are caught when they go.")
    if missed:
        raise SystemExit(1)
