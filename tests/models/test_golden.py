"""Golden names: what two shipped models have always drawn, on any machine. If one name changes, so must `sampling`.

The files in golden/ are named for a version and hold its first 10,000 names of seed 0, one a line. They come from
`python -m app generate --model human/wavenet@3 --count 10000 --seed 0 --repeats --case lower`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import Kernels, ModelRegistry, NameGenerator, SamplingOptions
from models.inference import AS_DRAWN, PrefixMemory

GOLDEN = Path(__file__).parent / "golden"
Drawn = tuple[NDArray[np.int32], NDArray[np.int32]]
SlowPath = Callable[[NameGenerator, SamplingOptions, int, int, int, int], Drawn]


@pytest.fixture(scope="module")
def shipped(kernels: Kernels) -> ModelRegistry:
    """The shipped store alone."""
    return ModelRegistry.open(kernels)


@pytest.fixture(params=["wavenet", None], ids=["wavenet", "default"])
def golden(request: pytest.FixtureRequest, shipped: ModelRegistry) -> tuple[NameGenerator, list[str]]:
    """A shipped model of human names, and the names in its golden file."""
    version = shipped.resolve("human", request.param) if request.param else shipped.resolve("human")
    path = GOLDEN / f"{version.manifest.reference.replace('/', '-')}.txt"
    assert path.exists(), (
        f"{version.manifest.reference} is served, and has no golden file: see this module's docstring."
    )
    names = path.read_text().split("\n")
    assert names.pop() == ""
    return version.generator, names


@pytest.mark.parametrize("mebibytes", [0, 0.5, 64])
def test_the_golden_names_are_drawn(golden: tuple[NameGenerator, list[str]], mebibytes: float) -> None:
    """The first 10,000 names of seed 0 are those of the golden file, with a memory of prefixes and without."""
    generator, names = golden
    assert len(names) == 10_000
    memory = PrefixMemory(mebibytes)
    for _ in range(2):
        assert generator.generate(10_000, seed=0, constraints=AS_DRAWN, memory=memory).names == names


def test_the_golden_names_come_from_any_page(golden: tuple[NameGenerator, list[str]]) -> None:
    """Pages of uneven sizes, drawn one after the other, give the golden names."""
    generator, names = golden
    found: list[str] = []
    offset, memory = 0, PrefixMemory(8)
    while len(found) < 3000:
        batch = generator.generate(
            min(1 + len(found), 3000 - len(found)), seed=0, offset=offset, constraints=AS_DRAWN, memory=memory
        )
        found += batch.names
        offset = batch.next_offset
    assert found == names[:3000]


def test_the_slow_path_gives_the_golden_names(golden: tuple[NameGenerator, list[str]], slow_path: SlowPath) -> None:
    """The first golden names are those of the model's plain form, each candidate alone."""
    generator, names = golden
    codes, lengths = slow_path(generator, SamplingOptions(), generator.longest, 0, 0, 150)
    assert [name for name in generator.texts(codes, lengths) if name is not None] == names[: int((lengths >= 0).sum())]
