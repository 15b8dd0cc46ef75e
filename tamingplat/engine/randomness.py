"""Randomness of training by address.

Before a model computes a loss, PyTorch's default generators (dropout draws from them) and the generator that is handed to the
model are seeded from the address of that computation. Nothing is carried from one step to the next, so that a checkpoint needs
no generator states: the seed and the step are enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tamingplat.interfaces import derive_seed


@contextmanager
def preserved_random_state(device: torch.device) -> Iterator[None]:
    """Give PyTorch's default generators, of the CPU and of ``device``, back as they were."""
    module = None if device.type == "cpu" else torch.get_device_module(device)
    cpu_state = torch.get_rng_state()
    device_state = None if module is None else module.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(cpu_state)
        if module is not None:
            module.set_rng_state(device_state)


class AddressedRandomness:
    """Seeds everything that a model can draw from, for one computation at a time."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.generator = torch.Generator(device=device)
        """What the model is handed; on ``device``."""
        self._device_module = None if device.type == "cpu" else torch.get_device_module(device)

    def at(self, *address: str | int) -> torch.Generator:
        """Seed the default generators and ``generator``, which get streams of their own, and return the latter."""
        default = derive_seed(self.seed, *address)
        torch.default_generator.manual_seed(default)
        if self._device_module is not None:
            self._device_module.manual_seed(default)
        return self.generator.manual_seed(derive_seed(self.seed, *address, "generator"))
