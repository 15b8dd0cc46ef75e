"""Codebook use for the page: how often the codes of each tokenizer occur in the evaluated split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import CodeSpace
from tamingplat.report.formats import count, number
from tamingplat.report.page.content import Chart
from tamingplat.report.page.plot import Series, draw
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Plan
from tamingplat.stages.encode import EncodeDataset
from tamingplat.store import Store, open_array

MOST_IMAGES = 10_000
"""Codes of so many images at most are counted; they are the first of a split."""

_POINTS = 40
_IMAGES_AT_A_TIME = 1000


@dataclass(frozen=True)
class CodebookUse:
    """How often codes occur.

    Attributes:
        name: Of the tokenizer and the dataset, and of the grid where there are several.
        counts: int64 (V,), occurrences of each code, the most frequent first.
        images: In how many images.
    """

    name: str
    counts: npt.NDArray[np.int64]
    images: int

    @property
    def used(self) -> int:
        """How many codes occur at all."""
        return int((self.counts > 0).sum())

    @property
    def perplexity(self) -> float:
        """e to the entropy of the codes' frequencies: how many equally frequent codes would say as much."""
        shares = self.counts[self.counts > 0] / self.counts.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))


def read_codebooks(plan: Plan, store: Store) -> list[CodebookUse]:
    """Count the codes of every encoded dataset that is in the store; codes on several grids are of several codebooks."""
    encoded = [stage for stage in plan.stages.values() if isinstance(stage, EncodeDataset)]
    several = len({stage.dataset.label for stage in encoded}) > 1
    split, found = plan.manifest.evaluate.split, []
    for stage in encoded:
        artifact = store.find(stage.kind, stage.key)
        if artifact is None or split not in stage.splits:
            continue
        codes = open_array(artifact.path(f"{split}.npy"))[:MOST_IMAGES, 0]
        record = artifact.details["result"]
        space = CodeSpace(tuple(tuple(grid) for grid in record["grids"]), record["vocab_size"])
        name = stage.tokenizer.name + (f" on {stage.dataset.label}" if several else "")
        stops = (*space.offsets[1:], space.length)
        for index, (grid, start, stop) in enumerate(zip(space.grids, space.offsets, stops, strict=True)):
            which = f", grid {index} ({'×'.join(map(str, grid))})" if len(space.grids) > 1 else ""
            counts = _count(codes[:, start:stop], space.vocab_size)
            found.append(CodebookUse(f"{name}{which}", np.sort(counts)[::-1], len(codes)))
    return found


def _count(codes: npt.NDArray[np.integer[Any]], vocab_size: int) -> npt.NDArray[np.int64]:
    """How often each code occurs in (n, N) codes, int64 (V,); reads a slice at a time."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(codes), _IMAGES_AT_A_TIME):
        counts += np.bincount(codes[start : start + _IMAGES_AT_A_TIME].reshape(-1), minlength=vocab_size)
    return counts


def _ranks(codes: int) -> list[int]:
    """Ranks from 0 that lie evenly on a logarithmic axis, the first and the last among them."""
    return sorted({round(codes ** (step / (_POINTS - 1))) - 1 for step in range(_POINTS)})


def codebook_chart(anchor: str, uses: Sequence[CodebookUse], split: str) -> Chart | None:
    """The share of every code, the most frequent first; ``None`` where nothing is encoded yet.

    Args:
        anchor: Identifies it on the page.
        uses: Of every encoded dataset.
        split: Which split they are of, and of which manifest where there are several.
    """
    uses = [use for use in uses if use.used]
    if not uses:
        return None
    ranks = [_ranks(len(use.counts)) for use in uses]
    series = [
        Series(
            use.name,
            index,
            tuple(100 * float(use.counts[rank] / use.counts.sum()) for rank in of_one),
            tuple(
                f"{use.name}: the {rank + 1}. most frequent of {len(use.counts)} codes makes "
                f"{number(100 * float(use.counts[rank] / use.counts.sum()), 3)} % of all"
                for rank in of_one
            ),
        )
        for index, (use, of_one) in enumerate(zip(uses, ranks, strict=True))
    ]
    drawing = draw(
        series,
        [[float(rank + 1) for rank in of_one] for of_one in ranks],
        name="rank",
        label="rank",
        titles=("codes, the most frequent first", "share of all codes (%)"),
        scale="log",
        show=count,
    )
    rows = tuple(
        (
            use.name,
            str(len(use.counts)),
            str(use.used),
            f"{number(100 * use.used / len(use.counts), 3)} %",
            number(use.perplexity, 4),
            f"{number(100 * float(use.counts[0] / use.counts.sum()), 3)} %",
            str(use.images),
        )
        for use in uses
    )
    headings = ("tokenizer", "codes", "used", "share used", "perplexity", "most frequent code", "images")
    title = f"Codebook use in the split {split}"
    text = f"{title}: {'; '.join(f'{use.name} uses {use.used} of {len(use.counts)} codes' for use in uses)}."
    note = f"Codes of the first {MOST_IMAGES} images are counted." if any(use.images == MOST_IMAGES for use in uses) else ""
    return Chart(anchor, title, text, (drawing,), tuple(series), TextTable(title, headings, rows, 1), (note,) if note else ())
