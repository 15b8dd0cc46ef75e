"""How much of its codebook a tokenizer uses.

Shape letters: n images, N code positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import Measurement, Measures, Metric, TokenizerSubject

_CODES_AT_A_TIME = 1 << 22


class CodebookUse(Metric):
    """Share of the codes that occur in a split, and entropy and perplexity of their frequencies: collapse made visible.

    Codes on several grids are of several codebooks. Each grid is measured alone then, and the least used one stands for the
    tokenizer: together they would hide that one of them collapsed.
    """

    measures: ClassVar[Measures] = "tokenizer"

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer.

        Raises:
            TamingplatError: The split is empty.
        """
        space, split = subject.space, subject.split
        stops = (*space.offsets[1:], space.length)
        uses = [
            _use(count_codes(subject.codes[:, start:stop], space.vocab_size), split)
            for start, stop in zip(space.offsets, stops, strict=True)
        ]
        lowest = min(range(len(uses)), key=lambda index: uses[index][0])
        which = "" if len(uses) == 1 else f" Of the grid {_sides(space.grids[lowest])}, which uses least."
        measurements = _measurements("", uses[lowest], space.vocab_size, split, which, headline=True)
        if len(uses) > 1:
            for index, (grid, use) in enumerate(zip(space.grids, uses, strict=True)):
                measurements += _measurements(
                    f" (grid {index}, {_sides(grid)})", use, space.vocab_size, split, "", headline=False
                )
        return measurements


def _sides(grid: tuple[int, ...]) -> str:
    return "×".join(map(str, grid))


def _use(counts: npt.NDArray[np.int64], split: str) -> tuple[float, float]:
    """Share of the codes that occur, and the entropy of their frequencies in bits, given how often each occurs, (V,)."""
    if not counts.sum():
        raise TamingplatError(f"codebook: the {split} split has no images")
    frequencies = counts[counts > 0] / counts.sum()
    return float((counts > 0).mean()), float((frequencies * np.log2(1 / frequencies)).sum())


def _measurements(
    suffix: str, use: tuple[float, float], size: int, split: str, which: str, *, headline: bool
) -> list[Measurement]:
    share, entropy = use
    return [
        Measurement(
            f"codebook use{suffix}",
            share,
            "",
            "higher",
            f"Share of the {size} codes that occur in the {split} split.{which}",
            headline=headline,
        ),
        Measurement(
            f"codebook perplexity{suffix}",
            2**entropy,
            "",
            "higher",
            f"Codes that would be used if all were equally: at most {size}.{which}",
        ),
        Measurement(
            f"codebook entropy{suffix}",
            entropy,
            "bits",
            "",
            f"Entropy of the codes' frequencies, all positions together.{which}",
        ),
    ]


def count_codes(codes: npt.NDArray[np.integer[Any]], vocab_size: int) -> npt.NDArray[np.int64]:
    """How often each code occurs in (n, N) codes, int64 (V,); reads a slice at a time."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    step = max(1, _CODES_AT_A_TIME // max(1, codes.shape[1]))
    for start in range(0, len(codes), step):
        counts += np.bincount(np.asarray(codes[start : start + step]).reshape(-1), minlength=vocab_size)
    return counts
