"""From a request to the bytes of a stream, a piece at a time: what HTTP and the command line share. No HTTP and no
threads.
"""

from pydantic import BaseModel

from app.naming.decency import Decency
from app.naming.drawing import Cost, acceptance_rate, budget, few_candidates, stream_of
from app.naming.limits import check
from app.naming.writing import detail_json
from app.negotiation import CSV, NDJSON, TEXT
from app.schemas import GenerateQuery
from models import inference
from models.blends import Source
from models.inference import PrefixMemory
from models.inference.stream import Codes

FORMS = {TEXT: inference.TEXT, CSV: inference.CSV, NDJSON: inference.NDJSON}


class End(BaseModel):
    """How a stream ended."""

    complete: bool
    attempts: int
    next_offset: int
    acceptance_rate: float
    refused: dict[str, int]


class LastRecord(BaseModel):
    """The last line of NDJSON."""

    end: End


class NameLines:
    """The lines of a request with a seed. Raises `OptionError` and `UnknownCharacter` when made, and nothing later."""

    def __init__(
        self,
        request: GenerateQuery,
        source: Source,
        media: str,
        most_attempts: int,
        memory: PrefixMemory,
        decency: Decency,
    ) -> None:
        check(request, media)
        self.request, self.source, self.media, self.memory = request, source, media, memory
        self.most = budget(request, most_attempts)
        self.stream = stream_of(request, source, self.most, decency)
        self.stopped = False
        self.begun = self.finished = False
        self._judged = 0

    @property
    def tells_its_end(self) -> bool:
        """Whether a reader of all the lines can see that a stream which fell short is over, or it did not."""
        return self.media == NDJSON or self.stream.complete

    @property
    def cost(self) -> Cost:
        """What was drawn and judged so far."""
        return Cost(self.stream.characters, self._judged)

    def stop(self) -> None:
        """Draw no more: the next piece is the last, and tells how it ended."""
        self.stopped = True

    @property
    def quick(self) -> bool:
        """Whether the next piece takes no longer than what `draw_if_quick` does, of a stream that is as short. Many
        long ones may begin at once.
        """
        few = few_candidates(self.request, self.source)
        return 2 * self.request.count <= few and self.stream.attempts + self.stream.size <= few

    def piece(self) -> bytes:
        """Return some milliseconds' worth of lines, which may be none; `finished` tells that they were the last."""
        lines = b"" if self.begun else FORMS[self.media].title.encode()
        self.begun = True
        if not (self.stopped or self.stream.finished):
            lines += self.stream.piece(self._write_details if self.request.details else self._writer(), self.memory)
        self.finished = self.stopped or self.stream.finished
        if self.finished and self.media == NDJSON:
            lines += LastRecord(end=self._end()).model_dump_json().encode() + b"\n"
        return lines

    def _end(self) -> End:
        stream = self.stream
        return End(
            complete=stream.complete,
            attempts=stream.attempts,
            next_offset=stream.next_offset,
            acceptance_rate=acceptance_rate(stream.names, stream.attempts),
            refused=stream.refused,
        )

    def _writer(self) -> inference.LineWriter:
        return self.source.generator.writer(FORMS[self.media], self.request.case == "title")

    def _write_details(self, codes: Codes, lengths: Codes, limit: int) -> tuple[bytes, int, int]:
        """Write what `LineWriter` would, each name as the object that JSON's details have."""
        generator, looked = self.source.generator, 0
        lines: list[bytes] = []
        for text in generator.texts(codes, lengths):
            if len(lines) == limit:
                break
            looked += 1
            if text is not None:
                self._judged += len(text) + 1
                lines.append(detail_json(generator.judge([text])[0], self.request.case) + b"\n")
        return b"".join(lines), len(lines), looked
