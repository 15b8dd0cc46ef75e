"""The patch discriminator, and a batch normalisation whose statistics are those of all processes together.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017.

Shape letters: B batch, C channels of a layer, H/W image, h/w feature map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tamingplat.interfaces.models import process_count, sum_over_processes, without_autocast


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, on any device.

    PyTorch's synchronised one refuses a CPU. In eval mode, in one process and without ``sync`` it is its base class.

    Args:
        channels: C.
        sync: Whether statistics are summed over processes.
    """

    def __init__(self, channels: int, sync: bool = True) -> None:
        super().__init__(channels)
        self.sync = sync

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same; in training mode it updates the running statistics as its base class does."""
        if not self.training or not self.sync or process_count() == 1:
            return super().forward(x)
        with without_autocast(x.device):
            return self._over_processes(x.float()).to(x.dtype)

    def _over_processes(self, x: Tensor) -> Tensor:
        count = sum_over_processes(torch.full((), x.numel() / x.shape[1], device=x.device))
        # Two passes: a difference of two sums of squares would lose digits to cancellation.
        mean = sum_over_processes(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[None, :, None, None]
        variance = sum_over_processes(centred.square().sum(dim=(0, 2, 3))) / count
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            unbiased = variance * count / (count - 1).clamp_min(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return centred * scale[None, :, None, None] + self.bias[None, :, None, None]


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of an image; every logit says how real one of them looks.

    Args:
        image_channels: Of the images.
        width: Channels of the first layer; each following layer has twice as many, at most eight times.
        layers: How many layers have stride 2.
        sync: Whether batch statistics are summed over processes.
    """

    def __init__(self, image_channels: int, width: int, layers: int, sync: bool = True) -> None:
        super().__init__()
        widths = [width * min(2**layer, 8) for layer in range(layers + 1)]
        main: list[nn.Module] = [nn.Conv2d(image_channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, layers + 1):
            stride = 2 if layer < layers else 1
            # No bias in front of a normalisation that would take it away again.
            main += [
                nn.Conv2d(widths[layer - 1], widths[layer], 4, stride=stride, padding=1, bias=False),
                BatchNorm(widths[layer], sync),
                nn.LeakyReLU(0.2),
            ]
        self.main = nn.Sequential(*main, nn.Conv2d(widths[layers], 1, 4, padding=1))
        for module in self.main:
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, BatchNorm):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        """float (B, image channels, H, W) to logits, float32 (B, 1, h, w)."""
        logits: Tensor = self.main(images)
        return logits.float()
