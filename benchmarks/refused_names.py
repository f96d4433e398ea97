"""Share of names that the profanity filter refuses, of lists that are known and of held-out names.

Held out is a fifth of a list at a time: the other four fifths exempt words, so that each name is judged by others.
"""

import importlib
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from data import CATALOG, find, load_names
from models import prepare
from models.profanity import ProfanityFilter, Refusals
from models.spelling import normalize

FOLDS, SEED = 5, 1
SHOWN = 5


@click.command()
@click.argument("lists", nargs=-1, required=True)
def main(lists: tuple[str, ...]) -> None:
    """Print a row for each of LISTS: a data set, a file, or a locale of Faker, a package to be installed beside."""
    profanity = ProfanityFilter.load(prepare().find)
    print("| list | names | no list known | list known | held out | words, with held-out names |")
    print("|---|---|---|---|---|---|")
    for given in lists:
        names = read(given)
        held_out = cross_check(profanity, names)
        words = ", ".join(f"{word} {n}" for word, n in held_out.counts()[:SHOWN])
        checks = profanity.check(names, frozenset()), profanity.check(names), held_out
        shares = " | ".join(f"{check.share:.2%}" for check in checks)
        print(f"| {given} | {len(names):,} | {shares} | {words} |", flush=True)


def read(given: str) -> tuple[str, ...]:
    """Return the distinct names of a data set, a file or a locale of Faker."""
    if given in CATALOG:
        entry = find(given)
        return load_names(entry.file, entry.placeholders, entry.reading).names
    if Path(given).exists():
        return load_names(Path(given)).names
    provider = importlib.import_module(f"faker.providers.person.{given}").Provider
    fields = [field for field in dir(provider) if field.startswith(("first_name", "last_name"))]
    texts = [text for field in fields for text in _texts(getattr(provider, field))]
    return tuple(sorted({normalize(text) for text in texts} - {""}))


def _texts(value: object) -> Iterator[str]:
    """Yield the names of a field of Faker: text, or a map from it to weights, or a collection of both."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value
    elif isinstance(value, Iterable):
        for each in value:
            yield from _texts(each)


def cross_check(profanity: ProfanityFilter, names: tuple[str, ...]) -> Refusals:
    """Return which names are refused where each is judged by four fifths of the list that do not have it."""
    shuffled = random.Random(SEED).sample(names, len(names))
    words = dict[str, tuple[str, ...]]()
    for fold in range(FOLDS):
        others = [name for i, name in enumerate(shuffled) if i % FOLDS != fold]
        words |= profanity.check(shuffled[fold::FOLDS], profanity.exempted(others)).words
    return Refusals(len(names), words)


if __name__ == "__main__":
    main()
