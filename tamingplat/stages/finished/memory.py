"""Whether images of a size can be drawn or reconstructed at all on this machine, and their conditions be encoded.

Shape letters: B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tamingplat.engine import memory_shortage, total_memory
from tamingplat.interfaces import MapsInfo, TamingplatError
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
    tiled = _tiled(tokenizer, size)
    images = _bytes(MapsInfo(size, channels))

    def decode() -> Tensor:
        return tokenizer.decode(torch.empty(1, tokenizer.code_space(size).length, dtype=torch.int64), size)

    largest = _largest(tokenizer, decode, images)
    needed = images * batch + 2 * largest if tiled else 2 * largest * batch
    remedy = (
        "take a smaller size, or fewer images at a time" if tiled else "take a smaller size, fewer images at a time, or tiles"
    )
    return memory_shortage(needed, total_memory(torch.device("cpu") if tiled else device), remedy)


def maps_shortage(tokenizer: Tokenizer, maps: MapsInfo, device: torch.device) -> str | None:
    """Why the map of one image's condition needs more memory than there is; ``None`` where nothing says so.

    What is counted is about the least that encoding holds at once: the map, whole even with tiles, and without tiles a layer's
    input beside its output, for the largest layer.

    Args:
        tokenizer: The condition's own, on the meta device, with its ``tile`` set.
        maps: What it sees, of a size that it takes.
        device: Where conditions are encoded.
    """
    size, own = maps.image_size, _bytes(maps)

    def encode() -> Tensor:
        return tokenizer.encode(torch.empty(1, maps.channels, *size))

    tiled = _tiled(tokenizer, size)
    needed = own if tiled else max(own, 2 * _largest(tokenizer, encode, own))
    remedy = "take a smaller size, or tiles" if tokenizer.tiles and not tiled else "take a smaller size"
    return memory_shortage(needed, total_memory(device), remedy)


def _bytes(maps: MapsInfo) -> int:
    """Of one image of 32-bit numbers."""
    return 4 * maps.channels * maps.image_size[0] * maps.image_size[1]


def _tiled(tokenizer: Tokenizer, size: tuple[int, int]) -> bool:
    return tokenizer.tile is not None and max(size) > tokenizer.tile


def _largest(tokenizer: Tokenizer, work: Callable[[], Tensor], least: int) -> int:
    """Bytes of the largest tensor of some work on the meta device, without tiles, whose maps would be moved to the CPU."""
    tile, tokenizer.tile = tokenizer.tile, None
    largest = _LargestTensor()
    try:
        tokenizer.eval()
        with torch.inference_mode(), torch.device("meta"), largest:
            work()
    except (TamingplatError, RuntimeError, TypeError):
        # A plugin's tokenizer need not run on the meta device; the image itself is known.
        return least
    finally:
        tokenizer.tile = tile
    return largest.bytes
