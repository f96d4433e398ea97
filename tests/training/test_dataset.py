"""Names as tensors: rows, windows and batches, against a plain Python reading of the same names."""

import torch

from models import Vocabulary
from training.dataset import Examples, NameBatches, WindowBatches

Named = tuple[tuple[str, ...], Vocabulary]


def windows_by_hand(names: tuple[str, ...], vocabulary: Vocabulary, block_size: int) -> list[tuple[list[int], int]]:
    """The lectures' own loop: a context that slides over each name."""
    pairs = []
    for name in names:
        context = [0] * block_size
        for target in (*vocabulary.encode(name), 0):
            pairs.append((context, target))
            context = [*context[1:], target]
    return pairs


def test_windows_are_those_of_the_sliding_context(ten_names: Named) -> None:
    """Every window and its target equal the sliding context's, in order, for short and long blocks."""
    names, vocabulary = ten_names
    examples = Examples.of(names, vocabulary)
    for block_size in (1, 3, 8, 16):
        windows = examples.windows(block_size)
        pairs = list(zip(windows.X.tolist(), windows.targets.tolist(), strict=True))
        assert pairs == windows_by_hand(names, vocabulary, block_size)


def test_rows_of_chosen_names_are_those_names_in_that_order(ten_names: Named) -> None:
    """Chosen names come back whole: ids start with 0, positions count from 0, targets spell the name and end with 0."""
    names, vocabulary = ten_names
    which = [6, 1, 8, 1]
    rows = Examples.of(names, vocabulary).names_at(torch.tensor(which))
    codes = [vocabulary.encode(names[i]) for i in which]
    assert rows.targets.tolist() == [c for code in codes for c in (*code, 0)]
    assert rows.ids.tolist() == [c for code in codes for c in (0, *code)]
    assert rows.positions.tolist() == [p for code in codes for p in range(len(code) + 1)]


def test_a_pass_goes_once_through_all_names_in_new_orders(ten_names: Named) -> None:
    """Two passes hold every name once each, in two orders, the last batch being the rest."""
    names, vocabulary = ten_names
    batches = NameBatches(Examples.of(names, vocabulary), 4, torch.Generator().manual_seed(0))
    assert len(batches) == 3
    passes = []
    for _ in range(2):
        drawn = [batches.draw() for _ in range(len(batches))]
        assert [int((batch.positions == 0).sum()) for batch in drawn] == [4, 4, 2]
        text = [vocabulary.itos[i] for batch in drawn for i in batch.targets.tolist()]
        passes.append("".join(text).rstrip(".").split("."))
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(names)
    assert passes[0] != passes[1]


def test_random_windows_are_windows_of_the_list(ten_names: Named) -> None:
    """Drawn windows exist in the list, with the target that belongs to them, and many different ones come up."""
    names, vocabulary = ten_names
    batches = WindowBatches(Examples.of(names, vocabulary), 3, 200, torch.Generator().manual_seed(0))
    batch = batches.draw()
    drawn = {(tuple(x), y) for x, y in zip(batch.X.tolist(), batch.targets.tolist(), strict=True)}
    assert drawn <= {(tuple(x), y) for x, y in windows_by_hand(names, vocabulary, 3)}
    assert len(drawn) > 30


def test_batches_go_on_from_their_state(ten_names: Named) -> None:
    """Taken in the middle of a pass, the state gives the same batches to come."""
    names, vocabulary = ten_names
    examples = Examples.of(names, vocabulary)
    batches = NameBatches(examples, 3, torch.Generator().manual_seed(1))
    batches.draw()
    state = batches.state()
    expected = [batches.draw().targets.tolist() for _ in range(9)]
    other = NameBatches(examples, 3, torch.Generator().manual_seed(99))
    other.load_state(state)
    assert [other.draw().targets.tolist() for _ in range(9)] == expected
