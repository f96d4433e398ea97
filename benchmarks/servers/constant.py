"""A generator that draws nothing: the same names for every seed. Only what the app calls to draw is replaced."""

from typing import Any

from models import Batch, NameGenerator
from models.inference import REASONS

# Twenty names of ordinary length, in lower case as a generator gives them.
NAMES = (
    "anzlee",
    "lema",
    "albi",
    "jarora",
    "jadel",
    "pao",
    "jersia",
    "myra",
    "patlyn",
    "broxten",
    "leonna",
    "nichu",
    "aeron",
    "dalyse",
    "kenlo",
    "marvin",
    "osiah",
    "tavia",
    "jorel",
    "emmery",
)
REPEATED = list(NAMES) * 500


def constant_names(count: int) -> list[str]:
    """Return `count` names, at most 10,000."""
    return REPEATED[:count]


class ConstantGenerator:
    """Stands in for a `NameGenerator`: `generate` is constant, all else is the generator's own."""

    def __init__(self, generator: NameGenerator) -> None:
        self._generator = generator

    def generate(self, count: int, *, seed: int, offset: int = 0, **options: Any) -> Batch:
        """Return the constant names as the first candidates of the stream."""
        refused = dict.fromkeys(REASONS, 0)
        return Batch(constant_names(count), seed, offset, count, True, refused)

    def __getattr__(self, name: str) -> Any:
        """Return what else the app asks a generator for."""
        return getattr(self._generator, name)
