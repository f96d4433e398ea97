"""What stands before a list or behind it: comments, a licence, code, and the frames of marked up lists."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from data.structures import structures_of
from data.tables import SOME, Line

_COMMENT = re.compile(r"#|//")
# The line in which Excel keeps the separator.
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
# Lines before a list, and lines of the list that must follow them.
_MOST_PREAMBLE, _LEAST_LIST = 10, 20
# Signs of a title, a date, an address or a licence.
_NO_NAME = frozenset("0123456789@:/=_<>|\\*#%&!?©")
# Signs of code and markup, and the fence of a block of code.
_CODE, _FENCE = frozenset("<>={}[]\\|;*"), "```"
# Lines at which the structures of a list are seen.
_SAMPLE = 200


def without_edges(lines: Sequence[Line], filled: Sequence[Line]) -> tuple[list[Line], Counter[str]]:
    """Return the list itself, of the `filled` ones among all `lines`, and how many lines were dropped for what."""
    dropped = Counter[str]()
    if filled and _SEPARATOR_LINE.fullmatch(filled[0].text):
        filled, dropped = filled[1:], Counter({"preamble": 1})
    filled, comments = _without_comments(filled)
    filled, preamble = _without_preamble(lines, filled)
    filled, frame = _without_frame(filled)
    return filled, dropped + comments + preamble + frame


def _without_comments(lines: Sequence[Line]) -> tuple[list[Line], Counter[str]]:
    """Return the lines without comments. Where many lines begin with the sign of a comment, none is one."""
    comments = [line for line in lines if _COMMENT.match(line.text)]
    if len(comments) >= SOME * len(lines):
        return list(lines), Counter()
    return [line for line in lines if not _COMMENT.match(line.text)], Counter({"comment": len(comments)})


def _without_preamble(lines: Sequence[Line], filled: Sequence[Line]) -> tuple[list[Line], Counter[str]]:
    """Return the lines behind a first paragraph that is unlike names: each of its lines has a sign of `_NO_NAME` that
    the others lack, or more words than any of them.
    """
    first_empty = next((line.number for line in lines[1 : _MOST_PREAMBLE + 1] if not line.text.strip()), None)
    if first_empty is None:
        return list(filled), Counter()
    head = [line for line in filled if line.number < first_empty]
    rest = [line for line in filled if line.number > first_empty]
    # Where many lines are empty, the first of them ends no paragraph.
    if not head or len(rest) < _LEAST_LIST or len(lines) - len(filled) > len(rest) // 4:
        return list(filled), Counter()
    signs = _NO_NAME - set("".join(line.text for line in rest))
    words = max(len(line.text.split()) for line in rest)
    if all(signs & set(line.text) or len(line.text.split()) > words for line in head):
        return rest, Counter({"preamble": len(head)})
    return list(filled), Counter()


def _without_frame(lines: Sequence[Line]) -> tuple[list[Line], Counter[str]]:
    """Return the lines without those of code and markup at either end that lack the structure of the others."""
    if not lines or not (_is_code(lines[0].text) or _is_code(lines[-1].text)):
        return list(lines), Counter()
    quarter = len(lines) // 4
    middle = lines[quarter : len(lines) - quarter]
    structures = structures_of(middle[:: len(middle) // _SAMPLE + 1])

    def is_frame(text: str) -> bool:
        if text.startswith(_FENCE):
            return True
        is_odd = not _has_letters(text) or not all(has(text) for has in structures)
        return bool(structures) and _is_code(text) and is_odd

    most = min(_MOST_PREAMBLE, quarter)
    before, behind = _leading(is_frame, lines[:most]), _leading(is_frame, lines[: len(lines) - most - 1 : -1])
    counts = Counter({"preamble": before, "behind": behind})
    return list(lines[before : len(lines) - behind]), counts


def _is_code(text: str) -> bool:
    """Return whether a line has signs that no name has, or no letter at all."""
    return not _CODE.isdisjoint(text) or text.endswith("(") or not _has_letters(text)


def _has_letters(text: str) -> bool:
    return any(map(str.isalnum, text))


def _leading(is_frame: Callable[[str], bool], lines: Iterable[Line]) -> int:
    """Return how many of the first lines are part of a frame."""
    count = 0
    for line in lines:
        if not is_frame(line.text):
            break
        count += 1
    return count
