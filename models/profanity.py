"""The profanity filter behind `safe`: words of a package, of the operator, and those that a list of names exempts.

The words are the files of badwords-py, whose code is never imported. A listed word is rejected as one or several whole
words of a name ("big-foot" for bigfoot), and from some length on inside a longer word: in English from 4 letters, in
other languages, whose lists are less careful, from 7. English words inside many harmless names (words/whole_words.txt)
count as whole words only; harmless names with a listed word (words/allowlist.txt) pass. Case, accents and endings do
not matter.

Each list of names exempts words: those inside several of its names pass inside the names of its models, never as whole
words. No list exempts slurs (words/never.txt) and the operator's words.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from itertools import accumulate, islice
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from models.errors import ConfigError
from models.inference import ListedNames, NameGenerator
from models.inference.keyword_filter import LONGEST, Automaton, Keywords, find, fold
from models.spelling import normalize
from models.vocabulary import Vocabulary

PACKAGE = "badwords-py"
ENGLISH = "en"
# Least letters of a word that is found inside a longer one: English, other languages.
INSIDE, INSIDE_OTHERS = 4, 7
# A list exempts a word that is inside this many of its names, and inside one of this many.
MIN_NAMES, MAX_RARITY = 2, 20_000
OWN = Path(__file__).with_name("words")
# Separators within an entry; entries with other signs are disguised words, which no name is.
_BETWEEN = re.compile(r"[ .'’-]")
# Automata that are cached, by alphabet and by alphabet and exempted words.
_CACHE_SIZE = 64
# Names that are searched at a time, in some megabytes.
_CHUNK = 8192


class WordListError(ConfigError):
    """A word list that cannot be read, or has an invalid entry."""


@dataclass(frozen=True)
class Refusals:
    """Which of `total` names are refused, and because of which words: the shortest, where one is in another."""

    total: int
    words: dict[str, tuple[str, ...]]

    @property
    def share(self) -> float:
        """The share of refused names."""
        return len(self.words) / max(self.total, 1)

    def counts(self) -> list[tuple[str, int]]:
        """Return how many names each word refuses, the most first."""
        counts = Counter(word for words in self.words.values() for word in words)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


class ProfanityFilter:
    """The words that `safe` rejects. Safe to share between threads.

    `never`: words that no list exempts, nor a word that holds one. `kernel` is `find`, compiled; as plain Python it is
    slow. `digest` identifies words and rules: answers under different digests may differ.
    """

    def __init__(
        self, keywords: Keywords, kernel: Callable[..., None] = find, never: frozenset[str] = frozenset()
    ) -> None:
        self.keywords, self.never = keywords, never
        self.digest = hashlib.sha256(_canonical(keywords, never)).hexdigest()
        self._kernel = kernel
        self._base = lru_cache(_CACHE_SIZE)(self._build)
        self._automaton = lru_cache(_CACHE_SIZE)(self._only_whole)
        # Lists go when their versions go.
        self._exempted = WeakKeyDictionary[ListedNames, frozenset[str]]()

    @classmethod
    def load(
        cls, kernel: Callable[..., None] = find, unsafe_words: Path | None = None, safe_words: Path | None = None
    ) -> "ProfanityFilter":
        """Return the words of the package and of the operator's two files. Raises `WordListError`."""
        added = read_words(unsafe_words, "unsafe_words")
        allowed = read_words(safe_words, "safe_words")
        return cls(extend(shipped(), added, allowed), kernel, never_exempt() | added)

    def automaton(self, generator: NameGenerator) -> Automaton:
        """Return the automaton for the names of this generator. The first for a list takes tenths of a second."""
        characters = generator.vocabulary.characters
        return self._automaton(characters, frozenset().union(*map(self._of, generator.lists)))

    def _of(self, names: ListedNames) -> frozenset[str]:
        """Return what a list exempts."""
        found = self._exempted.get(names)
        if found is None:
            # Its letters, because the characters of a model may be grapheme clusters.
            letters = tuple(sorted(names.measures[2]))
            found = self._exempted[names] = self._exempted_by(names, self._base(letters))
        return found

    def _build(self, characters: tuple[str, ...]) -> Automaton:
        return Automaton(self.keywords, Vocabulary(characters), self._kernel)

    def _only_whole(self, characters: tuple[str, ...], words: frozenset[str]) -> Automaton:
        words &= self.keywords.inside
        return self._base(characters).only_whole(words) if words else self._base(characters)

    def exempted(self, names: Collection[str]) -> frozenset[str]:
        """Return the words that this list of names exempts."""
        return self._exempted_by(names, self._base(Vocabulary.of(names).characters))

    def _exempted_by(self, names: Iterable[str], automaton: Automaton) -> frozenset[str]:
        counts, total = Counter[str](), 0
        for chunk in _chunks(names):
            total += len(chunk)
            for name in _marked(chunk, automaton):
                counts.update(occurrences(name, self.keywords)[1])
        least = max(MIN_NAMES, math.ceil(total / MAX_RARITY))
        often = {word for word, n in counts.items() if n >= least}
        return frozenset(word for word in often if not any(each in word for each in self.never))

    def check(self, names: Collection[str], exempted: frozenset[str] | None = None) -> Refusals:
        """Return which names are refused and why. `exempted`: by their list, by default the names themselves."""
        if exempted is None:
            exempted = self.exempted(names)
        automaton = self._automaton(Vocabulary.of(names).characters, exempted)
        words = {}
        for chunk in _chunks(names):
            for name in _marked(chunk, automaton):
                whole, inside = occurrences(name, self.keywords)
                reasons = whole | inside - exempted
                words[name] = tuple(sorted(w for w in reasons if not any(o in w for o in reasons if o != w)))
        return Refusals(len(names), words)

    def refuses(self, text: str) -> bool:
        """Return whether a text is rejected where no list exempts a word; far slower than `automaton`."""
        name = normalize(text)
        return bool(name) and bool(_marked([name], Automaton(self.keywords, Vocabulary.of([name]), find)))


