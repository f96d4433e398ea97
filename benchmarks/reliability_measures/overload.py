"""Overload: the service on core 0, an open load on core 1."""

import asyncio
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import click
import matplotlib
import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.measures.processes import Process, ask, started, wait_until
from benchmarks.reliability_measures.arrivals import Load, ObservedRequest, PlannedRequest, poisson, steady
from benchmarks.reliability_measures.curve import draw_curve
from tests.harness.service import free_port

SERVER_CORE, LOAD_CORE = 0, 1
# Names per request, and the share of such requests: half of them are small, but most work is large.
MIXES = {"mixed": ((20, 0.5), (500, 0.4), (2000, 0.1)), "small": ((20, 1.0),)}
FACTORS = (0.5, 0.8, 1.0, 2.0, 5.0, 10.0, 0.5)
HEALTH = PlannedRequest("health", 0, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
PROBES = 20.0
OK, BUSY = 200, 503
# Clients that keep the service busy without overloading it.
CLIENTS = 3


@dataclass(frozen=True)
class Step:
    """The figures of one load: times in milliseconds, goodput in names per second."""

    factor: float
    offered: float
    accepted: float
    goodput: float
    refused: float
    p50: float
    p99: float
    refusal_p99: float
    health_p99: float
    health_worst: float
    others: int
    late: float
    processor: float


class RequestFactory:
    """Creates requests of a mix, each with its own seed."""

    def __init__(self, mix: str, chance: random.Random) -> None:
        self._mix, self._chance = MIXES[mix], chance
        self.mean = sum(count * share for count, share in self._mix)

    def __call__(self) -> PlannedRequest:
        counts, shares = zip(*self._mix, strict=True)
        count = self._chance.choices(counts, shares)[0]
        body = json.dumps({"count": count, "seed": self._chance.randrange(2**40), "unique": False}).encode()
        head = f"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        return PlannedRequest(f"{count}", count, head.encode() + b"\r\n\r\n" + body)


async def _capacity(port: int, asker: RequestFactory, seconds: float) -> float:
    """Return the names per second of clients that send the next request after each answer."""
    until = time.monotonic() + seconds
    names = 0

    async def client() -> None:
        nonlocal names
        load = Load(port)
        while time.monotonic() < until:
            [seen] = await load.send([(0.0, asker())])
            names += seen.asked.names if seen.status == OK else 0
            if seen.status != OK:
                await asyncio.sleep(0.05)
        load.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return names / seconds


async def _step(
    port: int, server: Process, asker: RequestFactory, factor: float, rate: float, seconds: float, chance: random.Random
) -> Step:
    load, probe = Load(port), Load(port)
    began, used = time.monotonic(), server.cpu_seconds()
    seen, health = await asyncio.gather(
        load.send(poisson(factor * rate, seconds, asker, chance)), probe.send(steady(PROBES, seconds, HEALTH))
    )
    used = (server.cpu_seconds() - used) / (time.monotonic() - began)
    load.close()
    probe.close()
    return step_figures(seen, health, factor, began, seconds, used)


def step_figures(
    seen: list[ObservedRequest],
    health: list[ObservedRequest],
    factor: float,
    began: float,
    seconds: float,
    processor: float,
) -> Step:
    """Return the figures of one load."""
    good = [entry for entry in seen if entry.status == OK]
    refused = [entry for entry in seen if entry.status == BUSY and entry.retry_after.isdecimal()]
    in_time = [entry for entry in good if entry.done <= began + seconds]
    # An unanswered probe counts as one minute.
    probes = [entry.latency if entry.status == OK else 60_000.0 for entry in health]
    return Step(
        factor=factor,
        offered=len(seen) / seconds,
        accepted=len(good) / seconds,
        goodput=sum(entry.asked.names for entry in in_time) / seconds,
        refused=len(refused) / max(len(seen), 1),
        p50=_percentile(good, 50),
        p99=_percentile(good, 99),
        refusal_p99=_percentile(refused, 99),
        health_p99=float(np.percentile(probes, 99)),
        health_worst=max(probes),
        others=len(seen) - len(good) - len(refused),
        late=max((entry.sent - entry.due) * 1000 for entry in seen),
        processor=processor,
    )


def together(steps: Sequence[Step]) -> Step:
    """Combine repeated measurements of one load: medians, and the worst of values that must never be bad.

    The repetitions alternate with other loads, because the speed of a machine changes from minute to minute.
    """
    medians = {field.name: statistics.median(getattr(step, field.name) for step in steps) for field in fields(Step)}
    return Step(
        **medians
        | {
            "health_worst": max(step.health_worst for step in steps),
            "others": sum(step.others for step in steps),
            "late": max(step.late for step in steps),
        }
    )


def _percentile(seen: list[ObservedRequest], which: float) -> float:
    return float(np.percentile([entry.latency for entry in seen], which)) if seen else 0.0


def _show(screen: Console, steps: list[Step], capacity: float) -> None:
    table = Table(title=f"Capacity {capacity:,.0f} names a second")
    for title in ("load", "asked/s", "answered/s", "names/s", "refused", "p50 ms", "p99 ms", "refusal p99 ms",
                  "health p99 ms", "worst", "neither", "late ms", "core"):  # fmt: skip
        table.add_column(title, justify="right")
    for s in steps:
        table.add_row(
            f"{s.factor:g}x", f"{s.offered:.0f}", f"{s.accepted:.0f}", f"{s.goodput:,.0f}", f"{s.refused:.1%}",
            f"{s.p50:.1f}", f"{s.p99:.1f}", f"{s.refusal_p99:.1f}", f"{s.health_p99:.1f}", f"{s.health_worst:.1f}",
            f"{s.others}", f"{s.late:.0f}", f"{s.processor:.0%}",
        )  # fmt: skip
    screen.print(table)


def verdicts(steps: list[Step]) -> dict[str, tuple[bool, str]]:
    """Return whether each goal is met, and the figure."""
    peak, worst = max(s.goodput for s in steps), max(steps, key=lambda s: s.factor)
    calm = next(s for s in steps if s.factor == 0.8)
    refusals, health = max(s.refusal_p99 for s in steps), max(s.health_p99 for s in steps)
    return {
        "goodput at 10x, share of the peak (0.9)": (worst.goodput >= 0.9 * peak, f"{worst.goodput / peak:.2f}"),
        "p99 of accepted at 10x over that at 0.8x (2)": (worst.p99 <= 2 * calm.p99, f"{worst.p99 / calm.p99:.2f}"),
        "p99 of refusals (20 ms)": (refusals < 20, f"{refusals:.1f} ms"),
        "p99 of health (50 ms)": (health < 50, f"{health:.1f} ms"),
        "answers that are neither 200 nor 503": (not any(s.others for s in steps), str(sum(s.others for s in steps))),
    }


async def _sweep(
    port: int, server: Process, mix: str, seconds: float, rounds: int, screen: Console
) -> tuple[float, list[Step]]:
    chance = random.Random(1)
    asker = RequestFactory(mix, chance)
    # In the first seconds the service measures its own speed.
    await _capacity(port, asker, min(seconds, 3.0))
    capacity = await _capacity(port, asker, seconds)
    tries: list[list[Step]] = [[] for _ in FACTORS]
    for number in range(1, rounds + 1):
        for factor, steps in zip(FACTORS, tries, strict=True):
            screen.print(f"round {number} of {rounds}: {factor:g}x ...", style="dim")
            steps.append(await _step(port, server, asker, factor, capacity / asker.mean, seconds, chance))
            await asyncio.sleep(1)
    return capacity, [together(steps) for steps in tries]


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="How long each load lasts.")
@click.option("--rounds", default=3, show_default=True, help="How often each is tried; the figures are medians.")
@click.option("--mix", type=click.Choice(list(MIXES)), default="mixed", show_default=True, help="What is asked for.")
@click.option("--picture", type=click.Path(path_type=Path), help="Where to draw the curve.")
def overload(seconds: float, rounds: int, mix: str, picture: Path | None) -> None:
    """Ask for 0.5 to 10 times of what can be done; exit status 1 where a goal is missed."""
    screen, port = Console(width=150), free_port()
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"NAMEWAVE_STORE": f"{folder}/store", "NAMEWAVE_LOG_FORMAT": "json"}
        with started(command, port, Path(folder), [SERVER_CORE], quiet) as server:
            wait_until(server, "/health/ready")
            os.sched_setaffinity(0, {LOAD_CORE})
            # A garbage collection of the load generator takes a tenth of a second and would be measured.
            gc.disable()
            capacity, steps = uvloop.run(_sweep(port, server, mix, seconds, rounds, screen))
            assert ask(server.address + "/health/ready")[0] == OK
    _show(screen, steps, capacity)
    for goal, (met, figure) in verdicts(steps).items():
        screen.print(f"{'met   ' if met else 'MISSED'}  {goal}: {figure}")
    if picture:
        matplotlib.use("Agg")
        draw_curve([vars(step) for step in steps], capacity, picture)
        screen.print(f"drawn: {picture}")
    if not all(met for met, _ in verdicts(steps).values()):
        raise SystemExit(1)
