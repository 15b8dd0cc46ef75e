"""Using what is finished: samples of a cell, and reconstructions by a tokenizer, of any size."""

from tamingplat.stages.finished.cell import FinishedCell
from tamingplat.stages.finished.conditions import Wanted
from tamingplat.stages.finished.open import Opened, open_manifest, select_cell
from tamingplat.stages.finished.options import SampleOptions
from tamingplat.stages.finished.reconstruct import FinishedTokenizer, Reconstructed, open_tokenizer
from tamingplat.stages.finished.sampling import Sampling

__all__ = [
    "FinishedCell",
    "FinishedTokenizer",
    "Opened",
    "Reconstructed",
    "SampleOptions",
    "Sampling",
    "Wanted",
    "open_manifest",
    "open_tokenizer",
    "select_cell",
]
