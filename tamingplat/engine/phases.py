"""One training phase of a model: its parameters, its optimizer, and what is held still while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tamingplat.engine.optimizers import learning_rate, make_optimizer
from tamingplat.interfaces import TrainingSettings
from tamingplat.interfaces.models import Trainable

_STATE_KEYS = frozenset({"step", "exp_avg", "exp_avg_sq"})


class Phase:
    """The optimizer of a phase and the parameters that it steps."""

    def __init__(self, name: str, model: Trainable, settings: TrainingSettings, device: torch.device) -> None:
        self.name = name
        self.settings = settings
        groups = tuple(model.phase_parameters(name))
        self.parameters = [parameter for group in groups for parameter in group.parameters]
        names = {parameter: key for key, parameter in model.named_parameters()}
        assert self.parameters, f"phase {name} of {type(model).__name__} has no parameters"
        assert len(set(self.parameters)) == len(self.parameters), f"groups of phase {name} share a parameter"
        assert all(parameter in names for parameter in self.parameters), f"phase {name} steps what is not the model's"
        assert all(parameter.requires_grad for parameter in self.parameters), f"phase {name} steps a frozen parameter"
        self.names = [names[parameter] for parameter in self.parameters]
        own = set(self.parameters)
        self.others = [other for other in model.parameters() if other.requires_grad and other not in own]
        self.optimizer = make_optimizer(groups, settings, device)

    @contextmanager
    def alone(self, step: int) -> Iterator[None]:
        """Only this phase's parameters take gradients inside; its learning rate is the one at ``step``."""
        rate = learning_rate(self.settings, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for parameter in self.others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in self.others:
                parameter.requires_grad_(True)

    def state_tensors(self) -> dict[str, Tensor]:
        """The optimizer's state, keyed ``phase/parameter/entry``; parameters that were never stepped have none."""
        return {
            f"{self.name}/{name}/{key}": value
            for name, parameter in zip(self.names, self.parameters, strict=True)
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }

    def fitting_names(self) -> set[str]:
        """Every key that ``state_tensors`` can have."""
        return {f"{self.name}/{name}/{key}" for name in self.names for key in _STATE_KEYS}

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what ``state_tensors`` returned; entries of other phases are passed over."""
        template = self.optimizer.state_dict()
        numbers = {parameter: number for number, parameter in enumerate(self._in_optimizer_order())}
        state: dict[int, dict[str, Tensor]] = {}
        for name, parameter in zip(self.names, self.parameters, strict=True):
            found = {key: tensors[f"{self.name}/{name}/{key}"] for key in _STATE_KEYS if f"{self.name}/{name}/{key}" in tensors}
            if found:
                assert found.keys() == _STATE_KEYS, f"incomplete optimizer state of {name}"
                state[numbers[parameter]] = {
                    # Fused kernels take a parameter and its moments to have the same strides, which files do not keep.
                    key: value.clone() if key == "step" else torch.empty_like(parameter).copy_(value)
                    for key, value in found.items()
                }
        self.optimizer.load_state_dict({"state": state, "param_groups": template["param_groups"]})

    def _in_optimizer_order(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


def make_phases(model: Trainable, settings: TrainingSettings, device: torch.device) -> dict[str, Phase]:
    """Every phase of a model, by name and in the model's order."""
    phases = {name: Phase(name, model, settings, device) for name in model.phases}
    every = [parameter for phase in phases.values() for parameter in phase.parameters]
    assert len(set(every)) == len(every), f"phases of {type(model).__name__} share a parameter"
    return phases
