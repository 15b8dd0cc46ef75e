"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.optim import Adam, AdamW, Optimizer

from tamingplat.interfaces import TrainingSettings
from tamingplat.interfaces.models import ParameterGroup

# Where one kernel steps all parameters; elsewhere PyTorch chooses.
_FUSED_DEVICES = ("cuda", "cpu")


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Learning rate of the optimizer step that follows ``step`` steps, whatever steps its phase sat out.

    During the warm-up of W steps it is (step + 1) / (W + 1) of the peak, so that no step is wasted on a rate of zero and the
    peak is reached at step W. A decaying schedule then runs over the remaining steps and would reach
    ``final_learning_rate_fraction`` of the peak at step ``settings.steps``: linearly, or along half a cosine (Loshchilov and
    Hutter, "SGDR", ICLR 2017, Eq. 5, without restarts).
    """
    peak, warmup, final = settings.learning_rate, settings.warmup_steps, settings.final_learning_rate_fraction
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return peak
    progress = min(1.0, (step - warmup) / max(1, settings.steps - warmup))
    remaining = 1 - progress if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (final + (1 - final) * remaining)


def make_optimizer(groups: Iterable[ParameterGroup], settings: TrainingSettings, device: torch.device) -> Optimizer:
    """Adam or AdamW over parameter groups; weight decay applies to the groups that are marked for it."""
    parameters = [
        {"params": list(group.parameters), "weight_decay": settings.weight_decay if group.decay else 0.0}
        for group in groups
        if group.parameters
    ]
    fused = True if device.type in _FUSED_DEVICES else None
    kind = AdamW if settings.optimizer == "adamw" else Adam
    return kind(parameters, lr=settings.learning_rate, betas=settings.betas, fused=fused)
