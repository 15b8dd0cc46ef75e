"""The codes of a part of an image that is given.

Shape letters: B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tamingplat.interfaces.errors import TamingplatError
from tamingplat.interfaces.models.tokenizer import Tokenizer
from tamingplat.interfaces.regions import Region


def encode_given(tokenizer: Tokenizer, images: Tensor, region: Region, *, leaking: bool = False) -> tuple[Tensor, Tensor]:
    """Codes of a region of some images, and where they are.

    An encoder's normalisation and its attention see the whole of what they are given, so that codes of a whole image tell of
    all its parts. What lies in the region is therefore encoded as an image of its own.

    Args:
        tokenizer: In eval mode, on the device of the images.
        images: float (B, C, H, W) in [-1, 1]; of the pixels beside the region nothing is read unless ``leaking``.
        region: Not refused for the images' codes.
        leaking: Encode the whole images and take the region's codes, as the reference implementation does.

    Returns:
        Codes int64 (B, N) in canonical order, 0 outside the region, and a bool mask (B, N) of those inside.

    Raises:
        TamingplatError: The tokenizer does not encode a part of an image to the codes of that part.
    """
    size = (images.shape[2], images.shape[3])
    space = tokenizer.code_space(size)
    mask = torch.from_numpy(region.mask(space)).to(images.device)
    if leaking:
        codes = torch.where(mask, tokenizer.encode(images), 0)
    else:
        top, left, bottom, right = region.pixels(size, space)
        expected = []
        for grid in space.grids:
            first, start, last, stop = region.cells(grid)
            expected.append((last - first, stop - start, *grid[2:]))
        part = tokenizer.code_space((bottom - top, right - left))
        if part.grids != tuple(expected):
            raise TamingplatError(
                f"a part of {bottom - top}×{right - left} pixels has codes on grids of {part.grids} and not of "
                f'{tuple(expected)}, as in the whole image: this tokenizer encodes no part of an image alone; encode = "full" '
                "takes the codes of the whole image, which tell of its hidden part"
            )
        codes = torch.zeros(len(images), space.length, dtype=torch.int64, device=images.device)
        codes[:, mask] = tokenizer.encode(images[:, :, top:bottom, left:right].contiguous())
    return codes, mask.expand(len(images), -1)