def occurrences(name: str, keywords: Keywords) -> tuple[set[str], set[str]]:
    """Return the keywords that fill words of a name, and those only inside them, as `find` sees them but by text."""
    words = fold(name).split()
    letters, whole, inside = "".join(words), set[str](), set[str]()
    if letters in keywords.excepted:
        return whole, inside
    ends = list(accumulate(map(len, words)))
    starts = [0, *ends[:-1]]
    # The word that each letter is in.
    places = [place for place, word in enumerate(words) for _ in word]
    for start, end in ((i, j) for i in range(len(letters)) for j in range(i + 2, min(len(letters), i + LONGEST) + 1)):
        text = letters[start:end]
        first, last = places[start], places[end - 1]
        if text not in keywords.whole or (first == last and words[first] in keywords.excepted):
            continue
        if start in starts and end in ends:
            whole.add(text)
        elif text in keywords.inside and (first == last or start in starts):
            inside.add(text)
    return whole, inside


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    names = iter(names)
    while chunk := list(islice(names, _CHUNK)):
        yield chunk


def _marked(names: Sequence[str], automaton: Automaton) -> list[str]:
    """Return the names that hold a keyword."""
    lengths = np.fromiter(map(len, names), np.int32, len(names))
    letters = np.frombuffer("".join(names).encode("utf-32-le"), np.uint32)
    known = automaton.vocabulary.code_points
    index = np.zeros(known.max() + 1, np.int32)
    index[known] = np.arange(len(known))
    codes = np.zeros((len(names), lengths.max()), np.int32)
    codes[np.arange(codes.shape[1]) < lengths[:, None]] = index[letters]
    return [names[i] for i in automaton.mark(codes, lengths).nonzero()[0].tolist()]


@cache
def shipped() -> Keywords:
    """Return the package's words by the rules above.

    Raises `WordListError` if the package is missing.
    """
    lists = listed()
    english, whole = lists[ENGLISH], frozenset[str]().union(*lists.values())
    inside = {word for word in english if len(word) >= INSIDE}
    inside |= {word for word in whole - english if len(word) >= INSIDE_OTHERS}
    inside -= read_words(OWN / "whole_words.txt", "whole_words")
    allowlist = read_words(OWN / "allowlist.txt", "allowlist")
    return Keywords(whole, frozenset(inside | (never_exempt() & whole)), allowlist)


def never_exempt() -> frozenset[str]:
    """Return the words of the project that no list exempts."""
    return read_words(OWN / "never.txt", "never")


def extend(keywords: Keywords, added: frozenset[str], allowed: frozenset[str]) -> Keywords:
    """Return the keywords with an operator's own.

    `added` are rejected even inside an allowed name; `allowed` are names, or words of names, that always pass.
    """
    inside = frozenset(word for word in added if len(word) >= INSIDE)
    kept = {name for name in keywords.excepted if name not in added and not any(word in name for word in inside)}
    return Keywords(keywords.whole | added, keywords.inside | inside, frozenset(kept | allowed))


def letters_of(entry: str) -> str:
    """Return the folded letters of an entry, or "" if it cannot be searched for."""
    text = fold(_BETWEEN.sub("", entry.strip()))
    return text if " " not in text and 2 <= len(text) <= LONGEST else ""


def listed() -> dict[str, frozenset[str]]:
    """Return the package's words, folded, by language. Raises `WordListError`."""
    lists = {path.stem: path.read_text("utf-8").splitlines() for path in _package_files()}
    return {language: frozenset(filter(None, map(letters_of, lines))) for language, lines in lists.items()}


def _package_files() -> list[Path]:
    try:
        folder = Path(str(distribution(PACKAGE).locate_file("badwords/resource/words")))
    except PackageNotFoundError:
        raise WordListError(f"The package {PACKAGE} with the words is not installed: install it.") from None
    files = sorted(folder.glob("*.txt"))
    if ENGLISH not in {path.stem for path in files}:
        raise WordListError(f"The package {PACKAGE} has no list {folder / ENGLISH}.txt: install the pinned version.")
    return files


def read_words(path: Path | None, setting: str) -> frozenset[str]:
    """Return the words of a text file: one on each line, comments start with #. Raises `WordListError`."""
    if path is None:
        return frozenset()
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WordListError(
            f"NAMEWAVE_{setting.upper()} is {path}, which cannot be read ({reason}). "
            "Give a UTF-8 text file with one word a line; lines that start with # are comments.",
            field=setting,
        ) from None
    words = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word = letters_of(line)
        if not word:
            raise WordListError(
                f"Line {number} of {path} (NAMEWAVE_{setting.upper()}) is {line.strip()!r}. Allowed are 2 to {LONGEST} "
                "letters or digits, with spaces, hyphens, apostrophes and full stops between them.",
                field=setting,
            )
        words.add(word)
    return frozenset(words)


def _canonical(keywords: Keywords, never: frozenset[str]) -> bytes:
    sets = (keywords.whole, keywords.inside, keywords.excepted, never, (f"{MIN_NAMES} {MAX_RARITY}",))
    return "\0\0".join("\0".join(sorted(words)) for words in sets).encode()
