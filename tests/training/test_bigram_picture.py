"""The picture of the counts shows every count, readably, and says what it leaves out; its command prints the losses."""

import io
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.patches import Rectangle
from PIL import Image

from models import Vocabulary
from training.bigram_plot import (
    MOST,
    SHADES,
    bigram_figure,
    bigram_plot,
    board_of,
    contrast,
    palette,
    readable_on,
    words,
)
from training.cli import main
from training.glyphs import symbol_of


def test_every_count_stands_in_its_square() -> None:
    """Row and column are the pair: the pair is written there with its count, and without where it never came."""
    vocabulary = Vocabulary(("a", "b"))
    N = np.array([[0, 30, 7], [12, 1, 24], [25, 6, 0]])
    figure = bigram_figure(board_of(N, vocabulary), "elves")
    axes = figure.axes[0]
    assert len([patch for patch in axes.patches if isinstance(patch, Rectangle)]) == 9
    found: dict[tuple[int, int], list[str]] = {}
    for text in axes.texts:
        x, y = text.get_position()
        found.setdefault((int(y), int(x)), []).append(text.get_text())
    for i, j in np.ndindex(3, 3):
        pair = vocabulary.itos[i] + vocabulary.itos[j]
        assert found[i, j] == ([pair, str(N[i, j])] if N[i, j] else [pair])
    low, high = axes.get_ylim()
    assert low > high, "the first row is on top"
    assert [label.get_text() for label in axes.get_xticklabels()] == [".", "a", "b"]


def test_ink_can_be_read_on_every_shade() -> None:
    """The contrast is WCAG's (known values), and on each shade at least 4.5."""
    assert contrast(to_rgba("#000000"), to_rgba("#ffffff")) == pytest.approx(21)
    assert contrast(to_rgba("#777777"), to_rgba("#ffffff")) == pytest.approx(4.48, abs=0.005)
    shades = LinearSegmentedColormap.from_list("pairs", SHADES)
    for shade in np.linspace(0, 1, 101):
        face = shades(float(shade))
        assert contrast(to_rgba(readable_on(face)), face) >= 4.5, shade


def test_a_large_alphabet_shows_its_most_frequent_characters() -> None:
    """The end token and the 26 most frequent are shown in the alphabet's order; the words say what share that is."""
    vocabulary = Vocabulary(tuple(chr(0x3B1 + i) for i in range(20)) + tuple(chr(0x430 + i) for i in range(20)))
    draw = random.Random(1)
    N = np.array([[draw.randrange(50) for _ in range(41)] for _ in range(41)])
    board = board_of(N, vocabulary)
    assert len(board.symbols) == MOST
    assert board.symbols[0] == "."
    sums = {symbol: int(N[i].sum()) for i, symbol in enumerate(vocabulary.itos) if i}
    assert set(board.symbols[1:]) == set(sorted(sums, key=lambda symbol: -sums[symbol])[:26])
    assert list(board.symbols[1:]) == sorted(board.symbols[1:])
    shown = [vocabulary.itos.index(symbol) for symbol in board.symbols]
    assert board.counts[3, 5] == N[shown[3], shown[5]]
    share = sum(int(N[i, j]) for i in shown for j in shown) / int(N.sum())
    assert f"The 26 most frequent of 40 characters; {share:.1%} of all pairs" in words(board)
    whole = board_of(N, vocabulary, most=41)
    assert whole.share == 1
    assert "most frequent" not in words(whole)


def test_characters_that_cannot_be_drawn_are_numbers() -> None:
    """What the font has is itself, a blank a sign, anything else its Unicode number; the picture is made of those."""
    assert [symbol_of(c) for c in ("a", "ж", " ", "中")] == ["a", "ж", "␣", "4E2D"]
    N = np.array([[0, 3, 4], [2, 1, 900], [1, 12345, 0]])
    board = board_of(N, Vocabulary(("中", "国")))
    assert board.symbols == (".", "4E2D", "56FD")
    written = [text.get_text() for text in bigram_figure(board, "elves").axes[0].texts]
    assert {"900", "12k"} <= set(written)
    assert "shown by their Unicode numbers" in words(board)
    assert bigram_plot(board, "elves").startswith(b"\x89PNG\r\n")


def test_a_full_stop_of_the_list_is_not_the_end() -> None:
    """Where names have full stops, the end token has another sign, and the words say which."""
    board = board_of(np.ones((3, 3), dtype=np.int64), Vocabulary((".", "a")))
    assert len(set(board.symbols)) == 3
    assert f'"{board.symbols[0]}" is where a name begins and ends' in words(board)


