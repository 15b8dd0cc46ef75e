"""Whether images of a size can be drawn or reconstructed at all on this machine.

Shape letters: B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tamingplat.engine import memory_shortage, total_memory
from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import Tokenizer


class _LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the bytes of the largest tensor that is made while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out one operation."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                # Of its storage: what is expanded takes no more than what it was made of.
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return made


def size_shortage(tokenizer: Tokenizer, size: tuple[int, int], channels: int, batch: int, device: torch.device) -> str | None:
    """Why images of a size need more memory than there is, with the remedy; ``None`` where nothing says so.

    What is counted is about the least that decoding holds at once: a layer's input beside its output, for the largest layer.
    With tiles these are whole too, of one image and in the machine's memory.

    Args:
        tokenizer: On the meta device, with its ``tile`` set.
        size: H and W, which it takes.
        channels: C.
        batch: B.
        device: Where images are decoded.
    """
    tiled = tokenizer.tile is not None and max(size) > tokenizer.tile
    images = 4 * channels * size[0] * size[1]
    largest = _LargestTensor()
    try:
        with torch.inference_mode(), torch.device("meta"), largest:
            codes = torch.empty(1, tokenizer.code_space(size).length, dtype=torch.int64)
            _decoded_whole(tokenizer, codes, size)
    except (TamingplatError, RuntimeError, TypeError):
        # A plugin's tokenizer need not run on the meta device; the image itself is known.
        largest.bytes = images
    needed = images * batch + 2 * largest.bytes if tiled else 2 * largest.bytes * batch
    remedy = (
        "take a smaller size, or fewer images at a time" if tiled else "take a smaller size, fewer images at a time, or tiles"
    )
    return memory_shortage(needed, total_memory(torch.device("cpu") if tiled else device), remedy)


def _decoded_whole(tokenizer: Tokenizer, codes: Tensor, size: tuple[int, int]) -> None:
    """Decode without tiles, whose maps would be moved to the CPU."""
    tile, tokenizer.tile = tokenizer.tile, None
    try:
        tokenizer.eval().decode(codes, size)
    finally:
        tokenizer.tile = tile
