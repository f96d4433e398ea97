"""What the lessons say in words about numbers that ship, measured again with numpy on the shipped files alone."""

import itertools
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from training.corpus import shipped_corpus
from training.lessons.pages import FOLDER

MLP = FOLDER.parents[1] / "models" / "artifacts" / "human" / "mlp" / "3" / "model.safetensors"


@pytest.fixture(scope="module")
def mlp() -> dict[str, NDArray[np.float64]]:
    """The arrays of human/mlp@3, by name."""
    return {name: array.astype(np.float64) for name, array in load_file(MLP).items()}


def words_of(page: str) -> str:
    """The words of a lesson in one line."""
    return " ".join(Path(FOLDER / page).read_text("utf-8").split())


def test_the_sum_of_the_biases_is_the_one_told(mlp: dict[str, NDArray[np.float64]]) -> None:
    """Lesson 4 tells what the last biases of human/mlp@3 add up to: not zero, for Adam trained them."""
    told = re.search(
        r"biases of `human/mlp@3`, which AdamW trained from zero, add up to (-?[\d.]+)\.",
        words_of("04-backprop-by-hand.md"),
    )
    assert told is not None
    assert mlp["output.bias"].sum() == pytest.approx(float(told[1]), abs=0.0005)


def test_vowels_lie_as_is_told(mlp: dict[str, NDArray[np.float64]]) -> None:
    """Lesson 2 tells the nearest letter of each vowel in all directions, and how far apart they are on average."""
    told = words_of("02-mlp.md")
    letters = "abcdefghijklmnopqrstuvwxyz"
    E = mlp["embedding.weight"][1:]  # (26, C), without the end token
    apart = np.sqrt(np.square(E[:, None] - E[None]).sum(2))  # (26, 26)
    nearest = {a: letters[np.where(apart[i] > 0, apart[i], np.inf).argmin()] for i, a in enumerate(letters)}
    pairs = re.findall(r"to `(\w)` it is `(\w)`|nearest to `(\w)` is `(\w)`", told)
    found = {first or third: second or fourth for first, second, third, fourth in pairs}
    assert set(found) == set("aeioy")
    assert all(nearest[a] == b for a, b in found.items())
    assert nearest["u"] == "x"
    to_end = np.sqrt(np.square(E - mlp["embedding.weight"][0]).sum(1))  # (26,)
    near_end = {a for a in "aeiouy" if to_end[letters.index(a)] < np.sort(apart[letters.index(a)])[1]}
    assert near_end == {"a", "e"}
    assert nearest["h"] != "v"
    assert nearest["v"] != "h"
    group = list(itertools.combinations([letters.index(a) for a in "aeiou"], 2))
    vowels = np.mean([apart[pair] for pair in group])
    others = np.mean([apart[letters.index(a), letters.index(b)] for a in "aeiou" for b in set(letters) - set("aeiou")])
    assert f"are {vowels:.2f} apart on average, a vowel and a consonant {others:.2f}." in told


def test_so_few_groups_of_letters_are_as_close(mlp: dict[str, NDArray[np.float64]]) -> None:
    """Lesson 2 tells how many groups of five letters lie as close together as the vowels: every group is measured."""
    E = mlp["embedding.weight"][1:]
    apart = np.sqrt(np.square(E[:, None] - E[None]).sum(2))
    groups = np.array(list(itertools.combinations(range(26), 5)))  # (65780, 5)
    within = apart[groups[:, :, None], groups[:, None, :]].sum((1, 2))
    vowels = within[(groups == [ord(a) - ord("a") for a in "aeiou"]).all(1)][0]
    share = np.mean(within <= vowels * (1 + 1e-12))
    assert f"Of all {len(groups):,} groups of five letters, {share:.1%} are as close" in words_of("02-mlp.md").replace(
        " %", "%"
    )


def test_the_map_hides_what_is_told(mlp: dict[str, NDArray[np.float64]]) -> None:
    """In the plane of the picture a lies upon r, h upon v and l is next to e, and it holds 30 % of the spread."""
    letters = ".abcdefghijklmnopqrstuvwxyz"
    centred = mlp["embedding.weight"] - mlp["embedding.weight"].mean(0)
    _, spreads, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T  # (27, 2)
    assert np.square(spreads[:2]).sum() / np.square(spreads).sum() == pytest.approx(0.30, abs=0.006)
    apart = np.sqrt(np.square(points[:, None] - points[None]).sum(2))
    np.fill_diagonal(apart, np.inf)
    nearest = {a: letters[apart[i].argmin()] for i, a in enumerate(letters)}
    assert [nearest[a] for a in "aehv"] == ["r", "l", "v", "h"]


def test_the_pairs_that_were_never_seen() -> None:
    """Lesson 1 names the pairs of the dev names that no train name has, and the names they stand in."""
    corpus = shipped_corpus("human", 42)
    seen = {pair for name in corpus.split.train for pair in pairwise(f".{name}.")}
    unseen = {name: set(pairwise(f".{name}.")) - seen for name in corpus.split.dev}
    told = words_of("01-bigram.md")
    found = {name: {"".join(pair) for pair in pairs} for name, pairs in unseen.items() if pairs}
    assert found == {"yaqoob": {"qo"}, "yaqoub": {"qo"}, "fitzgerald": {"zg"}}
    assert "`qo` (in `yaqoob` and in `yaqoub`) and `zg` (in `fitzgerald`)" in told


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (1.0, "comes out {}. With gain 1 that goes into the second, and {} comes out, then {}, then {}: each layer is"),
        (5 / 3, "With 5/3 the spreads are {}, {}, {}, {}, and they settle at {}:"),
    ],
)
def test_the_spreads_that_tanh_leaves(gain: float, words: str) -> None:
    """Lesson 3 tells the spread after each of four layers for two gains: integrals over a normal variable."""
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-np.square(z) / 2)
    density /= density.sum()
    spreads, spread = [], 1.0
    for _ in range(40):
        spread = float(np.sqrt((np.square(np.tanh(gain * spread * z)) * density).sum()))
        spreads.append(spread)
    assert spreads == sorted(spreads, reverse=True), "each narrower than the one before"
    shown = [f"{spread:.2f}" for spread in (*spreads[:4], spreads[-1])]
    assert words.format(*shown) in words_of("03-initialisation-and-batchnorm.md")
