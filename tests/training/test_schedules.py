"""Learning rates over time: their corners, and that none is ever zero or above the highest."""

import pytest

from training.schedules import SCHEDULES, one_cycle, step_decay


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_factors_stay_above_zero_and_at_most_one(name: str) -> None:
    """Every schedule moves at every step, and never faster than the highest learning rate."""
    factors = [SCHEDULES[name](i / 1000) for i in range(1000)]
    assert 0 < min(factors) <= max(factors) == pytest.approx(1.0)


def test_step_decay_drops_to_a_tenth_half_way() -> None:
    """0.1 becomes 0.01 at half way, as in the lectures."""
    assert [round(0.1 * step_decay(i / 200), 6) for i in (0, 99, 100, 199)] == [0.1, 0.1, 0.01, 0.01]


def test_one_cycle_rises_for_a_tenth_then_falls() -> None:
    """The rate rises in the first tenth only, is half of the highest in the middle of the fall, and ends near zero."""
    factors = [one_cycle(i / 1000) for i in range(1000)]
    assert factors.index(max(factors)) == 100
    assert factors[:101] == sorted(factors[:101])
    assert factors[100:] == sorted(factors[100:], reverse=True)
    assert one_cycle(0.55) == pytest.approx(0.5)
    assert factors[-1] < 0.01
