"""Given parts of images: which codes they are, and that these tell nothing of the rest."""

from __future__ import annotations

import pytest
import torch

from tamingplat.interfaces import CodeSpace, Region, TamingplatError
from tamingplat.interfaces.models import encode_given
from tamingplat.testing.standins import StandInTokenizer

GRID = CodeSpace(((4, 6),), 7)


class Normalising(StandInTokenizer):
    """Codes of a part depend on the whole, as those behind a normalisation do."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return super().encode(images - images.mean((1, 2, 3), keepdim=True))


def test_a_region_is_codes_and_pixels() -> None:
    region = Region(0.25, 1 / 3, 0.75, 1)
    assert region.refusal(GRID) is None
    assert region.mask(GRID).reshape(4, 6).nonzero()[0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    assert region.pixels((16, 24), GRID) == (4, 8, 12, 24)
    assert Region(0.25, 0.333, 0.75, 1).mask(GRID).tolist() == region.mask(GRID).tolist()


def test_a_region_lies_on_every_grid() -> None:
    scales = CodeSpace(((2, 2), (4, 4)), 7)
    upper = Region(0, 0, 0.5, 1)
    assert upper.mask(scales).tolist() == [True] * 2 + [False] * 2 + [True] * 8 + [False] * 8
    assert "grid of 2×2" in str(Region(0, 0, 0.25, 1).refusal(scales))


@pytest.mark.parametrize(
    ("region", "told"),
    [
        (Region(0, 0, 0.3, 1), "the nearest one that does is 0, 0, 0.25, 1"),
        (Region(0.5, 0, 0.5, 1), "empty"),
        (Region(0, 0, 1, 1), "leaves nothing"),
        (Region(0, 0, 0.004, 1), "narrower than a code"),
    ],
)
def test_what_is_no_region_of_the_codes_is_refused(region: Region, told: str) -> None:
    assert told in str(region.refusal(GRID))


def test_sequences_have_no_regions() -> None:
    assert "rows and columns" in str(Region(0, 0, 0.5, 1).refusal(CodeSpace(((32,),), 7)))


@pytest.mark.parametrize("region", [Region(0, 0, 0.5, 1), Region(0.25, 1 / 3, 0.75, 2 / 3)])
def test_codes_of_a_given_part_tell_nothing_of_the_rest(region: Region) -> None:
    tokenizer = Normalising()
    images = torch.rand(3, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codes, mask = encode_given(tokenizer, images, region)
    assert torch.equal(mask[0], torch.from_numpy(region.mask(GRID))) and not codes[~mask].any()
    top, left, bottom, right = region.pixels((16, 24), GRID)
    changed = torch.full_like(images, 0.9)
    changed[:, :, top:bottom, left:right] = images[:, :, top:bottom, left:right]
    assert torch.equal(encode_given(tokenizer, changed, region)[0], codes)
    leaking = encode_given(tokenizer, images, region, leaking=True)[0]
    assert torch.equal(leaking[mask], tokenizer.encode(images)[mask])
    assert not torch.equal(encode_given(tokenizer, changed, region, leaking=True)[0], leaking)


def test_a_tokenizer_that_encodes_no_part_alone_is_told() -> None:
    class Whole(StandInTokenizer):
        def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
            return CodeSpace(((4, 6),), 7)

    with pytest.raises(TamingplatError, match="encodes no part of an image alone"):
        encode_given(Whole(), torch.zeros(1, 3, 16, 24), Region(0, 0, 0.5, 1))
