"""Settings of the perceptual networks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tamingplat.interfaces import Config, FilePath, Runtime


class ShiftTolerantConfig(Config):
    """Settings of the shift-tolerant networks."""

    weights: FilePath | None = Field(
        None,
        description="Weight file in the layout of stlpips-pytorch 0.0.2; none takes the one of that package, which "
        "pip install 'tamingplat[st]' brings.",
    )


class LpipsConfig(Config):
    """Settings of the LPIPS networks. The linear layers come with the lpips package, the backbone does not."""

    weights: FilePath | None = Field(
        None,
        description="Backbone weights, a state dict of torchvision's classifier such as vgg16-397923af.pth; none takes the "
        "file of that name in torch.hub's checkpoint folder.",
    )
    download: Annotated[bool, Runtime()] = Field(
        False, description="Download the backbone's weights into torch.hub's checkpoint folder where they are not there yet."
    )
