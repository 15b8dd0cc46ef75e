"""A prior's likelihood beside that of the known source of its images: what is left to learn, and what cannot be true.

Shape letters: n training images, m measured images, N code positions, V codes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import Measurement, TokenArray

FALSE_ALARM = 1e-6
"""α: how improbable a gain over the source must be for an honest prior before it is called impossible."""

_IMAGES_AT_A_TIME = 4096

Array = npt.NDArray[np.float64]


def excess(
    nll: Array,
    floor: Array,
    train: TokenArray,
    measured: TokenArray,
    vocab_size: int,
    suffix: str = "",
) -> list[Measurement]:
    """What a prior has left to learn of a source whose probabilities are known.

    The floor is the mean of −log p* over the measured images, p* being the source; it is the same for every ordering, prior and
    tokenizer without loss. ``structure captured`` is (marginal − NLL) / (marginal − floor), the marginal being the NLL under
    the codes' frequencies at each position in the training split, every position on its own: 0 for a prior that knows nothing
    of how positions depend on each other, 1 at the floor. It is left out where the source has no such structure, that is where
    the marginal is not above the floor.

    Args:
        nll: float64 (m,), −log q in nats of the measured images under the prior.
        floor: float64 (m,), −log p* of the same images.
        train: Integers (n, N), codes of the training split, read in slices.
        measured: Integers (m, N), codes of the measured images.
        vocab_size: V.
        suffix: Of the columns' names, where ``nll`` is a bound.

    Raises:
        TamingplatError: The prior gains impossibly much; see ``check_possible``.
    """
    length = train.shape[1]
    check_possible(nll, floor, length)
    marginal = marginal_nll(train, measured, vocab_size)
    lowest, over = floor.mean() / length, (nll - floor) / length
    measurements = [
        Measurement(
            f"nll_excess{suffix}",
            over.mean(),
            "nats/token",
            "lower",
            "Validation NLL per code above the exact one of the images' source, which no prior falls below on average.",
            headline=True,
            values=over,
        ),
        Measurement("nll_floor", lowest, "nats/token", "", "Exact −log p of the measured images under their source, per code."),
        Measurement(
            "nll_marginal",
            marginal.mean() / length,
            "nats/token",
            "",
            "NLL per code under each position's own frequencies of codes in the training split.",
        ),
    ]
    if lowest > 0:
        relative = 100 * over.mean() / lowest
        measurements.insert(
            1,
            Measurement(
                f"nll_excess{suffix}/floor", relative, "%", "lower", "nll_excess in percent of nll_floor.", headline=True
            ),
        )
    if marginal.mean() > floor.mean():
        captured = (marginal.mean() - nll.mean()) / (marginal.mean() - floor.mean())
        what = (
            "(nll_marginal − nll) / (nll_marginal − nll_floor): 1 is all that can be learned of how codes depend on each other."
        )
        measurements.append(Measurement(f"structure captured{suffix}", captured, "", "higher", what, headline=True))
    return measurements


def check_possible(nll: Array, floor: Array, length: int, *, checkpoints: int = 1) -> None:
    """Refuse a prior that beats the source by more than chance allows.

    For a normalised prior q that was chosen without the measured images, the expectation of q(x) / p*(x) under the source p* is
    at most one, so that by Markov's inequality P(Σ log q − log p* ≥ t) ≤ e^−t, whatever q is and without any standard error. By
    Ville's inequality (Étude critique de la notion de collectif, 1939) the same holds for the largest sum over any number of
    first images, as these are independent, and that is what is tested. t = ln(m / α), m being checkpoints times positions.

    It is a second line of defence: a prior that could read what it predicts, and did not learn to, passes.

    Args:
        nll: float64 (m,), −log q in nats.
        floor: float64 (m,), −log p*.
        length: N.
        checkpoints: How many priors were tried on these images and the best of them taken.

    Raises:
        TamingplatError: The gain is above ln(m / α).
    """
    most = math.log(checkpoints * length / FALSE_ALARM)
    gains = np.cumsum(floor - nll)
    best = int(gains.argmax())
    if gains[best] > most:
        raise TamingplatError(
            f"nll: impossible: over the first {best + 1} of {len(nll)} images the prior gains {gains[best]:.1f} nats on the "
            f"source that they were drawn from. A prior that is normalised and has not seen them gains more than {most:.1f} "
            f"nats with a probability below {FALSE_ALARM:g}: this one reads what it predicts, is not normalised, or was "
            "trained on these images"
        )


def marginal_nll(train: TokenArray, measured: TokenArray, vocab_size: int) -> Array:
    """−log probability in nats of each measured image under independent positions, float64 (m,).

    The probability of a code at a position is its count there among the training codes plus one half, over n + V/2 (Krichevsky
    and Trofimov, 1981), so that no code has probability zero.

    Args:
        train: Integers (n, N), read in slices.
        measured: Integers (m, N).
        vocab_size: V.
    """
    length = train.shape[1]
    positions = np.arange(length)
    counts = np.zeros(length * vocab_size)
    for start in range(0, len(train), _IMAGES_AT_A_TIME):
        codes = train[start : start + _IMAGES_AT_A_TIME].astype(np.int64) + positions * vocab_size
        counts += np.bincount(codes.reshape(-1), minlength=len(counts))
    logarithms = np.log(counts.reshape(length, vocab_size) + 0.5) - math.log(len(train) + vocab_size / 2)
    sums: Sequence[Array] = [
        -logarithms[positions, measured[start : start + _IMAGES_AT_A_TIME].astype(np.int64)].sum(axis=1)
        for start in range(0, len(measured), _IMAGES_AT_A_TIME)
    ]
    return np.concatenate(sums)
