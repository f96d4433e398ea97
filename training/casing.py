"""Find how a list spells its names: a casing table of words and patterns, measured on held-out names.

A pattern is how words begin and go on, such as `mc*` and `Mc^`. It is kept where most words of the list that
begin so are spelled so, and enough of them would be wrong without it. Words that the patterns get wrong have entries.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.casing import CAPITAL, CAPITALS, FIRST, SMALL, Casing, small
from models.spelling import WORD, capitalize, title

# Words that a pattern needs at least, the share of them that it must spell right, and how many more than without it.
SUPPORT, PRECISION, GAIN = 3, 2 / 3, 2
# The longest start of words that is a pattern, in letters.
LONGEST_PATTERN = 7
# Distinct words that stand behind others, from which these have a default of their own.
LATER_WORDS = 20
FOLDS, SEED = 5, 1


def _roman(number: int) -> str:
    digits = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
    text = ""
    for value, letters in digits:
        repeats, number = divmod(number, value)
        text += letters * repeats
    return text


# Roman numerals, which are known where the list has some of them in capitals.
NUMERALS, LISTED_NUMERALS = tuple(_roman(number) for number in range(2, 40)), 2


@dataclass(frozen=True)
class _Words:
    """The most frequent spelling of each word, at the start of names (`first`), behind other words, and anywhere."""

    first: Mapping[str, str]
    later: Mapping[str, str]
    anywhere: Mapping[str, str]

    @classmethod
    def of(cls, names: Sequence[str], spelled: Sequence[str], locale: str) -> "_Words":
        counts = [defaultdict[str, Counter[str]](Counter) for _ in range(3)]
        for name, text in zip(names, spelled, strict=True):
            for i, match in enumerate(WORD.finditer(name)):
                word, part = match[0], text[slice(*match.span())]
                if len(part) == len(word) and small(part, locale) == small(word, locale):
                    counts[i > 0][word][part] += 1
                    counts[2][word][part] += 1
        return cls(*({word: found.most_common(1)[0][0] for word, found in each.items()} for each in counts))


def learn_casing(names: Sequence[str], spelled: Sequence[str], locale: str = "") -> dict[str, str]:
    """Return the entries of the casing table of a list; {} where names in title case are spelled as in the list.

    `names` in lower case; `spelled`: the spelling of each, with the same letters; empty for title case.
    """
    spelled = spelled or [title(name, locale) for name in names]
    if all(capitalize(name) == text for name, text in zip(names, spelled, strict=True)):
        return {}
    words = _Words.of(names, spelled, locale)
    entries = {SMALL: _default(words.later if len(words.later) >= LATER_WORDS else words.anywhere, locale)}
    if (first := _default(words.first, locale)) != entries[SMALL] and len(words.later) >= LATER_WORDS:
        entries[FIRST + SMALL] = first
    entries = _with_patterns(words, entries, locale)
    entries |= _exceptions(words, Casing(entries, locale))
    return entries | _numerals(words, entries)


def _default(words: Mapping[str, str], locale: str) -> str:
    """Return how most words are spelled; the first of equals."""
    right = {
        rest: sum(Casing({SMALL: rest}, locale).word(word, False) == text for word, text in words.items())
        for rest in (CAPITAL, SMALL, CAPITALS)
    }
    return max(right, key=right.__getitem__)


def _with_patterns(words: _Words, entries: Mapping[str, str], locale: str) -> dict[str, str]:
    """Return the entries with patterns, shorter ones first: a longer one must do better than those before it."""
    entries = dict(entries)
    # A numeral is no pattern: vi, vii and viii do not make a Victor.
    learned = {word: text for word, text in words.anywhere.items() if not (word in NUMERALS and text.isupper())}
    for length in range(1, LONGEST_PATTERN + 1):
        now = Casing(entries, locale)
        right = {word: now.word(word, word not in words.later) == text for word, text in learned.items()}
        groups: dict[str, list[str]] = {word[:length]: [] for word, is_right in right.items() if not is_right}
        for word in learned:
            if word[:length] in groups:
                groups[word[:length]].append(word)
        for start, members in groups.items():
            if len(members) < SUPPORT:
                continue
            spellings = Counter(_pattern(word, learned[word], length, now) for word in members)
            del spellings[""]
            for spelling, _ in spellings.most_common(1):
                then = Casing({start + SMALL: spelling}, locale)
                spelled = [word for word in members if then.word(word, False) == learned[word]]
                needed = max(SUPPORT, PRECISION * len(members), sum(right[word] for word in members) + GAIN)
                # Where only words with the same next letter are spelled so, a longer pattern fits them better.
                is_vague = len(spelled) < len(members) and len({word[: length + 1] for word in spelled}) == 1
                if len(spelled) >= needed and not is_vague:
                    entries[start + SMALL] = spelling
    return entries


def _pattern(word: str, text: str, length: int, casing: Casing) -> str:
    """Return how a pattern of the first letters would be spelled after this word, or "" for one without a capital.

    Small words such as `van` and `von` make no pattern of all that begin so.
    """
    for rest in (SMALL, CAPITAL):
        has_capital = rest == CAPITAL or text[:length] != word[:length]
        if has_capital and len(word) > length and casing.rest(word[length:], rest) == text[length:]:
            return text[:length] + rest
    return ""


def _exceptions(words: _Words, casing: Casing) -> dict[str, str]:
    """Return entries for the words that are spelled otherwise than by defaults and patterns."""
    entries = dict[str, str]()
    for word in words.anywhere:
        later, first = words.later.get(word), words.first.get(word)
        at_first = casing.word(word, True)
        if (later or first) != (casing.word(word, False) if later else at_first):
            entries[word] = at_first = later or words.first[word]
        if first and first != at_first:
            entries[FIRST + word] = first
    return entries


def _numerals(words: _Words, entries: Mapping[str, str]) -> dict[str, str]:
    """Return entries for Roman numerals that the list does not have, if it has some in capitals."""
    if sum(entries.get(numeral) == numeral.upper() for numeral in NUMERALS) < LISTED_NUMERALS:
        return {}
    return {numeral: numeral.upper() for numeral in NUMERALS if len(numeral) > 1 and numeral not in words.anywhere}


def casing_file(entries: Mapping[str, str]) -> bytes:
    """Return the contents of `casing.txt`."""
    return "".join(f"{key}\t{spelling}\n" for key, spelling in entries.items()).encode()


@dataclass
class Figures:
    """How many held-out names, and words that the other names do not have, are spelled as in the list."""

    names: int = 0
    titled_names: int = 0
    listed_names: int = 0
    words: int = 0
    titled_words: int = 0
    listed_words: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    entries: Mapping[str, str] = field(default_factory=dict)


def measure_casing(names: Sequence[str], spelled: Sequence[str], locale: str = "", folds: int = FOLDS) -> Figures:
    """Spell each name with what the other folds of the list show, and compare it with the list."""
    spelled = spelled or [title(name, locale) for name in names]
    order = list(range(len(names)))
    random.Random(SEED).shuffle(order)
    figures = Figures(entries=learn_casing(names, spelled, locale))
    for fold in range(folds):
        held_out = set(order[fold::folds])
        rest = [i for i in range(len(names)) if i not in held_out]
        _measure_fold(figures, names, spelled, locale, rest, sorted(held_out))
    return figures


def _measure_fold(
    figures: Figures,
    names: Sequence[str],
    spelled: Sequence[str],
    locale: str,
    rest: Sequence[int],
    held_out: Sequence[int],
) -> None:
    casing = Casing(learn_casing([names[i] for i in rest], [spelled[i] for i in rest], locale), locale)
    known = {word[0] for i in rest for word in WORD.finditer(names[i])}
    for i in held_out:
        found, titled = casing.spell(names[i]), title(names[i], locale)
        figures.names += 1
        figures.titled_names += titled == spelled[i]
        figures.listed_names += found == spelled[i]
        if found != spelled[i]:
            figures.wrong.append((spelled[i], found))
        for word in WORD.finditer(names[i]):
            if word[0] not in known:
                place = slice(*word.span())
                figures.words += 1
                figures.titled_words += titled[place] == spelled[i][place]
                figures.listed_words += found[place] == spelled[i][place]
