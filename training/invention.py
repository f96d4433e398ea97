"""What a trained model invents, measured: how many names are new, how many repeat. The drawing is `NameGenerator`'s."""

from dataclasses import dataclass

from models import NameGenerator, SamplingOptions
from models.inference import AS_DRAWN

TEMPERATURES = (0.5, 0.8, 1.0)
COUNT, SHOWN, SEED = 2000, 20, 0


@dataclass(frozen=True)
class Invention:
    """Names drawn at one temperature: the share that is in no list, the share that came before, the first few."""

    temperature: float
    new: float
    repeated: float
    names: tuple[str, ...]


def invent(generator: NameGenerator, temperature: float, count: int = COUNT) -> Invention:
    """Draw `count` names of seed 0, repeats and all."""
    options = SamplingOptions(temperature=temperature)
    names = generator.generate(count, seed=SEED, options=options, constraints=AS_DRAWN).names
    distinct = dict.fromkeys(names)
    n = max(len(names), 1)  # a model that never ends its names draws none
    new = sum(name not in generator.names for name in names) / n
    shown = [name for name in distinct if name not in generator.names][:SHOWN]
    return Invention(temperature, new, 1 - len(distinct) / n, tuple(shown or list(distinct)[:SHOWN]))


def inventions(generator: NameGenerator) -> list[Invention]:
    """Draw at each of `TEMPERATURES`."""
    return [invent(generator, temperature) for temperature in TEMPERATURES]
