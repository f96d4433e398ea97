"""Gaps between models and their errors, against the bootstrap and numbers worked out by hand."""

import pytest
import torch

from training.comparison import names_gap, paired_gap


def test_paired_gap_by_hand() -> None:
    """Differences 1, 2, 3 have mean 2 and standard error 1 / sqrt(3)."""
    gap = paired_gap([1.0, 1.0, 1.0], [2.0, 3.0, 4.0])
    assert (gap.mean, gap.error) == pytest.approx((2.0, 3**-0.5))


def test_names_gap_agrees_with_the_bootstrap() -> None:
    """The mean is the ratio of sums, and the error is the spread over resampled lists of names."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 12, (400,), generator=generator)
    better = lengths * 2.0 + torch.randn(400, generator=generator)
    worse = better + lengths * 0.1 + torch.randn(400, generator=generator)
    gap = names_gap(better, worse, lengths)
    assert gap.mean == pytest.approx(float((worse - better).sum() / lengths.sum()))
    resampled = torch.randint(400, (4000, 400), generator=generator)
    means = (worse - better)[resampled].sum(1) / lengths[resampled].sum(1)
    assert gap.error == pytest.approx(float(means.std()), rel=0.06)
