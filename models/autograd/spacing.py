"""Things on a line that want to be somewhere and must keep their distance: one exact answer, no graph in here."""

from collections.abc import Sequence


def spaced(wished: Sequence[float], sizes: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return where things in a fixed order stand so that they do not overlap, as near as can be to where they wish.

    Neighbours are half of both sizes apart or more, and the weighted sum of squared distances to `wished` is the least
    that there is: an isotonic regression, by pooling neighbours that stand in each other's way (Ayer et al. 1955).
    """
    before = 0.0
    # Less what must lie between them, things only have to be in order.
    offsets: list[float] = []
    for i, size in enumerate(sizes):
        before += (sizes[i - 1] + size) / 2 if i else 0.0
        offsets.append(before)
    pools: list[tuple[float, float, int]] = []
    for wish, offset, weight in zip(wished, offsets, weights, strict=True):
        at, heavy, members = wish - offset, weight, 1
        while pools and pools[-1][0] > at:
            other, mass, count = pools.pop()
            at = (at * heavy + other * mass) / (heavy + mass)
            heavy, members = heavy + mass, members + count
        pools.append((at, heavy, members))
    places = [at for at, _, members in pools for _ in range(members)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
