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
    """Share of the codes that occur in a split, and entropy and perplexity of their frequencies: collapse made visible."""

    measures: ClassVar[Measures] = "tokenizer"

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer.

        Raises:
            TamingplatError: The split is empty.
        """
        counts = count_codes(subject.codes, subject.space.vocab_size)
        if not counts.sum():
            raise TamingplatError(f"codebook: the {subject.split} split has no images")
        frequencies = counts[counts > 0] / counts.sum()
        entropy = float((frequencies * np.log2(1 / frequencies)).sum())
        size = subject.space.vocab_size
        return [
            Measurement(
                "codebook use",
                float((counts > 0).mean()),
                "",
                "higher",
                f"Share of the {size} codes that occur in the {subject.split} split.",
                headline=True,
            ),
            Measurement(
                "codebook perplexity",
                2**entropy,
                "",
                "higher",
                f"Codes that would be used if all were equally: at most {size}.",
            ),
            Measurement("codebook entropy", entropy, "bits", "", "Entropy of the codes' frequencies, all positions together."),
        ]


def count_codes(codes: npt.NDArray[np.integer[Any]], vocab_size: int) -> npt.NDArray[np.int64]:
    """How often each code occurs in (n, N) codes, int64 (V,); reads a slice at a time."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    step = max(1, _CODES_AT_A_TIME // max(1, codes.shape[1]))
    for start in range(0, len(codes), step):
        counts += np.bincount(np.asarray(codes[start : start + step]).reshape(-1), minlength=vocab_size)
    return counts
