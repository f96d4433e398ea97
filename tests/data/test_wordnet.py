"""Tests of `data.building.wordnet` and `.animals` on a small dictionary and a few common names made up here."""

from data.building.animals import relatives, taxonomy_animals, wordnet_animals
from data.building.wordnet import animals_under, parse_nouns, parse_words

# offset, lexicographer's file, n, words in hexadecimal, words with sense numbers, pointers, gloss.
NOUNS = b"""  1 This line belongs to the licence.
00000001 05 n 01 chordate 0 003 @ 00000009 n 0000 ~ 00000002 n 0000 ~ 00000003 n 0000 | has a cord
00000002 05 n 03 otter 0 sea_otter 0 Lutra 0 002 @ 00000001 n 0000 ~ 00000005 n 0000 | swims; "~ 00000007 n 0000"
00000003 05 n 01 hominid 0 002 @ 00000001 n 0000 ~ 00000004 n 0000 | walks
00000004 05 n 01 man 0 001 @ 00000003 n 0000 | thinks
00000005 05 n 02 pup 0 x-ray 0 002 @ 00000002 n 0000 ~ 00000006 n 0000 | small
00000006 18 n 01 chordateplayer 0 001 ~ 00000007 n 0000 | a person, no animal
00000007 05 n 01 rock 0 001 @ 00000006 n 0000 | under no heading of its own
00000008 05 n 02 young 0 offspring 0 001 ~ 00000005 n 0000 | of any kind
00000009 05 n 01 animal 0 001 ~ 00000001 n 0000 | above the headings
"""


def test_hyponyms_stay_among_the_animals() -> None:
    """A heading gives itself and what is under it, without nouns of another kind, what is under those, or glosses."""
    assert animals_under(parse_nouns(NOUNS), ["chordate"]) == {f"0000000{n}" for n in (1, 2, 3, 4, 5)}


def test_wordnet_animals_are_plain_words_and_no_people() -> None:
    """Capitals, underscores, hyphens, people and words for any young one are left out."""
    assert wordnet_animals(parse_nouns(NOUNS)) == {"chordate", "otter", "pup"}


def test_words_are_read_from_every_index() -> None:
    """The first field of each entry counts, the licence does not."""
    assert parse_words([b"  1 licence\notter n 1 2\n", b"run v 3\n"]) == {"otter", "run"}


def test_common_names_give_single_words_and_repeated_heads() -> None:
    """A one-word name counts once, a last word from two distinct names on; known, Latin, plural, short ones do not."""
    names = [
        *("kaka", "kaka", "ou", "run", "arapaima", "constellationfish", "l'hoest"),
        *("green treefrog", "red treefrog", "odd glassfish", "odd glassfish", "big runs", "red run", "old run"),
        *("sun treefrogs", "moon treefrogs", "red seabass", "blue seabass"),
    ]
    found = taxonomy_animals(names, words={"run", "big"}, latin={"arapaima"})
    assert found == {"kaka", "treefrog", "seabass"}


def test_relatives_are_like_animals_and_none_of_them() -> None:
    """Nouns, the words of common names and every other Latin name in order, of plain letters and fitting length; no
    animal of the list.
    """
    words = relatives(
        nouns=["table", "fox", "new_york", "ox", "word" * 5],
        names=["red-tailed fox", "o'brien's kite", "treefrog"],
        latin=["canis", "alopex", "bufo", "zeus"],
        animals=["fox", "kite"],
    )
    assert words == {"table", "red", "tailed", "brien", "treefrog", "alopex", "canis"}
