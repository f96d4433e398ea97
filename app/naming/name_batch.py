"""From a request to its answer as JSON, a piece at a time. No HTTP and no threads."""

from app.naming.decency import Decency
from app.naming.drawing import Cost, answer_of, in_order, judged_characters, stream_of
from app.naming.explaining import piece_of
from app.naming.writing import Written, detail_json, written, written_details
from app.schemas import GenerateQuery
from models import Batch, Score
from models.blends import Source
from models.inference import PrefixMemory
from models.inference.pace import FIRST
from models.inference.stream import Codes
from models.spelling import capitalize_all


class NameBatch:
    """What `drawing.draw` returns, in pieces of some milliseconds. Raises `OptionError` and `UnknownCharacter` when
    made, and nothing later. `written`: the answer, once the last piece made it.
    """

    def __init__(
        self,
        request: GenerateQuery,
        source: Source,
        most: int,
        memory: PrefixMemory,
        decency: Decency,
        first: int = FIRST,
    ) -> None:
        self.request, self.source, self.memory = request, source, memory
        self.stream = stream_of(request, source, most, decency, first)
        self.stopped = False
        self.written: Written | None = None
        self._names: list[str] = []
        # How likely each name is, and its details as JSON: objects for all characters of thousands of names, kept until
        # the end, would have the garbage collector stop all threads for a fifth of a second.
        self._judgements: list[tuple[float, bytes]] = []

    @property
    def drawn(self) -> bool:
        """Whether no more names come."""
        return self.stopped or self.stream.finished

    @property
    def finished(self) -> bool:
        """Whether all is done that is done in pieces."""
        return self.drawn and self._judged

    @property
    def _judged(self) -> bool:
        return not self.request.judged or len(self._judgements) == len(self._names)

    @property
    def cost(self) -> Cost:
        """What was drawn and judged so far."""
        judged = self._names[: len(self._judgements)]
        return Cost(self.stream.characters, judged_characters(self.request, judged))

    def stop(self) -> None:
        """Draw no more: the answer is what there is."""
        self.stopped = True

    def piece(self) -> None:
        """Draw, or judge, for some milliseconds, and write the answer where that was all. What was drawn is judged
        before more is: who is stopped has little left to do.
        """
        if self._judged:
            self._names += self.stream.piece(self._keep, self.memory)
        else:
            scores = self.source.generator.judge(piece_of(self._names, len(self._judgements)))
            self._judgements += [(score.log_prob, self._detail(score)) for score in scores]
        if self.finished:
            # Another way to a thread would take longer than this.
            self.written = self.answer()

    def _detail(self, score: Score) -> bytes:
        return detail_json(score, self.request.case) if self.request.details else b""

    def answer(self) -> Written:
        """Return the answer, once it is finished."""
        stream = self.stream
        batch = Batch(
            self._names, stream.seed, stream.offset, stream.attempts, stream.complete, stream.refused, stream.characters
        )
        names = self._names
        if self.request.judged:
            order = in_order(self.request, [log_prob for log_prob, _ in self._judgements])
            if self.request.details:
                bare = answer_of(self.request, self.source, batch, [])
                return written_details(bare, [self._judgements[i][1] for i in order])
            names = [names[i] for i in order]
        names = capitalize_all(names) if self.request.case == "title" else names
        return written(answer_of(self.request, self.source, batch, names))

    def _keep(self, codes: Codes, lengths: Codes, limit: int) -> tuple[list[str], int, int]:
        names: list[str] = []
        looked = 0
        for text in self.source.generator.texts(codes, lengths):
            if len(names) == limit:
                break
            looked += 1
            if text is not None:
                names.append(text)
        return names, len(names), looked
