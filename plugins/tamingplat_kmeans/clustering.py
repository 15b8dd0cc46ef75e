"""Mini-batch k-means on points of few dimensions.

k-means++ seeding after Arthur and Vassilvitskii, SODA 2007; mini-batches after Sculley, "Web-scale k-means clustering", WWW
2010.

Shape letters: M points, K centres, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

DISTANCES_AT_A_TIME = {"cpu": (1 << 15) - 1}
"""Entries of the largest matrix of distances that is made, by device. On a processor it stays in a core's cache, several times
faster than memory, and is too small for torch to share among threads, whose waiting for each other would cost more."""
DISTANCES_AT_A_TIME_ELSEWHERE = 1 << 24


def nearest(points_MC: Tensor, centres_KC: Tensor) -> tuple[Tensor, Tensor]:
    """The centre nearest to each point, the first of several at one distance, and the squared distance.

    The distance is summed over channels entry by entry, so that it does not depend on how many points are asked about together.

    Returns:
        int64 (M,) and a tensor (M,) of the points' type.
    """
    indices, distances = [], []
    entries = DISTANCES_AT_A_TIME.get(points_MC.device.type, DISTANCES_AT_A_TIME_ELSEWHERE)
    for chunk_MC in torch.split(points_MC, max(8, entries // len(centres_KC))):
        squared_MK = (chunk_MC[:, :1] - centres_KC[:, 0]).square_()
        for channel in range(1, points_MC.shape[1]):
            difference_MK = chunk_MC[:, channel, None] - centres_KC[:, channel]
            squared_MK.addcmul_(difference_MK, difference_MK)
        indices.append(squared_MK.argmin(dim=1))
        distances.append(squared_MK.gather(1, indices[-1][:, None])[:, 0])
    return torch.cat(indices), torch.cat(distances)


def plus_plus(points_MC: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """k-means++ seeding: each point is drawn with probability proportional to its squared distance from those before it.

    Where there are fewer distinct points than ``count``, the rest repeat the first.

    Returns:
        The centres (count, C).
    """
    chosen = [points_MC[torch.randint(len(points_MC), (1,), generator=generator)]]
    distance_M = nearest(points_MC, chosen[0])[1]
    while len(chosen) < count:
        cumulative_M = distance_M.cumsum(0)
        if cumulative_M[-1] <= 0:
            chosen.append(chosen[0].expand(count - len(chosen), -1))
            break
        target = torch.rand(1, generator=generator, dtype=cumulative_M.dtype) * cumulative_M[-1]
        # The first sum beyond the target: a point at distance zero adds nothing and is never it.
        chosen.append(points_MC[torch.searchsorted(cumulative_M, target, right=True)])
        distance_M = torch.minimum(distance_M, nearest(points_MC, chosen[-1])[1])
    return torch.cat(chosen)


def draw(weights_M: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Up to ``count`` different indices, drawn in proportion to non-negative weights; fewer where fewer are positive."""
    # The first arrivals of Poisson processes with these rates: torch.multinomial takes no more than 2²⁴ weights.
    uniform_M = torch.rand(len(weights_M), generator=generator, dtype=torch.float64)
    arrival_M = -torch.log1p(-uniform_M) / weights_M
    arrival_M.masked_fill_(weights_M <= 0, torch.inf)
    first, index = arrival_M.topk(min(count, len(weights_M)), largest=False)
    return index[first < torch.inf]


class MiniBatchKMeans:
    """Centres that follow mini-batches: each moves to the mean of all points that were ever nearest to it.

    Args:
        centres_KC: The first centres, float64.
        points_MC: Points that they were seeded from, which count as seen.
    """

    def __init__(self, centres_KC: Tensor, points_MC: Tensor) -> None:
        self.centres_KC = centres_KC.clone()
        self._seen_K = torch.zeros(len(centres_KC), dtype=torch.float64)
        self._recent_K = torch.zeros_like(self._seen_K)
        self.step(points_MC)

    def step(self, points_MC: Tensor) -> float:
        """Take in a mini-batch, float64 (M, C); returns the mean squared distance per channel before it."""
        index_M, distance_M = nearest(points_MC, self.centres_KC)
        new_K = torch.bincount(index_M, minlength=len(self.centres_KC)).double()
        sum_KC = torch.zeros_like(self.centres_KC).index_add_(0, index_M, points_MC)
        self._seen_K += new_K
        self._recent_K += new_K
        # With v points seen, c ← (1 − 1/v) c + x/v for one point after the other, all assigned beforehand.
        move_KC = (sum_KC - new_K[:, None] * self.centres_KC) / self._seen_K.clamp(min=1)[:, None]
        self.centres_KC += move_KC
        return distance_M.mean().item() / points_MC.shape[1]

    @property
    def used(self) -> float:
        """Share of the centres that were nearest to a point since the last call of ``reseed``."""
        return (self._recent_K > 0).double().mean().item()

    def reseed(self, points_MC: Tensor, generator: torch.Generator) -> None:
        """Move centres that no point chose since the last call to points drawn in proportion to their squared distance."""
        idle = torch.nonzero(self._recent_K == 0)[:, 0]
        _, distance_M = nearest(points_MC, self.centres_KC)
        drawn = draw(distance_M, len(idle), generator)
        idle = idle[: len(drawn)]
        self.centres_KC[idle] = points_MC[drawn]
        self._seen_K[idle] = 1
        self._recent_K.zero_()
