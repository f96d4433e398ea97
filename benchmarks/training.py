"""The time until a model is good, on one machine: the lectures' recipe against the preset `fast`.

    python -m benchmarks.training path/to/names.txt [--recipes fast,lecture] [--threads 2] [--resume]

Two tables: seconds of training until the dev loss on names.txt, split as in the lectures, is at most 2.00 (imports and
dev losses are counted apart, the clock starts at the first step), and seconds from the start of `train --preset fast`
to a published version, for lists of 30,000 and of 3,000 names. Every measurement runs in a process of its own.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.lists import read_parts
from benchmarks.results import Result, commit, console, load_results, now, path_of, save_result, this_machine
from models.networks import build_model
from training.config import load_config
from training.dataset import Examples
from training.device import choose_device
from training.evaluation import mean_loss
from training.trainer import Trainer

BENCHMARK = "training"
GOAL = 2.00
# Recipe: preset, device, steps between two dev losses.
RECIPES = {
    "lecture": ("wavenet-lecture", "cpu", 1000),
    "fast": ("fast", "cpu", 50),
    "fast-cuda": ("fast", "cuda", 50),
}
LISTS = {"list-30000": 30_000, "list-3000": 3_000}


def measure(path: Path, recipe: str, threads: int, began: float) -> dict[str, float]:
    """Train by `recipe` until the dev loss is at most `GOAL`, and return the cost."""
    preset, device_name, every = RECIPES[recipe]
    config = load_config(preset, "", {"eval_every": 10**8})
    device = choose_device(device_name, threads)
    parts = read_parts(path, "lines")
    generator = torch.Generator().manual_seed(config.seed)
    network = build_model(config.model, len(parts.vocabulary), generator)
    network.to(device)
    train, dev = parts.examples("train"), parts.examples("dev")
    trainer = Trainer(network, config, train, dev, generator, device)
    setup, clock = time.perf_counter() - began, time.perf_counter()
    judging, loss, step = 0.0, float("inf"), 0
    for made in trainer.fit():
        step = made.step
        if step % every and step < made.total:
            continue
        asked = time.perf_counter()
        loss = _judge(network, dev, device)
        judging += time.perf_counter() - asked
        if loss <= GOAL:
            break
    seconds = time.perf_counter() - clock - judging
    return {
        "seconds": round(seconds, 2),
        "dev": round(loss, 4),
        "steps": step,
        "parameters": network.parameter_count,
        "start": round(setup, 2),
        "judging": round(judging, 2),
        "megabytes": _peak_megabytes(),
    }


def _judge(network: object, dev: Examples, device: torch.device) -> float:
    return mean_loss(network, dev, device)  # type: ignore[arg-type]


def _peak_megabytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform != "darwin" else 1024**2)


def publish(path: Path, names: int, threads: int) -> dict[str, float]:
    """Train and publish from a list of `names` names with the command, and return the cost."""
    every = list(dict.fromkeys(path.read_text("utf-8").split()))
    chosen = random.Random(0).sample(every, min(names, len(every)))
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "list.txt"
        own.write_text("\n".join(chosen) + "\n", "utf-8")
        command = [sys.executable, "-m", "training", "train", "--data", str(own), "--name", "measured"]
        command += ["--preset", "fast", "--threads", str(threads), "--store", str(Path(folder) / "store")]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        manifest = json.loads(next(Path(folder).rglob("manifest.json")).read_text("utf-8"))
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    dev = round(manifest["metrics"]["dev"], 4)
    return {"seconds": round(seconds, 2), "dev": dev, "parameters": manifest["parameters"], "megabytes": megabytes}


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--recipes", default="fast,lecture,lists", show_default=True, help="What to measure, or none.")
@click.option("--threads", default=os.cpu_count() or 1, show_default=True, help="Threads of each measurement.")
@click.option("--repeat", default=3, show_default=True, help="How often the preset is measured (the lecture's once).")
@click.option("--resume", is_flag=True, help="Keep the rows that were made before.")
@click.option("--only", hidden=True, help="One recipe, measured in this process.")
def main(path: Path, recipes: str, threads: int, repeat: int, resume: bool, only: str | None) -> None:
    """Measure on the names at PATH, save the rows, and print all saved rows."""
    if only is not None:
        click.echo(json.dumps(measure(path, only, threads, time.perf_counter() - time.process_time())))
        return
    screen = console()
    for row, times, make in _plan(path, recipes, threads, repeat):
        for seed in range(1, times + 1):
            if resume and path_of(BENCHMARK, row, seed).is_file():
                continue
            with screen.status(f"{row}, {seed} of {times}"):
                _keep(row, seed, threads, make())
    _show(screen)


def _plan(path: Path, recipes: str, threads: int, repeat: int) -> list[tuple[str, int, Callable[[], dict[str, float]]]]:
    plan: list[tuple[str, int, Callable[[], dict[str, float]]]] = []
    for recipe in recipes.split(","):
        if recipe == "lists":
            plan += [(row, repeat, lambda n=n: publish(path, n, threads)) for row, n in LISTS.items()]  # type: ignore[misc]
        elif recipe in RECIPES:
            times = 1 if recipe == "lecture" else repeat
            plan.append((recipe, times, lambda r=recipe: _alone(path, r, threads)))  # type: ignore[misc]
        elif recipe != "none":
            raise click.UsageError(f"--recipes has {recipe!r}; allowed: {', '.join(RECIPES)}, lists, none.")
    return plan


def _alone(path: Path, recipe: str, threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", str(path), "--only", recipe, "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _keep(row: str, seed: int, threads: int, measured: dict[str, float]) -> None:
    rest = {key: value for key, value in measured.items() if key not in ("seconds", "dev", "parameters")}
    save_result(
        Result(
            benchmark=BENCHMARK,
            row=row,
            seed=seed,
            parameters=int(measured["parameters"]),
            seconds=measured["seconds"],
            losses={"dev": measured["dev"]},
            notes={**rest, "threads": threads},
            commit=commit(),
            machine=this_machine(),
            measured=now(),
        )
    )


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _show(screen: Console) -> None:
    results = load_results(BENCHMARK)
    table = Table("recipe", title=f"training until dev {GOAL:.2f} on names.txt (medians)", title_justify="left")
    for head in ("runs", "seconds", "steps", "dev reached", "start, s", "dev losses, s", "peak MB", "times sooner"):
        table.add_column(head, justify="right")
    lecture = [r.seconds for r in results if r.row == "lecture"]
    for recipe in RECIPES:
        mine = [result for result in results if result.row == recipe]
        if not mine:
            table.add_row(recipe, "0", "not measured")
            continue
        middle = _median([r.seconds for r in mine])
        one = next(r for r in mine if r.seconds == middle)
        notes = [f"{one.notes[key]}" for key in ("start", "judging", "megabytes")]
        ratio = f"{lecture[0] / middle:.1f}" if lecture else ""
        steps = f"{one.notes['steps']:,}"
        table.add_row(recipe, str(len(mine)), f"{middle:.1f}", steps, f"{one.losses['dev']:.4f}", *notes, ratio)
    screen.print(table)
    whole = Table("list", title="train --preset fast, from start to published version (medians)", title_justify="left")
    for head in ("runs", "seconds", "dev", "parameters", "peak MB"):
        whole.add_column(head, justify="right")
    for row in LISTS:
        mine = [result for result in results if result.row == row]
        if mine:
            middle = _median([r.seconds for r in mine])
            one = next(r for r in mine if r.seconds == middle)
            cells = [f"{middle:.1f}", f"{one.losses['dev']:.4f}", f"{one.parameters:,}", f"{one.notes['megabytes']}"]
            whole.add_row(row, str(len(mine)), *cells)
    screen.print(whole)


if __name__ == "__main__":
    main()
