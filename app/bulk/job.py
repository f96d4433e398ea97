"""A bulk job: the request, the version that answers it, and its parts. No files and no processes."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from app.names.generation import SamplerCache, seed_of
from app.names.sources import SourceResolver
from app.schemas import GenerateQuery
from app.settings import Settings
from app.startup import open_registry
from models import OptionError
from models.blends import Blender
from models.bulk import Enumeration, Part, Span, draw_part, parquet
from models.inference import PrefixMemory, PreparedSampler
from models.profanity import ProfanityFilter


class _Job(BaseModel):
    """`request`: the fields of /generate; `digest`: of the version, its list, and the words that `safe` refuses."""

    model_config = ConfigDict(frozen=True)

    request: GenerateQuery
    digest: str


class DrawJob(_Job):
    """What a draw depends on, as `job.json` keeps it: `count` candidates from the offset of the request on."""

    count: int
    part_size: int

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.count // self.part_size)

    def all_parts(self) -> Iterator[Part]:
        """Yield the parts in order."""
        first, end = self.request.offset, self.request.offset + self.count
        for start in range(first, end, self.part_size):
            yield Part(start, min(self.part_size, end - start))

    def open(self, settings: Settings) -> "Drawer":
        """Return what makes the parts. Raises as `Drawer` does."""
        return Drawer(settings, self.request, self.digest)


class EnumerateJob(_Job):
    """What an enumeration depends on: all names with at least this log-probability, in at most `most_parts` parts."""

    min_log_prob: float
    most_parts: int

    def open(self, settings: Settings) -> "Enumerator":
        """Return what makes the parts. Raises as `Enumerator` does."""
        return Enumerator(settings, self.request, self.min_log_prob, self.digest)


Job = DrawJob | EnumerateJob


class _Opened:
    """The registry is opened and the sampler is prepared once for all parts that a process makes.

    Raises the errors of /generate, and `OptionError` where the version is another one than the job's, `digest`.
    """

    def __init__(self, settings: Settings, request: GenerateQuery, digest: str | None = None) -> None:
        registry = open_registry(settings)
        source = SourceResolver(registry, Blender(registry.kernels)).find(request.dataset, request.model, request.style)
        profanity = ProfanityFilter.load(registry.kernels.find, settings.unsafe_words, settings.safe_words)
        self.digest = f"{source.digest} {profanity.digest}" if request.safe else source.digest
        if digest not in (None, self.digest):
            raise OptionError(
                f"The job draws from {digest}, and here is {self.digest}; all machines need the same version.",
                field="model",
                allowed="the version with which the job began",
            )
        self.sampler: PreparedSampler = SamplerCache(profanity).get(request, source)
        self.case = request.case


class Drawer(_Opened):
    """Draws the parts of a `DrawJob` in one process."""

    def __init__(self, settings: Settings, request: GenerateQuery, digest: str | None = None) -> None:
        super().__init__(settings, request, digest)
        self.seed, self.memory = seed_of(request), PrefixMemory(settings.memory)

    def part(self, part: Part) -> tuple[bytes, int]:
        """Return a part as a Parquet file, and how many names it has."""
        return parquet(draw_part(self.sampler, self.seed, part, self.case, self.memory))


class Enumerator(_Opened):
    """Lists the parts of an `EnumerateJob` in one process."""

    def __init__(self, settings: Settings, request: GenerateQuery, least: float, digest: str | None = None) -> None:
        super().__init__(settings, request, digest)
        self.enumeration = Enumeration(self.sampler, least)

    def part(self, part: Span) -> tuple[bytes, int]:
        """Return a part as a Parquet file, and how many names it has."""
        return self.enumeration.part(part, self.case)
