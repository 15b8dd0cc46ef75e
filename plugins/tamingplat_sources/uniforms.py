"""Uniform random numbers by address: counter-based, so that an image is the same whatever is read before it.

Philox 4×64 with 10 rounds, Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. NumPy guarantees the stream
of raw words of a bit generator for all its versions, which it does not of its distributions.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Uniforms = npt.NDArray[np.float64]


def uniforms(key: int, rows: Iterable[int], count: int) -> Uniforms:
    """The first numbers of every row of the address ``key``.

    Args:
        key: Below 2⁶⁴.
        rows: Each below 2⁶⁴.
        count: Numbers of each row.

    Returns:
        float64 (rows, count), multiples of 2⁻⁵³ in [0, 1).
    """
    # The row is the counter's highest word: the numbers of a row count up the lowest one and never reach it.
    words = [np.random.Philox(key=key, counter=[0, 0, 0, row]).random_raw(count) for row in rows]
    return (np.stack(words) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def dirichlet(key: int, concentration: float, rows: int, count: int) -> npt.NDArray[np.float64]:
    """Rows of symmetric Dirichlet probabilities.

    Gamma variates of shape a + 1 by Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", ACM Transactions on
    Mathematical Software 26(3), 2000, times U^(1/a), all in logarithms, so that no small concentration underflows.

    Args:
        key: Address of the numbers that it takes.
        concentration: a, positive.
        rows: How many distributions.
        count: Outcomes of each.

    Returns:
        float64 (rows, count), natural logarithms of probabilities.
    """
    number = rows * count
    d = concentration + 2 / 3
    log_gamma = np.full(number, np.nan)
    attempt = 0
    while (pending := np.flatnonzero(np.isnan(log_gamma))).size:
        drawn = uniforms(key, [1 + attempt], 3 * number).reshape(3, number)[:, pending]
        normal = np.sqrt(-2 * np.log1p(-drawn[0])) * np.cos(2 * np.pi * drawn[1])
        volume = (1 + normal / np.sqrt(9 * d)) ** 3
        possible = volume > 0
        log_volume = np.log(np.where(possible, volume, 1))
        taken = possible & (np.log1p(-drawn[2]) < normal**2 / 2 + d * (1 - volume + log_volume))
        log_gamma[pending[taken]] = np.log(d) + log_volume[taken]
        attempt += 1
    log_gamma += np.log1p(-uniforms(key, [0], number)[0]) / concentration
    logarithms: npt.NDArray[np.float64] = log_gamma.reshape(rows, count)
    logarithms -= logarithms.max(axis=1, keepdims=True)
    logarithms -= np.log(np.exp(logarithms).sum(axis=1, keepdims=True))
    return logarithms


def thresholds(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cumulative probabilities along the last axis without the last one: as many as are at most a number in [0, 1) is the
    outcome that it draws. An outcome of probability zero is never drawn.
    """
    cumulative: npt.NDArray[np.float64] = np.cumsum(probabilities, axis=-1)
    shares: npt.NDArray[np.float64] = cumulative[..., :-1] / cumulative[..., -1:]
    return shares
