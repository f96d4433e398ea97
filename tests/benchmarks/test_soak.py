"""The soak's figures: the line through the memory, and a leak that is found."""

import random

import numpy as np
import pytest
from fastapi import FastAPI

from benchmarks.reliability_measures.soak import MISTAKES, request, slope
from benchmarks.servers.leaky import LEAK, Leak, leaky


def test_the_slope_is_that_of_the_line() -> None:
    """Of memory that grows by 3 MiB an hour with noise around it the slope is 3, as closely as its error says."""
    noise = np.random.default_rng(1).normal(0, 0.5, 2_000)
    found = slope([(2.0 * k, 300 + 3 * (2.0 * k / 3600) + noise[k]) for k in range(2_000)])
    assert abs(found.growth - 3) < 3 * found.error
    assert found.error == pytest.approx(0.5 / (np.std(np.arange(2_000) * 2 / 3600) * np.sqrt(2_000)), rel=0.1)


def test_every_kind_of_request_is_asked() -> None:
    """Among a thousand requests are all routes, all forms, blends, and mistakes; the same seed gives the same ones."""
    asked = [request(random.Random(seed)) for seed in range(1_000)]
    assert asked == [request(random.Random(seed)) for seed in range(1_000)]
    assert {path for _, path, _, _ in asked} >= {"/generate", "/score", "/next", "/models", "/metrics", "/"}
    assert len({headers["accept"] for *_, headers in asked if headers}) == 4
    bodies = [sent["json"] for _, path, sent, _ in asked if path == "/generate"]
    assert any(isinstance(body.get("dataset"), dict) for body in bodies)
    assert all(mistake in bodies for mistake in MISTAKES)


def test_the_planted_leak_is_one() -> None:
    """The leaky factory adds the leak to what another makes, and each request leaves its bytes behind."""
    app = leaky(FastAPI)()
    assert [entry.cls for entry in app.user_middleware] == [Leak]

    async def nothing(*_: object) -> None:
        return None

    leak = Leak(nothing)
    for _ in range(3):
        with pytest.raises(StopIteration):
            leak({}, nothing, nothing).send(None)  # type: ignore[arg-type]
    assert sum(map(len, leak.kept)) == 3 * LEAK
