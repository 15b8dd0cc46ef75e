"""Frozen networks that are read at first use, and how they get their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from tamingplat.interfaces import DataError, TamingplatError

Network = TypeVar("Network", bound=nn.Module)


class FrozenModule(Generic[Network]):
    """A network that is made at first use and follows the device of what it is given.

    Args:
        load: Makes it with its weights.
        skeleton: Makes it without, for the meta device, on which operations are counted and not carried out.
    """

    def __init__(self, load: Callable[[], Network], skeleton: Callable[[], Network]) -> None:
        self._load = load
        self._skeleton = skeleton
        self._network: Network | None = None

    def on(self, device: torch.device) -> Network:
        """The network on ``device``, in eval mode and without gradients to its parameters; without weights on meta."""
        if device.type == "meta":
            with device:
                # Moved there, too: not everything that a package makes minds the device.
                return self._skeleton().to(device).eval().requires_grad_(False)
        network = self._network
        if network is None:
            # Made in inference mode, weights could never again take part in a gradient to the images.
            with torch.inference_mode(False):
                network = self._load().eval().requires_grad_(False)
        if next(network.parameters()).device != device:
            with torch.inference_mode(False):
                network = network.to(device)
        self._network = network
        return network


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path, rename: Callable[[str], str] = str) -> None:
    """Give every parameter and buffer of ``network`` its tensor, as float32.

    Args:
        network: May be on the meta device; takes the tensors over.
        state: What the file holds; may hold more than the network needs.
        path: The file, for the message.
        rename: From a name in the network to the name in the file.

    Raises:
        DataError: A tensor is missing or has another shape; the message lists the first ten of each.
    """
    wanted = network.state_dict()
    missing = [rename(name) for name in wanted if rename(name) not in state]
    misshapen = [
        f"{rename(name)} {tuple(state[rename(name)].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if rename(name) in state and state[rename(name)].shape != tensor.shape
    ]
    if missing or misshapen:
        found = {"missing": missing, "misshapen": misshapen}
        lists = "; ".join(f"{what}: {', '.join(names[:10])}" for what, names in found.items() if names)
        raise DataError(f"{path}: not the weights of this network; {lists}")
    network.load_state_dict({name: state[rename(name)].float() for name in wanted}, assign=True)


def check_images(name: str, images: Tensor, smallest: int) -> None:
    """Refuse images that a network for colour images cannot take.

    Raises:
        TamingplatError: Not (B, 3, H, W), or smaller than ``smallest`` pixels.
    """
    if images.dim() != 4 or images.shape[1] != 3:
        raise TamingplatError(
            f"{name} takes colour images (B, 3, H, W), not {tuple(images.shape)}; "
            "convert the images to three channels, or use the perceptual network none"
        )
    if min(images.shape[2:]) < smallest:
        height, width = images.shape[2:]
        raise TamingplatError(
            f"{name} needs at least {smallest}×{smallest} pixels, not {height}×{width}; "
            "use larger images, or the perceptual network none"
        )
