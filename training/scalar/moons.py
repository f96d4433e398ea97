"""Two half moons that reach into each other: points of two classes that no straight line parts. No learning here."""

import math
from dataclasses import dataclass
from random import Random

NOISE = 0.12


@dataclass(frozen=True)
class Point:
    """A place in the plane and its class, -1 (the upper moon) or 1 (the lower one)."""

    x: float
    y: float
    label: int


def moons(count: int, random: Random, noise: float = NOISE) -> list[Point]:
    """Return `count` points, of the two moons in turn, each off its moon by Gaussian `noise` in both directions.

    The upper moon is half of the unit circle; the lower one is the same turned around, about (0.5, 0.25).
    """
    points: list[Point] = []
    for i in range(count):
        angle = random.uniform(0, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        label = -1 if i % 2 == 0 else 1
        if label == 1:
            x, y = 1 - x, 0.5 - y
        points.append(Point(x + random.gauss(0, noise), y + random.gauss(0, noise), label))
    return points
