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
from models.bulk import Part, draw_part, parquet
from models.inference import PrefixMemory, PreparedSampler
from models.profanity import ProfanityFilter


class DrawJob(BaseModel):
    """What a draw depends on, as `job.json` keeps it.

    `request`: the fields of /generate; `count`: candidates from its offset on; `digest`: of the version, its list, and
    the words that `safe` refuses.
    """

    model_config = ConfigDict(frozen=True)

    request: GenerateQuery
    count: int
    part_size: int
    digest: str

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.count // self.part_size)

    def all_parts(self) -> Iterator[Part]:
        """Yield the parts in order."""
        first, end = self.request.offset, self.request.offset + self.count
        for start in range(first, end, self.part_size):
            yield Part(start, min(self.part_size, end - start))


class Drawer:
    """Draws the parts of a job in one process: the registry is opened and the sampler is prepared once.

    Raises the errors of /generate, and `OptionError` where the version is another one than the job's.
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
        self.seed, self.case = seed_of(request), request.case
        self.memory = PrefixMemory(settings.memory)
        self.model = source.model

    def part(self, part: Part) -> tuple[bytes, int]:
        """Return a part as a Parquet file, and how many names it has."""
        return parquet(draw_part(self.sampler, self.seed, part, self.case, self.memory))
