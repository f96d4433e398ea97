"""Golden names: what four shipped models have always drawn, on any machine. If one name changes, so must `sampling`.

The files in golden/ are named for a version and hold its first 10,000 names of seed 0, one a line. They come from
`python -m app generate --model human/wavenet@3 --count 10000 --seed 0 --repeats --case lower --unsafe`.
"""

from pathlib import Path

import pytest

from models import Kernels, ModelRegistry, SamplingOptions, Version
from models.inference import AS_DRAWN, PrefixMemory
from tests.models import int8_oracle as oracle
from tests.models.reference import reference_draw

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def shipped(kernels: Kernels) -> ModelRegistry:
    """The shipped store alone."""
    return ModelRegistry.open(kernels)


@pytest.fixture(params=["wavenet", "lstm@4", "lstm@5", None], ids=["wavenet", "lstm@4", "lstm@5", "default"])
def golden(request: pytest.FixtureRequest, shipped: ModelRegistry) -> tuple[Version, list[str]]:
    """A shipped version of human names, and the names in its golden file."""
    version = shipped.resolve("human", request.param)
    path = GOLDEN / f"{version.manifest.reference.replace('/', '-')}.txt"
    assert path.exists(), (
        f"{version.manifest.reference} is served and has no golden file: see the docstring of this module."
    )
    names = path.read_text().split("\n")
    assert names.pop() == ""
    return version, names


@pytest.mark.parametrize("mebibytes", [0, 0.5, 64])
def test_golden_names_are_drawn_with_any_memory(golden: tuple[Version, list[str]], mebibytes: float) -> None:
    version, names = golden
    generator = version.generator
    assert len(names) == 10_000
    memory = PrefixMemory(mebibytes)
    for _ in range(2):
        assert generator.generate(10_000, seed=0, constraints=AS_DRAWN, memory=memory).names == names


def test_pages_of_uneven_sizes_give_the_golden_names(golden: tuple[Version, list[str]]) -> None:
    version, names = golden
    generator = version.generator
    found: list[str] = []
    offset, memory = 0, PrefixMemory(8)
    while len(found) < 3000:
        count = min(1 + len(found), 3000 - len(found))
        batch = generator.generate(count, seed=0, offset=offset, constraints=AS_DRAWN, memory=memory)
        found += batch.names
        offset = batch.next_offset
    assert found == names[:3000]


def oracle_names(version: Version, count: int) -> list[str | None]:
    """The first candidates of seed 0 by the plain integer arithmetic of model format 2."""
    model = {name: array.tolist() for name, array in version.arrays().items()} | {"styles": []}
    options = oracle.Options(max_length=version.generator.longest)
    drawn = [oracle.draw(model, 0, index, options) for index in range(count)]
    return [None if ids is None else version.manifest.alphabet.decode(ids) for ids in drawn]


def test_reference_sampler_gives_the_golden_names(golden: tuple[Version, list[str]]) -> None:
    version, names = golden
    generator = version.generator
    if "quantized" in version.manifest.training:
        found = oracle_names(version, 40)
    else:
        codes, lengths = reference_draw(generator, SamplingOptions(), 0, 0, 150, generator.longest)
        found = generator.prepare().texts(codes, lengths)
    kept = [name for name in found if name is not None]
    assert kept == names[: len(kept)]
