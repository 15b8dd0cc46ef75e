"""What the training loop asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that one optimizer treats alike.

    Attributes:
        parameters: What is stepped.
        decay: Whether the training settings' weight decay applies.
    """

    parameters: tuple[nn.Parameter, ...]
    decay: bool = True


class Trainable(nn.Module, ABC):
    """A model with one or more training phases, each with its own optimizer and its own parameters.

    The loop calls ``forward`` through the module that Accelerate wrapped, so that gradients are synchronised, and
    ``after_step`` once when all phases of a step have been stepped.
    """

    phases: ClassVar[tuple[str, ...]] = ("main",)

    def phases_at(self, step: int) -> Sequence[str]:
        """The phases that run at ``step``, in order: a discriminator sits out before its start."""
        return self.phases

    def phase_parameters(self, phase: str) -> Iterable[ParameterGroup]:
        """What the optimizer of ``phase`` steps. Groups of one phase, and of different phases, share no parameter."""
        assert phase in self.phases, phase
        return (ParameterGroup(tuple(parameter for parameter in self.parameters() if parameter.requires_grad)),)

    @abstractmethod
    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Loss terms of a batch as scalar tensors: ``total`` is differentiated, the others are detached and logged.

        Every term is a mean over the batch, so that the mean over equally large parts is the whole batch's. Under
        ``torch.no_grad`` and in eval mode the same call gives the validation terms.

        Args:
            batch: What the model's kind is trained on; on the model's device.
            step: Optimizer steps taken so far.
            phase: One of ``phases_at(step)``.
            generator: Randomness of this step and process, on the model's device; ``None`` draws nothing.
        """

    def after_step(self, step: int, generator: torch.Generator) -> None:
        """Change the model where no gradient does: move a codebook to its clusters' means, replace what is never used.

        Called once after the optimizer steps of all phases of a step, before weights are averaged over time, without gradients,
        on the model itself and in every process. Does nothing by default.

        Several processes have to end alike, and as one process would: what was collected during the step is summed over
        processes first, and nothing random is drawn but from ``generator``. A killed run continues with the next step, and so
        whatever is to outlive this call is a parameter or a persistent buffer.

        Args:
            step: Number of the step that was just taken: optimizer steps taken before it.
            generator: Randomness of this step, the same in every process, on the model's device.
        """
