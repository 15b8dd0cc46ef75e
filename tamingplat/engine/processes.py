"""What the processes of one training do together."""

from __future__ import annotations

from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast, broadcast_object_list
from torch import Tensor, nn

from tamingplat.engine.checkpoint import Checkpoint, CheckpointFolder

T = TypeVar("T")


def wrap(model: nn.Module, accelerator: Accelerator, *, some_unused: bool) -> nn.Module:
    """The model, on the accelerator's device, as something whose gradients are synchronised.

    Buffers are broadcast from process 0 before every forward pass, as is PyTorch's default: what a checkpoint holds is then
    what every process continues with.

    Args:
        model: On all processes alike; process 0's weights count.
        accelerator: Synchronises.
        some_unused: Whether there are backward passes that leave some parameters out, as those of one phase among several do.
    """
    if accelerator.num_processes == 1:
        return model
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=some_unused)
    wrapped: nn.Module = accelerator.prepare_model(model)
    return wrapped


def share_buffers(model: nn.Module, accelerator: Accelerator) -> None:
    """Give every process the buffers of process 0."""
    if accelerator.num_processes > 1:
        for buffer in _buffers(model):
            broadcast(buffer)


def mean_of_processes(value: Tensor, accelerator: Accelerator) -> Tensor:
    """The mean of every process's tensor."""
    return value if accelerator.num_processes == 1 else accelerator.reduce(value, reduction="mean")


def sum_of_processes(value: float, accelerator: Accelerator) -> float:
    """The sum of every process's number."""
    if accelerator.num_processes == 1:
        return value
    total: Tensor = accelerator.reduce(torch.tensor(value, device=accelerator.device), reduction="sum")
    return total.item()


def from_main_process(value: T, accelerator: Accelerator) -> T:
    """What process 0 has."""
    return value if accelerator.num_processes == 1 else broadcast_object_list([value])[0]


def latest_checkpoint(folder: CheckpointFolder, accelerator: Accelerator) -> Checkpoint | None:
    """The newest whole checkpoint, which process 0 looks for; every process then reads it from the same folder."""
    found = folder.latest() if accelerator.is_main_process else None
    step = from_main_process(None if found is None else found.step, accelerator)
    if step is None:
        return None
    return found or folder.read(step, thorough=False)


def _buffers(model: nn.Module) -> list[Tensor]:
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return [value for name, value in model.state_dict().items() if name not in parameters]
