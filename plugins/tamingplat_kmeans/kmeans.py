"""Pixels as indices into a palette: the paper's f = 1 representation (Sec. 4.3, after iGPT, Chen et al., ICML 2020).

Shape letters: B batch, C/H/W image, N code positions, K colours, M pixels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tamingplat.interfaces import CodeSpace, DataError
from tamingplat.interfaces.models import Tokenizer
from tamingplat_kmeans.clustering import MiniBatchKMeans, nearest, plus_plus
from tamingplat_kmeans.config import KMeansConfig

_PIXELS_AT_A_TIME = 16384
_SEEDING_BATCHES = 8


class KMeans(Tokenizer):
    """One code per pixel: the nearest of K colours.

    The palette is a buffer, float32 (K, C) in [-1, 1]; there are no parameters. Where the images have no more than K different
    colours, the palette is exactly these, in sorted order, and images are reconstructed without error; the remaining codes
    then repeat the last colour and are never used.
    """

    fitted: ClassVar[bool] = True

    def __init__(self, config: KMeansConfig, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(config, parts, image_size=image_size, channels=channels)
        self.config = config
        self.channels = channels
        self.palette: Tensor
        self.register_buffer("palette", torch.zeros(config.codebook_size, channels))

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        """One grid of the image's size."""
        return CodeSpace((tuple(image_size),), self.config.codebook_size)

    def encode(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) in [-1, 1] to int64 (B, H·W): each pixel's nearest colour, the first of several equally near."""
        codes_M, _ = nearest(_pixels(images.to(self.palette.dtype)), self.palette)
        return codes_M.view(len(images), -1)

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """int64 (B, H·W) to float (B, C, H, W)."""
        return F.embedding(codes, self.palette).transpose(1, 2).reshape(len(codes), -1, *image_size)

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Errors of the reconstruction, with images in [-1, 1]; there is nothing to differentiate."""
        images = batch["image"]
        with torch.no_grad():
            decoded = self.decode(self.encode(images), (images.shape[2], images.shape[3])).to(images.dtype)
            squared = F.mse_loss(decoded, images)
            return {"total": squared, "mse": squared, "l1": F.l1_loss(decoded, images)}

    @torch.no_grad()
    def fit(
        self,
        batches: Callable[[int], Iterable[Tensor]],
        *,
        generator: torch.Generator,
        log: Callable[[int, Mapping[str, float]], None],
    ) -> None:
        """Fit the palette, on the CPU in float64; the same images, settings and generator give the same palette.

        The terms that are logged are ``mse``, of the mini-batch before its step with colours in [-1, 1], and ``used``, the
        share of the colours that some pixel chose lately.

        Raises:
            DataError: There are no images.
        """
        # A device's generator is not the CPU's: one draw from it starts one that is.
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        random = torch.Generator().manual_seed(seed)
        colours_KC = _few_colours(batches(0), self.config.codebook_size)
        if colours_KC is None:
            colours_KC = self._cluster(batches, random, log)
        else:
            log(self.config.steps, {"mse": 0.0, "used": len(colours_KC) / self.config.codebook_size})
        unused = self.config.codebook_size - len(colours_KC)
        self.palette.copy_(torch.cat([colours_KC, colours_KC[-1:].expand(unused, -1)]))

    def _cluster(
        self,
        batches: Callable[[int], Iterable[Tensor]],
        random: torch.Generator,
        log: Callable[[int, Mapping[str, float]], None],
    ) -> Tensor:
        config = self.config
        images = itertools.chain.from_iterable(batches(epoch) for epoch in itertools.count())
        points_MC = _seeding_pixels(images, config.seeding_pixels, random)
        clusters = MiniBatchKMeans(plus_plus(points_MC, config.codebook_size, random), points_MC)
        mini_batches = itertools.chain.from_iterable(
            torch.split(_some_pixels(batch, config.pixels_per_image, random), config.pixels_per_step) for batch in images
        )
        for step, points_MC in enumerate(itertools.islice(mini_batches, config.steps), start=1):
            squared = clusters.step(points_MC)
            if step % config.reseed_every == 0 or step == config.steps:
                log(step, {"mse": squared, "used": clusters.used})
                if step + config.reseed_every <= config.steps:  # one that was just moved needs steps to settle
                    clusters.reseed(points_MC, random)
        return clusters.centres_KC


def _pixels(images: Tensor) -> Tensor:
    """(B, C, …) to (M, C)."""
    return images.movedim(1, -1).reshape(-1, images.shape[1])


def _few_colours(images: Iterable[Tensor], most: int) -> Tensor | None:
    """The different colours of all images, float64 (K', C) in sorted order; ``None`` as soon as they exceed ``most``."""
    colours_KC: Tensor | None = None
    for batch in images:
        for pixels_MC in torch.split(_pixels(batch.cpu().double()), _PIXELS_AT_A_TIME):
            if colours_KC is None:
                colours_KC = torch.unique(pixels_MC, dim=0)
            else:  # sorting is slow, and most pixels are nothing new
                new_MC = pixels_MC[nearest(pixels_MC, colours_KC)[1] > 0]
                colours_KC = torch.unique(torch.cat([colours_KC, new_MC]), dim=0) if len(new_MC) else colours_KC
            if len(colours_KC) > most:
                return None
    if colours_KC is None:
        raise DataError("kmeans: there are no images to fit the palette to")
    return colours_KC


def _seeding_pixels(images: Iterator[Tensor], count: int, random: torch.Generator) -> Tensor:
    """Pixels, float64 (count, C), in equal shares from the images of the first few batches, or of as many as it takes."""
    found: list[Tensor] = []
    while sum(map(len, found)) < count:
        batch = next(images)
        found.append(_some_pixels(batch, math.ceil(count / _SEEDING_BATCHES / len(batch)), random))
    return torch.cat(found)[:count]


def _some_pixels(images_BCHW: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Pixels at random places of every image, ``count`` of each or all if it has no more; float64 (M, C) in random order."""
    places = images_BCHW.shape[2] * images_BCHW.shape[3]
    pixels_BCP = images_BCHW.flatten(2)
    if places > count:
        index_BP = torch.randint(places, (len(images_BCHW), count), generator=random).to(images_BCHW.device)
        pixels_BCP = pixels_BCP.gather(2, index_BP[:, None].expand(-1, images_BCHW.shape[1], -1))
    pixels_MC = _pixels(pixels_BCP.cpu().double())
    return pixels_MC[torch.randperm(len(pixels_MC), generator=random)]
