"""The arithmetic of parts of a model that mixed precision must not touch."""

from __future__ import annotations

import torch


def without_autocast(device: torch.device) -> torch.autocast:
    """Inside, operations on ``device`` keep the types of what they are given, whatever the precision around.

    The meta device, on which operations are counted and not carried out, has no autocast and follows the CPU's.
    """
    return torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False)
