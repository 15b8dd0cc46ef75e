"""The quantizers: latents to codes and back, and how codebooks are trained."""

from tamingplat_vq.quantizer.base import Quantized, Quantizer, code_statistics
from tamingplat_vq.quantizer.gumbel import GumbelQuantizer
from tamingplat_vq.quantizer.make import make_quantizer
from tamingplat_vq.quantizer.nearest import MovingCodebook, VectorQuantizer

__all__ = [
    "GumbelQuantizer",
    "MovingCodebook",
    "Quantized",
    "Quantizer",
    "VectorQuantizer",
    "code_statistics",
    "make_quantizer",
]
