"""Promises of every conditioner.

Shape letters: B batch, P condition positions.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tamingplat.interfaces import layout_length
from tamingplat.interfaces.models import Conditioner


@torch.no_grad()
def check_condition_tokens(conditioner: Conditioner, columns: Mapping[str, Tensor], image_size: tuple[int, int]) -> None:
    """A condition is int64 (B, P) as the layout says, every token within its part's vocabulary and none of them null.

    Args:
        conditioner: With a tokenizer that can encode, where it has one of its own.
        columns: A batch of at least the columns that it names.
        image_size: Height and width of the images.
    """
    layout = conditioner.layout(image_size)
    names = [part.name for part in layout]
    assert len(set(names)) == len(names), f"Parts of a condition have names of their own: they are {', '.join(names)}"
    tokens, batch = conditioner.encode(conditioner.derive(columns)), len(next(iter(columns.values())))
    null = conditioner.null(batch)
    for what, value in (("The condition", tokens), ("The null condition", null)):
        assert value.dtype == torch.int64 and value.shape == (batch, layout_length(layout)), (
            f"{what} is int64 (B, P) = ({batch}, {layout_length(layout)}): it is {value.dtype} {tuple(value.shape)}"
        )
    lengths = [part.length for part in layout]
    for part, given, absent in zip(layout, torch.split(tokens, lengths, 1), torch.split(null, lengths, 1), strict=True):
        for what, value in (("Tokens", given), ("The null index", absent)):
            assert int(value.min()) >= 0 and int(value.max()) < part.vocab_size, (
                f"{what} of {part.name} lie in [0, {part.vocab_size}): they lie in [{int(value.min())}, {int(value.max())}]"
            )
        assert not torch.isin(given, absent).any(), f"The null index of {part.name} is its own: encode gives it too"


@torch.no_grad()
def check_condition_of_each_example(conditioner: Conditioner, columns: Mapping[str, Tensor]) -> None:
    """The condition of an example is the same whatever batch it is in, and however often it is encoded."""
    together = conditioner.encode(conditioner.derive(columns))
    for row in range(len(together)):
        alone = conditioner.encode(conditioner.derive({name: value[row : row + 1] for name, value in columns.items()}))
        assert torch.equal(alone, together[row : row + 1]), (
            f"An example's condition depends on that example alone: {int((alone != together[row : row + 1]).sum())} of "
            f"{alone.numel()} tokens of example {row} change with its batch. Look for randomness and statistics of the batch"
        )


@torch.no_grad()
def check_condition_maps(conditioner: Conditioner, columns: Mapping[str, Tensor]) -> None:
    """What the own tokenizer of a spatial conditioner sees is finite, float, and as ``maps_info`` says."""
    info = conditioner.maps_info(conditioner.config, conditioner.info)
    assert info is not None, "maps_info says nothing of the conditioner's own tokenizer"
    maps = conditioner.maps(conditioner.derive(columns))
    wanted = (len(next(iter(columns.values()))), info.channels, *info.image_size)
    assert maps.is_floating_point() and tuple(maps.shape) == wanted, (
        f"Maps are float (B, C, H, W) = {wanted}: they are {maps.dtype} {tuple(maps.shape)}"
    )
    assert bool(maps.isfinite().all()), "Maps are finite: some pixels are not"
