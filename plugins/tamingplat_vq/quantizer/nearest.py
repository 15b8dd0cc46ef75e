"""Quantization by the nearest codebook vector.

van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017, Eq. 1 to 3, and Appendix A.1
for the codebook that follows the latents by moving averages instead of gradients; Razavi, van den Oord and Vinyals, "Generating
Diverse High-Fidelity Images with VQ-VAE-2", NeurIPS 2019, for the smoothing of its counts.

Shape letters: B batch, D embedding, K codes, h/w code grid, M vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from tamingplat.interfaces.models import of_first_process, sum_over_processes, without_autocast
from tamingplat_vq.quantizer.base import Quantized, Quantizer
from tamingplat_vq.quantizer.clustering import kmeans, nearest
from tamingplat_vq.quantizer.step_vectors import StepVectors

# ε of the smoothed counts: what divides the sum of a code that is never used stays above zero.
_SMOOTHING = 1e-5


@dataclass(frozen=True)
class MovingCodebook:
    """What changes a codebook beside, or instead of, gradients.

    Attributes:
        decay: γ of the moving averages that replace gradients; ``None`` leaves the codebook to gradients.
        clustered: Whether the codebook becomes, after the first step, the cluster means of that step's latents.
        revive_after: Training steps without use after which a code is moved to a latent; ``None`` never does.
    """

    decay: float | None = None
    clustered: bool = False
    revive_after: int | None = None


class VectorQuantizer(Quantizer):
    """A codebook; a latent becomes the nearest of its vectors.

    Trained by gradients, the codebook is a parameter. With moving averages it is a buffer, under the same name: each vector is
    the quotient of two averages, of the sum and of the number of the latents that it was the nearest of, over all forward
    passes with gradients of a step and all processes. The codebook term then falls away, and β weighs the commitment term.

    A code is revived at a latent of the step that has just been taken, drawn at random among those of all processes, each
    latent at most once unless more codes than latents are dead. The optimizer's moments of a revived vector stay as they are:
    without a gradient they have faded.

    Args:
        codes: K.
        dimensions: D.
        commitment: β.
        placement: Which term β weighs: ``paper`` the commitment term, ``reference`` the codebook term.
        reduction: ``mean`` averages squared differences over places and dimensions, as the reference does; ``sum`` takes the
            squared norm of Eq. 4, summed over D, and averages over places, which is D times as much.
        moving: What changes the codebook beside gradients.
    """

    unused_steps: Tensor
    average_counts: Tensor
    average_sums: Tensor

    def __init__(
        self,
        codes: int,
        dimensions: int,
        commitment: float,
        placement: Literal["paper", "reference"],
        *,
        reduction: Literal["mean", "sum"] = "mean",
        moving: MovingCodebook | None = None,
    ) -> None:
        super().__init__()
        self.moving = moving or MovingCodebook()
        self.embedding = nn.Embedding(codes, dimensions)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)
        self.codebook_weight, self.commitment_weight = (1.0, commitment) if placement == "paper" else (commitment, 1.0)
        self.scale = 1.0 if reduction == "mean" else float(dimensions)
        if self.moving.decay is not None:
            self.codebook_weight, self.commitment_weight = 0.0, commitment
            self._leave_to_averages()
        if self.moving.revive_after is not None:
            self.register_buffer("unused_steps", torch.zeros(codes, dtype=torch.int64))
        self._seen: StepVectors | None = None

    def _leave_to_averages(self) -> None:
        vectors = self.embedding.weight.detach().clone()
        del self.embedding.weight
        self.embedding.register_buffer("weight", vectors)
        # As if every code had been used once, where it lies: a code that is not used yet stays.
        self.register_buffer("average_counts", torch.ones(len(vectors)))
        self.register_buffer("average_sums", vectors.clone())

    @property
    def size(self) -> int:
        """K, the number of codes."""
        return self.embedding.num_embeddings

    def codes(self, latents: Tensor) -> Tensor:
        """float (B, D, h, w) to the nearest code at every place, int64 (B, h, w), the lowest among equals."""
        return self._assign(latents)[1]

    @torch.no_grad()
    def _assign(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors, float32 (M, D), and their codes, int64 (B, h, w)."""
        batch, dimensions, height, width = latents.shape
        with without_autocast(latents.device):
            vectors = latents.float().permute(0, 2, 3, 1).reshape(-1, dimensions)
            return vectors, nearest(vectors, self.embedding.weight.float()).view(batch, height, width)

    def lookup(self, codes: Tensor) -> Tensor:
        """int64 (B, h, w) to codebook vectors, float32 (B, D, h, w)."""
        return embedding(codes, self.embedding.weight).permute(0, 3, 1, 2).float()

    def forward(self, latents: Tensor, *, step: int, generator: torch.Generator | None) -> Quantized:
        """Quantize float (B, D, h, w); ``terms``: ``codebook``, unless averages move it, and ``commitment``, both weighed."""
        vectors, codes = self._assign(latents)
        if self.training and torch.is_grad_enabled():
            self._collect(vectors, codes, step)
        with without_autocast(latents.device):
            latents, chosen = latents.float(), self.lookup(codes)
            commitment = self.commitment_weight * self.scale * (chosen.detach() - latents).square().mean()
            terms, loss = {"commitment": commitment.detach()}, commitment
            if self.moving.decay is None:
                codebook = self.codebook_weight * self.scale * (chosen - latents.detach()).square().mean()
                terms, loss = {"codebook": codebook.detach(), **terms}, codebook + commitment
            # Values of the codebook, gradients of the identity.
            straight_through = latents + (chosen - latents).detach()
        return Quantized(straight_through, codes, loss, terms)

    def _collect(self, vectors: Tensor, codes: Tensor, step: int) -> None:
        """Keep what ``after_step`` needs of this forward pass."""
        moving = self.moving
        first = moving.clustered and step == 0
        if not first and moving.decay is None and moving.revive_after is None:
            return
        if self._seen is None or self._seen.step != step:
            keeping, summing = first or moving.revive_after is not None, moving.decay is not None
            self._seen = StepVectors(step, self.size, vectors, keeping=keeping, summing=summing)
        self._seen.add(vectors, codes.flatten())

    @torch.no_grad()
    def after_step(self, step: int, generator: torch.Generator) -> None:
        """Move the codebook as far as its averages, the first step's clusters and codes without use ask for it."""
        seen, self._seen = self._seen, None
        if seen is None or seen.step != step:
            return
        if self.moving.clustered and step == 0:
            self._cluster(seen, generator)
            return
        counts = sum_over_processes(seen.counts)
        if self.moving.decay is not None:
            self._average(counts, sum_over_processes(seen.sums), self.moving.decay)
        if self.moving.revive_after is not None:
            self._revive(counts, seen, self.moving.revive_after, generator)

    def _average(self, counts: Tensor, sums: Tensor, decay: float) -> None:
        """Appendix A.1: averages take the step's counts (K,) and sums (K, D) in; their quotients become the vectors."""
        self.average_counts.mul_(decay).add_(counts, alpha=1 - decay)
        self.average_sums.mul_(decay).add_(sums, alpha=1 - decay)
        total = self.average_counts.sum()
        smoothed = (self.average_counts + _SMOOTHING) / (total + self.size * _SMOOTHING) * total
        self.embedding.weight.copy_(self.average_sums / smoothed[:, None])

    def _cluster(self, seen: StepVectors, generator: torch.Generator) -> None:
        centres, counts = (of_first_process(found) for found in kmeans(seen.sample(generator), self.size, generator))
        every = torch.ones(self.size, dtype=torch.bool, device=centres.device)
        self._place(every, centres, counts)

    def _revive(self, counts: Tensor, seen: StepVectors, after: int, generator: torch.Generator) -> None:
        self.unused_steps.add_(1).masked_fill_(counts > 0, 0)
        dead = self.unused_steps >= after
        # Every code gets a candidate and only the dead ones take it: to ask how many are dead would wait for the device.
        shuffled = torch.randperm(seen.total, generator=generator, device=dead.device)
        candidates = seen.rows(shuffled[(dead.cumsum(0) - 1).clamp_min(0) % seen.total])
        self._place(dead, candidates, torch.ones_like(counts))
        self.unused_steps.masked_fill_(dead, 0)

    def _place(self, where: Tensor, vectors: Tensor, counts: Tensor) -> None:
        """Put codes, bool (K,), at ``vectors`` (K, D), for moving averages as if ``counts`` (K,) latents lay there, or one."""
        mask, weights = where[:, None], counts.clamp_min(1)
        self.embedding.weight.copy_(torch.where(mask, vectors, self.embedding.weight))
        if self.moving.decay is not None:
            self.average_counts.copy_(torch.where(where, weights, self.average_counts))
            self.average_sums.copy_(torch.where(mask, vectors * weights[:, None], self.average_sums))
