"""Refused names of held-out parts, and the lists that are read."""

from pathlib import Path

import pytest

from benchmarks.refused_names import cross_check, read
from models import Kernels
from models.profanity import ProfanityFilter

# "shit" is inside six of 36 names, "turd" inside one, and "bastard" is one.
WITHIN = ("ashito", "ashitam", "oshito", "ashitu", "ashitan", "ashiton")
NAMES = (*WITHIN, "saturday", "bastard", *(f"{a}{b}n" for a in "bdgklmr" for b in "aeio"))


@pytest.fixture(scope="module")
def profanity(kernels: Kernels) -> ProfanityFilter:
    """The filter of the service."""
    return ProfanityFilter.load(kernels.find)


def test_each_name_is_judged_by_other_names(profanity: ProfanityFilter) -> None:
    """Words inside one name are not exempted for it, and those inside six are."""
    check = cross_check(profanity, NAMES)
    assert (check.total, check.words) == (36, {"saturday": ("turd",), "bastard": ("bastard",)})
    assert set(profanity.check(NAMES, frozenset()).words) == {"saturday", "bastard", *WITHIN}


def test_data_sets_and_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{name}\n" for name in NAMES), "utf-8")
    assert read(str(path)) == NAMES
    assert len(read("animal")) == 3323
