"""The vision transformers of DINOv2, in the layout of their weight files.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024; as features of a Fréchet distance: Stein
et al., "Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models", NeurIPS 2023.

torch-fidelity's extractor of this network fetches and runs the network's code from GitHub and takes no local file, so the
network is here. Images are resized and normalised as torch-fidelity does it.

Shape letters: B batch, H/W image, D features, T tokens (one for the class, then the patches).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import PublishedWeights, read_tensors
from tamingplat_metrics.config import Dinov2Config
from tamingplat_metrics.extractor import FileExtractor, first_line

# By model: the name in its file, width, layers, heads.
_MODELS = {"vit-s-14": ("vits14", 384, 12, 6), "vit-b-14": ("vitb14", 768, 12, 12), "vit-l-14": ("vitl14", 1024, 24, 16)}
# The SHA-256 of each file: its name does not tell, and results are kept under the name.
_DIGESTS = {
    "vit-s-14": "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    "vit-b-14": "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    "vit-l-14": "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
}
_URL = "https://dl.fbaipublicfiles.com/dinov2"
_SIDE = 224
_PATCH = 14
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class PatchEmbedding(nn.Module):
    """One token for every 14 × 14 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH, stride=_PATCH)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, T − 1, D)."""
        tokens: Tensor = self.proj(images)
        return tokens.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention with queries, keys and values from one projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        queries, keys, values = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.proj(scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2))
        return mixed


class FeedForward(nn.Module):
    """Two layers with a GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        result: Tensor = self.fc2(nn.functional.gelu(self.fc1(tokens)))
        return result


class LayerScale(nn.Module):
    """A learned factor for each feature of a branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        return tokens * self.gamma


class Block(nn.Module):
    """Attention and feed-forward, each with its norm before it and its scale behind."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width)
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        result: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return result


class Dinov2Network(nn.Module):
    """A vision transformer of DINOv2, from 8-bit images to its class token.

    Args:
        width: D.
        layers: Number of blocks.
        heads: Number of heads.
        grid: Side of the grid of patches that the positions were learned on; 37 of the published ones.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, layers: int, heads: int, grid: int = 37) -> None:
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + grid**2, width))
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.register_buffer("mean", 255 * torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", 255 * torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D)."""
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        resized = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(_SIDE, _SIDE), align_corners=False)
        return self.class_token((resized - self.mean) / self.deviation)

    def class_token(self, images: Tensor) -> Tensor:
        """float32 (B, 3, H, W), normalised, its sides multiples of 14, to float32 (B, D)."""
        patches = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], dim=1)
        tokens = tokens + self._positions(images.shape[2] // _PATCH, images.shape[3] // _PATCH)
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = self.norm(tokens)[:, 0]
        return features

    def _positions(self, rows: int, columns: int) -> Tensor:
        """The learned positions (1, T, D), interpolated from their grid to the image's."""
        if rows == columns == self.grid:
            return self.pos_embed
        learned = self.pos_embed[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        # A tenth of a patch more, as in training: the published networks were made with it, and it shifts the samples' places.
        factors = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        positions = interpolate(learned, scale_factor=factors, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], positions], dim=1)


class Dinov2Features(FileExtractor):
    """The class token of one of DINOv2's vision transformers."""

    config: Dinov2Config

    @property
    def name(self) -> str:
        """``dinov2``."""
        return "dinov2"

    @property
    def variant(self) -> str:
        """The model, where it is not the one that published distances take, ViT-L/14."""
        return "" if self.config.model == "vit-l-14" else self.config.model

    @property
    def dimensions(self) -> int:
        """384, 768 or 1024: the network's width."""
        return _MODELS[self.config.model][1]

    @property
    def published(self) -> PublishedWeights:
        """The file that Meta publishes."""
        name = f"dinov2_{_MODELS[self.config.model][0]}"
        return PublishedWeights(
            f"{_URL}/{name}/{name}_pretrain.pth", f"{self.name}: the weights", digest=_DIGESTS[self.config.model]
        )

    def load(self) -> nn.Module:
        """The network with its weights; errors as in ``FileExtractor.load``."""
        path = self.find()
        state = read_tensors(path)
        state.pop("mask_token", None)  # for training alone
        _, width, layers, heads = _MODELS[self.config.model]
        network = Dinov2Network(width, layers, heads)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            what = f"not the weights of {self.config.model} ({first_line(error)})"
            raise DataError(f"{path}: {what}; take the file from {self.published.url}") from error
        return network
