"""Lists that the tests of the reader share: thirty names, lines of them, and what the reader finds in a text."""

from data import ReadOptions, read_names

STARTS, ENDS = ("Ba", "De", "Fi", "Go", "Lu", "Ma"), ("ran", "lin", "mor", "tess", "vik")
NAMES = [start + end for start in STARTS for end in ENDS]
FOLDED = tuple(name.lower() for name in NAMES)


def lines(form: str, names: list[str] = NAMES) -> str:
    """Each name in `form`, which has places for the name, its number `i` and a letter `g`."""
    return "".join(form.format(name=name, i=i, g="FM"[i % 2]) + "\n" for i, name in enumerate(names, start=1))


def on_lines(separator: str, count: int, form: str = "{}") -> str:
    """The names, `count` on each line in `form`."""
    return "".join(form.format(separator.join(NAMES[i : i + count])) + "\n" for i in range(0, len(NAMES), count))


def read(content: str | bytes, **options: object) -> tuple[tuple[str, ...], str]:
    """The names in `content`, and what it is taken for."""
    raw = content if isinstance(content, bytes) else content.encode()
    found = read_names(raw, "list.txt", options=ReadOptions(**options))  # type: ignore[arg-type]
    return found.names, found.shape
