"""What the lessons say in words about numbers that ship, measured again with numpy on the shipped files alone."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

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
