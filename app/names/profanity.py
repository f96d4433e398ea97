"""The profanity filter behind `safe`: a package's words, the operator's, and an allowlist.

The words are the files of badwords-py, whose code is never imported. A listed word is rejected as one or several whole
words of a name ("big-foot" for bigfoot), and from some length on inside a longer word: in English from 4 letters, in
other languages, whose lists are less careful, from 6. English words inside many harmless names (words/whole_words.txt)
count as whole words only; harmless names with a listed word (words/allowlist.txt) pass. Case, accents and endings do
not matter.
"""

import hashlib
import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from app.settings import Settings
from models.errors import ConfigError
from models.inference.keyword_filter import LONGEST, Automaton, Keywords, find, fold
from models.spelling import normalize
from models.vocabulary import Vocabulary

PACKAGE = "badwords-py"
ENGLISH = "en"
# Least letters of a word that is found inside a longer one: English, other languages.
INSIDE, INSIDE_OTHERS = 4, 6
OWN = Path(__file__).with_name("words")
# Separators within an entry; entries with other signs are disguised words, which no name is.
_BETWEEN = re.compile(r"[ .'’-]")
# Vocabularies whose automaton is cached; models of one list share theirs.
_CACHE_SIZE = 64


class WordListError(ConfigError):
    """A word list that cannot be read, or has an invalid entry."""


class ProfanityFilter:
    """The words that `safe` rejects. Safe to share between threads.

    `kernel` is `find`, compiled; as plain Python it is slow. `digest` identifies the words: answers under different
    digests may differ.
    """

    def __init__(self, keywords: Keywords, kernel: Callable[..., None] = find) -> None:
        self.keywords = keywords
        self.digest = hashlib.sha256(_canonical(keywords)).hexdigest()
        self._kernel = kernel
        self._automaton = lru_cache(_CACHE_SIZE)(self._build)

    @classmethod
    def load(cls, settings: Settings, kernel: Callable[..., None] = find) -> "ProfanityFilter":
        """Return the words of the package and of the settings. Raises `WordListError`."""
        added = read_words(settings.unsafe_words, "unsafe_words")
        allowed = read_words(settings.safe_words, "safe_words")
        return cls(extend(shipped(), added, allowed), kernel)

    def automaton(self, vocabulary: Vocabulary) -> Automaton:
        """Return the automaton for names of this vocabulary, built once in some hundredths of a second."""
        return self._automaton(vocabulary.characters)

    def _build(self, characters: tuple[str, ...]) -> Automaton:
        return Automaton(self.keywords, Vocabulary(characters), self._kernel)

    def refuses(self, text: str) -> bool:
        """Return whether a text is rejected; far slower than `automaton`."""
        name = normalize(text)
        vocabulary = Vocabulary.of([name])
        codes = np.array([[*vocabulary.encode(name), 0]], np.int32)
        automaton = Automaton(self.keywords, vocabulary, find)
        return bool(automaton.mark(codes, np.array([len(name)], np.int32))[0])


@cache
def shipped() -> Keywords:
    """Return the package's words by the rules above.

    Raises `WordListError` if the package is missing.
    """
    lists = listed()
    english, others = lists[ENGLISH], set().union(*lists.values()) - lists[ENGLISH]
    inside = {word for word in english if len(word) >= INSIDE}
    inside |= {word for word in others if len(word) >= INSIDE_OTHERS}
    inside -= read_words(OWN / "whole_words.txt", "whole_words")
    allowlist = read_words(OWN / "allowlist.txt", "allowlist")
    heads = {word[:INSIDE] for word in inside}
    whole = frozenset(word for word in english | others if not _contains_another(word, inside, heads))
    return Keywords(whole, frozenset(inside & whole), allowlist)


def _contains_another(word: str, inside: set[str], heads: set[str]) -> bool:
    """Return whether a shorter word found inside others is in this one, which is then rejected anyway.

    `heads`: the first letters of such words, all that most positions are compared with.
    """
    n = len(word)
    starts = [i for i in range(n - INSIDE + 1) if word[i : i + INSIDE] in heads]
    return any(word[i : i + k] in inside for i in starts for k in range(INSIDE, min(n - i, n - 1) + 1))


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


def _canonical(keywords: Keywords) -> bytes:
    sets = (keywords.whole, keywords.inside, keywords.excepted)
    return "\0\0".join("\0".join(sorted(words)) for words in sets).encode()
