"""Quantization by a categorical distribution over the codes, relaxed so that it can be differentiated.

Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017; Maddison, Mnih and Teh, "The Concrete
Distribution", ICLR 2017; Ramesh et al., "Zero-Shot Text-to-Image Generation" (DALL-E), ICML 2021, Sec. 2.1 and Appendix A.2.

Shape letters: B batch, D embedding, K codes, h/w code grid.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from tamingplat.interfaces.models import without_autocast
from tamingplat_vq.quantizer.base import Quantized, Quantizer


class GumbelQuantizer(Quantizer):
    """Latents give the logits of a distribution over the codes, of which training draws and everything else takes the mode.

    The names ``proj`` and ``embed`` are those of published checkpoints. A draw is the maximum of logits and Gumbel noise; what
    passes gradients is their softmax at a temperature that falls along a cosine, at step s
    τ(s) = end + (start − end)·(1 + cos(π·min(s / steps, 1))) / 2. Without noise, in evaluation, the most probable code is
    taken; the reference draws even then.

    The loss is the Kullback-Leibler divergence from the uniform distribution, Σ_k q_k·ln(K·q_k + 1e-10), summed over codes and
    averaged over places, in nats, times its weight. The 1e-10 is the reference's: it bounds the logarithm, and adds at most
    1e-10 nats.

    Every process draws noise of its own, as it does for dropout: several processes equal one in distribution, not in numbers.

    Args:
        codes: K.
        dimensions: D, of latents and of codebook vectors.
        relaxation: ``straight-through`` puts the drawn codebook vector out, with the gradient of the relaxed mixture, as the
            reference does. ``soft`` puts the mixture of all vectors out while training, as DALL-E does.
        temperature: Its start, its end, and the steps in between.
        kl_weight: Weight of the divergence.
        kl_warmup_steps: Steps over which that weight rises from 0, along a cosine too.
    """

    def __init__(
        self,
        codes: int,
        dimensions: int,
        *,
        relaxation: Literal["straight-through", "soft"],
        temperature: tuple[float, float, int],
        kl_weight: float,
        kl_warmup_steps: int,
    ) -> None:
        super().__init__()
        self.relaxation = relaxation
        self.temperature = temperature
        self.kl_weight = kl_weight
        self.kl_warmup_steps = kl_warmup_steps
        self.proj = nn.Conv2d(dimensions, codes, 1)
        self.embed = nn.Embedding(codes, dimensions)

    @property
    def size(self) -> int:
        """K, the number of codes."""
        return self.embed.num_embeddings

    def logits(self, latents: Tensor) -> Tensor:
        """float (B, D, h, w) to unnormalised log-probabilities of the codes, float32 (B, K, h, w)."""
        with without_autocast(latents.device):
            # A product of matrices, because a convolution in float32 may be rounded to fewer digits on a GPU.
            products = torch.einsum("bdhw,kd->bkhw", latents.float(), self.proj.weight[:, :, 0, 0].float())
            return products if self.proj.bias is None else products + self.proj.bias.float()[:, None, None]

    @torch.no_grad()
    def codes(self, latents: Tensor) -> Tensor:
        """float (B, D, h, w) to the most probable code at every place, int64 (B, h, w), the lowest among equals."""
        return self.logits(latents).argmax(dim=1)

    def lookup(self, codes: Tensor) -> Tensor:
        """int64 (B, h, w) to codebook vectors, float32 (B, D, h, w)."""
        return embedding(codes, self.embed.weight).permute(0, 3, 1, 2).float()

    def schedules(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Temperature and weight of the divergence at ``step``, float32 scalars on ``device``."""
        start, end, steps = self.temperature
        temperature = _cosine(start, end, step / steps)
        warm = step / self.kl_warmup_steps if self.kl_warmup_steps else 1.0
        weight = _cosine(0.0, self.kl_weight, warm)
        return torch.full((), temperature, device=device), torch.full((), weight, device=device)

    def forward(self, latents: Tensor, *, step: int, generator: torch.Generator | None) -> Quantized:
        """Quantize float (B, D, h, w); ``terms`` are ``kl``, in nats and not weighed, and ``temperature``."""
        with without_autocast(latents.device):
            logits = self.logits(latents)
            temperature, weight = self.schedules(step, latents.device)
            divergence = self._divergence(logits)
            if self.training and generator is not None:
                logits = logits + _gumbel(logits, generator)
            codes = logits.argmax(dim=1)
            shares = (logits / temperature).softmax(dim=1)
            mixing = self.training and self.relaxation == "soft"
            vectors = self.embed.weight if mixing else self.embed.weight.detach()
            mixture = torch.einsum("bkhw,kd->bdhw", shares, vectors.float())
            # A drawn vector takes its own gradient; that of the logits is the mixture's.
            put_out = mixture if mixing else self.lookup(codes) + (mixture - mixture.detach())
        return Quantized(put_out, codes, weight * divergence, {"kl": divergence.detach(), "temperature": temperature})

    def _divergence(self, logits: Tensor) -> Tensor:
        shares = logits.softmax(dim=1)
        return (shares * (shares * self.size + 1e-10).log()).sum(dim=1).mean()


def _cosine(start: float, end: float, progress: float) -> float:
    """From ``start`` at progress 0 to ``end`` at 1 and beyond, along half a period of a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise of the shape of ``like``, float32."""
    waiting = torch.empty_like(like, memory_format=torch.contiguous_format).exponential_(generator=generator)
    return -waiting.clamp_min(torch.finfo(waiting.dtype).tiny).log()
