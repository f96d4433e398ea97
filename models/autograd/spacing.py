"""Space items on a line: each as close as possible to its desired position, with minimum distances."""

from collections.abc import Sequence


def spaced(desired: Sequence[float], sizes: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return non-overlapping positions of items in a fixed order, as close as possible to `desired`.

    Neighbours are at least half of both sizes apart, and the weighted sum of squared distances to `desired` is minimal.
    This is an isotonic regression by pooling adjacent violators (Ayer et al. 1955).
    """
    before = 0.0
    # After subtracting the minimum distances, items only have to be in order.
    offsets: list[float] = []
    for i, size in enumerate(sizes):
        before += (sizes[i - 1] + size) / 2 if i else 0.0
        offsets.append(before)
    pools: list[tuple[float, float, int]] = []
    for position, offset, weight in zip(desired, offsets, weights, strict=True):
        at, heavy, members = position - offset, weight, 1
        while pools and pools[-1][0] > at:
            other, mass, count = pools.pop()
            at = (at * heavy + other * mass) / (heavy + mass)
            heavy, members = heavy + mass, members + count
        pools.append((at, heavy, members))
    places = [at for at, _, members in pools for _ in range(members)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
