"""What a stream says, from its bytes: head, names, end. No I/O, so that the sync and the async stream share it."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from namewave_client.errors import StreamBroken, StreamNotThere, UnreadableAnswer
from namewave_client.reading import Record, parsed

Item = TypeVar("Item")
# Bytes; a name with all its details is far shorter. What has no end must not fill the memory.
LONGEST_LINE = 1_048_576


@dataclass(frozen=True)
class StreamHead:
    """Where a stream's names come from: the data set (a blend as a link writes it), the concrete model, the seed and
    the first candidate.
    """

    dataset: str
    model: str
    seed: int
    offset: int

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self:
        """Return what the headers say. Raises `UnreadableAnswer`."""
        try:
            seed, offset = int(headers["namewave-seed"]), int(headers["namewave-offset"])
            return cls(headers.get("namewave-dataset", ""), headers["namewave-model"], seed, offset)
        except (KeyError, ValueError):
            raise UnreadableAnswer("The stream's headers do not tell model, seed and offset.") from None


@dataclass(frozen=True)
class StreamEnd:
    """How a stream ended: see `Batch`, whose fields these are."""

    complete: bool
    attempts: int
    next_offset: int
    acceptance_rate: float
    refused: Mapping[str, int]

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the last line says. Raises `UnreadableAnswer`."""
        return cls(
            complete=record.flag("complete"),
            attempts=record.whole("attempts"),
            next_offset=record.whole("next_offset"),
            acceptance_rate=record.number("acceptance_rate", 0.0),
            refused=record.counts("refused"),
        )


class LineParser(Generic[Item]):
    """The lines of one stream. Holds the names of one piece at most."""

    def __init__(self, read: Callable[[Record], Item]) -> None:
        self.waiting: deque[Item] = deque()
        self.received = 0
        self._read, self._rest = read, b""
        self._head: StreamHead | None = None
        self._end: StreamEnd | None = None

    @property
    def head(self) -> StreamHead:
        """What the headers said. Raises `StreamNotThere` before they came."""
        if self._head is None:
            raise StreamNotThere("The stream has not begun: its head comes with the first name.")
        return self._head

    @property
    def end(self) -> StreamEnd:
        """What the last line said. Raises `StreamNotThere` before it came."""
        if self._end is None:
            raise StreamNotThere("The stream has not ended: its end comes after the last name.")
        return self._end

    @property
    def ended(self) -> bool:
        """Whether the last line came."""
        return self._end is not None

    def begin(self, headers: Mapping[str, str]) -> None:
        """Take the headers."""
        self._head = StreamHead.read(headers)

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body. Raises `UnreadableAnswer`."""
        # Not str.splitlines: a name may hold a character that it takes for the end of a line.
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise UnreadableAnswer(f"A line of the stream is longer than {LONGEST_LINE} bytes.")
        for line in lines:
            self._take(line)

    def check_whole(self, error: Exception | None) -> None:
        """Raise `StreamBroken` where the body is over, by an error or without one, and the last line has not come.

        Which candidate came last cannot be told from the names: refused ones leave no trace before the end record. So
        the way on is the same request, whose first names are those that came.
        """
        if self.ended:
            return
        why = (str(error) or type(error).__name__).rstrip(".") if error else "it has no end record"
        head, count = self.head, self.received
        message = f"The stream broke after {count} names: {why}. They are good. To go on, ask for the same again with "
        message += f"seed={head.seed}, offset={head.offset} and model={head.model!r}, and pass over the first {count}."
        raise StreamBroken(message, count) from error

    def check_over(self) -> None:
        """Raise `StreamNotThere` where the stream was closed before its end."""
        if not self.ended:
            raise StreamNotThere("The stream was closed before its end.")

    def _take(self, line: bytes) -> None:
        record = Record(parsed(line, "a line of the stream"), "a line of the stream")
        if self._end is not None:
            raise UnreadableAnswer("The stream goes on after its end.")
        if "end" in record:
            self._end = StreamEnd.read(record.record("end"))
        else:
            self.waiting.append(self._read(record))
            self.received += 1


def name_of(record: Record) -> str:
    """Return the name of a line without details."""
    return record.text("name")
