"""Saved results: one small JSON file per row, with the commit and the machine of the measurement."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

# Width of the tables if there is no terminal.
WIDTH = 165
FOLDER = Path(__file__).parent / "results"


class Machine(BaseModel):
    """The machine of a measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    cores: int
    python: str
    torch: str


class Result(BaseModel):
    """One row. `losses`: nats per character by part.

    `gaps`: the gain over other rows on the dev names, compared name by name, with its standard error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    row: str
    seed: int
    parameters: int
    seconds: float
    losses: dict[str, float] = Field(default_factory=dict)
    gaps: dict[str, tuple[float, float]] = Field(default_factory=dict)
    notes: dict[str, float | int | str] = Field(default_factory=dict)
    commit: str
    machine: Machine
    measured: str


def console() -> Console:
    """Return a console for tables: the terminal, or a fixed width for files."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH)


def path_of(benchmark: str, row: str, seed: int) -> Path:
    """Return the path of a row."""
    return FOLDER / benchmark / f"{row}-{seed}.json"


def save_result(result: Result) -> Path:
    """Write a row atomically, and replace a row of the same name."""
    path = path_of(result.benchmark, result.row, result.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(result.model_dump_json(indent=2) + "\n", "utf-8")
    draft.replace(path)
    return path


def load_results(benchmark: str) -> list[Result]:
    """Return all saved rows of a benchmark."""
    paths = sorted((FOLDER / benchmark).glob("*.json"))
    return [Result.model_validate_json(path.read_text("utf-8")) for path in paths]


def this_machine() -> Machine:
    """Return the description of this machine."""
    return Machine(
        processor=_processor(), cores=os.cpu_count() or 1, python=platform.python_version(), torch=torch.__version__
    )


def commit() -> str:
    """Return the current commit, with "+" if files have changed since; "unknown" outside a clone."""
    root = Path(__file__).parent.parent
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "diff", "--quiet", "HEAD", "--", "app", "models", "training", "benchmarks/*.py"], cwd=root
        )
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("+" if changed.returncode else "") if head.returncode == 0 else "unknown"


def now() -> str:
    """Return the time in UTC, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
