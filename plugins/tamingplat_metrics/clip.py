"""The image networks of CLIP, by torch-fidelity's modules.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021; as features of a Fréchet
distance: Kynkäänniemi et al., "The Role of ImageNet Classes in Fréchet Inception Distance", ICLR 2023.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import PublishedWeights, read_tensors
from tamingplat_metrics.config import ClipConfig
from tamingplat_metrics.extractor import FileExtractor, first_line

# By model: the file's name, the SHA-256 that its address names, and the number of features.
_PUBLISHED = {
    "vit-b-32": ("ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 512),
    "vit-b-16": ("ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 512),
    "vit-l-14": ("ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 768),
}
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class ClipNetwork(nn.Module):
    """A vision transformer of CLIP with its resizing, as torch-fidelity's extractor of the same name has it.

    Args:
        visual: Takes float32 (B, 3, R, R), normalised, and gives (B, D).
        side: R.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, visual: nn.Module, side: int) -> None:
        super().__init__()
        self.visual = visual
        self.side = side
        self.register_buffer("mean", 255 * torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", 255 * torch.tensor(_DEVIATION).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D)."""
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        resized = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(self.side, self.side), align_corners=False)
        features: Tensor = self.visual((resized - self.mean) / self.deviation)
        return features.float()


class ClipFeatures(FileExtractor):
    """The embedding of an image by one of CLIP's vision transformers.

    The published file is a TorchScript archive, a program with weights: it is opened only if its SHA-256 is the published one.
    Any other file is read as tensors alone, named as OpenAI's modules name them, and can be of a network of any size.
    """

    config: ClipConfig

    @property
    def name(self) -> str:
        """``clip``."""
        return "clip"

    @property
    def variant(self) -> str:
        """The model, where it is not the one that published distances take, ViT-B/32."""
        return "" if self.config.model == "vit-b-32" else self.config.model

    @property
    def dimensions(self) -> int:
        """512, or 768 of ``vit-l-14``."""
        return _PUBLISHED[self.config.model][2]

    @property
    def published(self) -> PublishedWeights:
        """The file that OpenAI publishes."""
        file, digest, _ = _PUBLISHED[self.config.model]
        url = f"https://openaipublic.azureedge.net/clip/models/{digest}/{file}"
        return PublishedWeights(url, f"{self.name}: the weights", name=f"clip-{file}", digest=digest)

    def load(self) -> nn.Module:
        """The network with its weights; errors as in ``FileExtractor.load``."""
        from torch_fidelity.feature_extractor_clip import build_model

        path = self.find()
        state = _scripted_tensors(path) if self.published.is_published(path) else read_tensors(path)
        if "visual.proj" not in state or "visual.conv1.weight" not in state:
            raise DataError(f"{path}: not a vision transformer of CLIP; take the file from {self.published.url}")
        width = state["visual.proj"].shape[1]
        if width != self.dimensions:
            raise DataError(f"{path}: gives {width} features, and {self.config.model} has {self.dimensions}")
        visual = {name: tensor for name, tensor in state.items() if name.startswith("visual.")}
        try:
            # The width of the text half is all that is asked of it.
            network = build_model({**visual, "text_projection": torch.empty(0, width)}, torch.float32)
        except (RuntimeError, KeyError) as error:
            raise DataError(f"{path}: not the weights of this network ({first_line(error)})") from error
        return ClipNetwork(network.visual, network.visual.input_resolution)


def _scripted_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of the published archive, whose content is known to be the published one."""
    with warnings.catch_warnings():
        # That torch is to drop these archives, of which nobody can offer another form.
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category)
        try:
            archive: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
            return dict(archive.state_dict())
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{path}: not a readable weight file ({first_line(error)})") from error