def test_the_palette_keeps_the_shades() -> None:
    """In the file itself the most frequent pair has the darkest shade, an unseen one the paper's white: no colour was
    traded for a smaller file.
    """
    N = np.array([[0, 900, 9], [4, 30, 100], [1, 0, 25]])
    figure = bigram_figure(board_of(N, Vocabulary(("a", "b"))), "elves")
    axes = figure.axes[0]
    with Image.open(io.BytesIO(bigram_plot(board_of(N, Vocabulary(("a", "b"))), "elves"))) as image:
        pixels = image.convert("RGB")
        for (i, j), expected in {(0, 1): SHADES[-1], (0, 0): "#ffffff", (2, 1): "#ffffff"}.items():
            x, y = axes.transData.transform((j + 0.1, i + 0.1))
            found = pixels.getpixel((round(x), pixels.height - round(y)))
            assert np.allclose(found, [255 * part for part in to_rgba(expected)[:3]], atol=2)
    assert len(palette().getpalette() or []) <= 3 * 256


def test_the_picture_repeats_itself() -> None:
    """The same counts give the same PNG."""
    board = board_of(np.arange(16).reshape(4, 4), Vocabulary(("a", "b", "c")))
    assert bigram_plot(board, "elves") == bigram_plot(board, "elves")


@pytest.fixture
def list_file(tmp_path: Path, made_up_names: tuple[str, ...]) -> Path:
    """A list of 200 names."""
    path = tmp_path / "my_list.txt"
    path.write_text("\n".join(made_up_names[::5]), "utf-8")
    return path


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, ["bigram-picture", *arguments])


def figure_of(result: Result, what: str) -> float:
    """The number of the line "what: number"."""
    found = re.search(rf"^{re.escape(what)}: ([\d.]+)$", result.output, re.MULTILINE)
    assert found is not None, result.output
    return float(found[1])


def test_the_command_prints_both_ways_and_draws(tmp_path: Path, list_file: Path) -> None:
    """Both tables, the losses as lines that meet, and the picture, in a folder that is made for it."""
    out = tmp_path / "new" / "counts.png"
    curves = tmp_path / "curves.png"
    result = invoke("--data", str(list_file), "--steps", "300", "--out", str(out), "--curves", str(curves))
    assert result.exit_code == 0, result.output
    for what in (
        "The same model twice",
        "Two ways to be less sure",
        "smoothing",
        "L2",
        "lowest",
        f"Written: {out}",
        f"Written: {curves}",
    ):
        assert what in result.output
    assert out.read_bytes().startswith(b"\x89PNG\r\n")
    assert curves.read_bytes().startswith(b"\x89PNG\r\n")
    counted, found = (figure_of(result, f"train loss by {way}") for way in ("counting", "gradient descent"))
    assert counted <= found < counted + 0.05 < math.log(20)
    counted, found = (figure_of(result, f"dev loss by {w}, smoothing 1") for w in ("counting", "gradient descent"))
    assert found == pytest.approx(counted, abs=0.02)


def test_more_steps_come_nearer(tmp_path: Path, list_file: Path) -> None:
    """A longer descent ends closer to the counts: the printed figures show it; that a short one cannot tell which
    penalty is best, the command says, and a long one says nothing of the kind.
    """
    gaps = []
    for steps in ("3", "3000"):
        result = invoke("--data", str(list_file), "--steps", steps, "--out", str(tmp_path / "counts.png"))
        assert ("too few to say which L2 is best" in result.output) is (steps == "3")
        found = figure_of(result, "train loss by gradient descent")
        gaps.append(found - figure_of(result, "train loss by counting"))
    assert gaps[0] > 5 * gaps[1] >= 0


def test_the_command_says_what_a_large_alphabet_leaves_out(tmp_path: Path) -> None:
    """A list in a script of more than 26 letters is drawn without the rarest, and the output says so."""
    draw = random.Random(2)
    letters = [chr(0x561 + i) for i in range(38)]
    path = tmp_path / "armenian.txt"
    path.write_text("\n".join("".join(draw.choices(letters, k=6)) for _ in range(150)), "utf-8")
    result = invoke("--data", str(path), "--steps", "5", "--out", str(tmp_path / "counts.png"))
    assert result.exit_code == 0, result.output
    assert "The 26 most frequent of 38 characters" in result.output
    assert "counted dev loss is infinite" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--steps", "0"], 2, "--steps"),
        (["--dataset", "elves"], 2, "--dataset"),
        (["--out", "picture.svg"], 1, "ends in .png"),
        (["--data", "nowhere.txt"], 1, "nowhere.txt is no file"),
    ],
)
def test_mistakes_of_the_picture_are_named(arguments: list[str], code: int, words: str) -> None:
    """Impossible options end in a line with what is allowed."""
    result = invoke(*arguments)
    assert result.exit_code == code
    assert words in result.output


def test_a_folder_that_cannot_be_made_is_noticed_first(tmp_path: Path, list_file: Path) -> None:
    """Where a file is in the way of --out, one line says so before anything is computed."""
    (tmp_path / "file").write_text("in the way")
    result = invoke("--data", str(list_file), "--steps", "5", "--out", str(tmp_path / "file" / "counts.png"))
    assert result.exit_code == 1
    assert "--out is" in result.stderr
    assert "The same model twice" not in result.output
