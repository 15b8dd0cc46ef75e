"""Codes from logits: what samplers share, whatever order and window they draw in.

Guidance, then temperature, then top-k (or a k of each sample's own), then top-p, then the maximum of the logits plus Gumbel
noise addressed by (seed, sample, canonical position, code), which is a draw from their softmax.

Shape letters: B batch, R rows given to the prior (B, or 2B under guidance), K positions of one step, P condition positions,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tamingplat.interfaces.models import PriorScope, gumbel_noise, uniform_noise
from tamingplat_samplers import filters
from tamingplat_samplers.config import LogitsConfig

_MIXED_K_STREAM = 1


def guidance_refusal(config: LogitsConfig, scope: PriorScope) -> str | None:
    """Why a prior cannot be guided as the settings ask, with the remedy; ``None`` where it can, or where they do not ask."""
    if config.guidance == 1:
        return None
    if not scope.layout:
        return (
            f"guidance {config.guidance:g} compares a conditional prior with itself without the condition, and this one has no "
            "condition; leave guidance out, or choose a conditioner"
        )
    if not scope.null_condition:
        return (
            f"guidance {config.guidance:g} needs a prior that also learned the absent condition, and this one always had one: "
            "train it with a conditioner whose dropout is above 0, such as 0.1, or leave guidance out"
        )
    return None


class Guidance:
    """Runs a prior on every image with its condition and, in the same batch, without it.

    Rows 0 … B−1 have the condition and rows B … 2B−1 the absent one, over one state. Where only one of them counts there is no
    second half, and nothing is copied: the condition where guidance is off, and the absent one where it is 0.
    """

    def __init__(self, config: LogitsConfig) -> None:
        self._scale = config.guidance
        self.guides = config.guidance not in (0, 1)

    def repeat(self, tensor: Tensor) -> Tensor:
        """(B, …) as (R, …), the same in both halves."""
        return torch.cat([tensor, tensor]) if self.guides else tensor

    def conditions(self, condition: Tensor, null: Tensor | None) -> tuple[Tensor, ...]:
        """What a prior is asked with: conditions or absent conditions, int64 (B, P) each, or both, half after half."""
        if self._scale == 1:
            return (condition,)
        assert null is not None, "guidance_refusal says whether a prior can be guided"
        return (condition, null) if self.guides else (null,)

    def combine(self, logits: Tensor) -> Tensor:
        """u + s·(c − u) of log-probabilities c with the condition and u without it, float (R, K, V) to float64 (B, K, V).

        Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022, Eq. 6, for log-probabilities in place of scores. The
        logits need no normalising, which would add the same number to all codes.
        """
        logits = logits.double()
        if not self.guides:
            return logits
        conditional, unconditional = logits.chunk(2)
        return unconditional + self._scale * (conditional - unconditional)


Noise = Callable[[int], Tensor]
"""V to the standard Gumbel noise of the positions of a step, float64 (B, K, V)."""

AT_ONCE = 1 << 15
"""Numbers of noise that are worked out together: each takes some two hundred operations, which then fit a processor's cache."""


class NoiseInOrder:
    """Gumbel noise of positions that are drawn one after the other, worked out for several steps at once.

    A step has few numbers, so that starting each of those operations takes longer than carrying it out.

    Args:
        seed: The seed.
        indices: int64 (B,), the number of each sample.
        order: int64 (B, N), the positions in the order in which they are drawn.
    """

    def __init__(self, seed: int, indices: Tensor, order: Tensor) -> None:
        self._seed, self._indices, self._order = seed, indices, order
        self._known = range(0)
        self._noise = torch.empty(0)

    def at(self, start: int, stop: int) -> Noise:
        """That of the positions from place ``start`` of the order to before ``stop``."""

        def noise(vocab_size: int) -> Tensor:
            if not (self._known.start <= start and stop <= self._known.stop):
                ahead = AT_ONCE // max(1, len(self._indices) * vocab_size)
                self._known = range(start, min(max(stop, start + ahead), self._order.shape[1]))
                places = slice(self._known.start, self._known.stop)
                self._noise = gumbel_noise(self._seed, self._indices, self._order[:, places], vocab_size)
            return self._noise[:, start - self._known.start : stop - self._known.start]

        return noise


class Drawer:
    """Draws codes from logits by the settings that every sampler has."""

    def __init__(self, config: LogitsConfig) -> None:
        self._config = config

    def draw(self, logits: Tensor, seed: int, indices: Tensor, noise: Noise) -> Tensor:
        """Codes, int64 (B, K), of logits, float (B, K, V), where row b belongs to sample ``indices[b]`` of a seed.

        Several rows may belong to one sample. The noise is asked for where the settings leave something to chance.
        """
        config, logits = self._config, logits.double()
        if config.temperature == 0:
            return logits.argmax(-1)
        logits = logits / config.temperature
        k = self._k(seed, indices)
        if k is not None:
            logits = filters.top_k(logits, k.expand(logits.shape[:2]) if isinstance(k, Tensor) else k)
        logits = filters.top_p(logits, config.top_p)
        return (logits + noise(logits.shape[-1])).argmax(-1)

    def _k(self, seed: int, indices: Tensor) -> int | Tensor | None:
        """The k of every row: one number, or int64 (B, 1) drawn from the set at (seed, sample); ``None`` keeps all codes."""
        choices = self._config.mixed_k
        if choices is None:
            return self._config.top_k
        uniform = uniform_noise(seed, indices, torch.zeros_like(indices)[:, None], 1, stream=_MIXED_K_STREAM)[..., 0]
        # Compared, not looked up: a tensor made of the choices would have to travel to the device at every step.
        k = torch.full_like(uniform, choices[0], dtype=torch.int64)
        for number, choice in enumerate(choices[1:], start=1):
            k = torch.where(uniform * len(choices) >= number, choice, k)
        return k
