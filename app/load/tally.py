"""What admission counted, as plain numbers that others may export. No decisions."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts since the start, but for `active`. Changed on the event loop alone.

    `active`: requests now drawn in threads or waiting for that. `admitted`: how many ever were. `in_place`: small ones,
    drawn on the event loop. `refused`: by reason (see `admission`). `expired`: admitted, but not begun in time, and so
    never. `cut`: ended by the deadline. `abandoned`: ended by clients that left. `longest_wait`: most seconds between
    coming and beginning. `drawn_seconds`: of work in threads.
    """

    active: int = 0
    admitted: int = 0
    in_place: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    expired: int = 0
    cut: int = 0
    abandoned: int = 0
    longest_wait: float = 0.0
    drawn_seconds: float = 0.0
