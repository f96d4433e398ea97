"""The parser of a stream: head, names and end. Shared by both clients; no I/O."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from namewave_client.errors import StreamBroken, StreamNotThere, UnreadableAnswer
from namewave_client.reading import JsonReader, parsed

Item = TypeVar("Item")
# Bytes; a name with details is far shorter. The limit keeps an endless line from filling the memory.
LONGEST_LINE = 1_048_576


@dataclass(frozen=True)
class StreamHead:
    """The source of a stream: data set, concrete model, seed and first candidate.

    A blend is written as in a link.
    """

    dataset: str
    model: str
    seed: int
    offset: int

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self:
        """Parse the headers. Raises `UnreadableAnswer`."""
        try:
            seed, offset = int(headers["namewave-seed"]), int(headers["namewave-offset"])
            return cls(headers.get("namewave-dataset", ""), headers["namewave-model"], seed, offset)
        except (KeyError, ValueError):
            raise UnreadableAnswer("The stream's headers lack model, seed or offset.") from None


@dataclass(frozen=True)
class StreamEnd:
    """The end record of a stream. `Batch` describes the fields."""

    complete: bool
    attempts: int
    next_offset: int
    acceptance_rate: float
    refused: Mapping[str, int]
    note: str | None = None

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Parse the end record. Raises `UnreadableAnswer`."""
        return cls(
            complete=record.flag("complete"),
            attempts=record.whole("attempts"),
            next_offset=record.whole("next_offset"),
            acceptance_rate=record.number("acceptance_rate", 0.0),
            refused=record.counts("refused"),
            note=record.maybe_text("note"),
        )


class LineParser(Generic[Item]):
    """Parses the lines of one stream. It holds at most the names of one chunk."""

    def __init__(self, read: Callable[[JsonReader], Item]) -> None:
        self.waiting: deque[Item] = deque()
        self.received = 0
        self._read, self._rest = read, b""
        self._head: StreamHead | None = None
        self._end: StreamEnd | None = None

    @property
    def head(self) -> StreamHead:
        """The head of the stream. Raises `StreamNotThere` before it has arrived."""
        if self._head is None:
            raise StreamNotThere("The stream has not begun: its head comes with the first name.")
        return self._head

    @property
    def end(self) -> StreamEnd:
        """The end of the stream. Raises `StreamNotThere` before it has arrived."""
        if self._end is None:
            raise StreamNotThere("The stream has not ended: its end comes after the last name.")
        return self._end

    @property
    def ended(self) -> bool:
        """Whether the end record has arrived."""
        return self._end is not None

    def begin(self, headers: Mapping[str, str]) -> None:
        """Read the headers."""
        self._head = StreamHead.read(headers)

    def feed(self, piece: bytes) -> None:
        """Read a chunk of the body. Raises `UnreadableAnswer`."""
        # Not str.splitlines: a name may contain a character that it treats as a line end.
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise UnreadableAnswer(f"A line of the stream is longer than {LONGEST_LINE} bytes.")
        for line in lines:
            self._take(line)

    def check_whole(self, error: Exception | None) -> None:
        """Raise `StreamBroken` if the body ended without an end record.

        The names do not show the last candidate, because refused candidates are counted in the end record only. To
        continue, send the same request and skip the names that have arrived.
        """
        if self.ended:
            return
        why = (str(error) or type(error).__name__).rstrip(".") if error else "it has no end record"
        head, count = self.head, self.received
        message = f"The stream broke after {count} names, which are valid: {why}. To continue, repeat the request with "
        message += f"seed={head.seed}, offset={head.offset} and model={head.model!r}, and skip the first {count} names."
        raise StreamBroken(message, count) from error

    def check_over(self) -> None:
        """Raise `StreamNotThere` if the stream was closed before its end."""
        if not self.ended:
            raise StreamNotThere("The stream was closed before its end.")

    def _take(self, line: bytes) -> None:
        record = JsonReader(parsed(line, "a line of the stream"), "a line of the stream")
        if self._end is not None:
            raise UnreadableAnswer("The stream continues after its end.")
        if "end" in record:
            self._end = StreamEnd.read(record.record("end"))
        else:
            self.waiting.append(self._read(record))
            self.received += 1


def name_of(record: JsonReader) -> str:
    """Return the name of a line without details."""
    return record.text("name")
