"""Small models in place of real ones: what a component is given that needs another to work.

Shape letters: B batch, C/H/W image, N code positions, V vocabulary, P condition positions, T visited, K targets, D features,
L labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tamingplat.interfaces import CodeSpace, ConditionLayout, DatasetInfo, NoConfig
from tamingplat.interfaces.models import (
    Classifier,
    Dataset,
    Example,
    FeatureExtractor,
    Perceptual,
    Prior,
    PriorBatch,
    PriorState,
    Tokenizer,
    VisitPlan,
)

_SIDE = 4


class StandInTokenizer(Tokenizer):
    """The mean of every 4×4 square (of every pixel, where images are not divisible by 4) in seven steps."""

    levels = 7

    def __init__(self) -> None:
        super().__init__(NoConfig(), {}, image_size=(16, 24), channels=3)
        self.register_buffer("shades", torch.linspace(-1, 1, self.levels))

    def _side(self, image_size: tuple[int, int]) -> int:
        return 1 if image_size[0] % _SIDE or image_size[1] % _SIDE else _SIDE

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        """One grid."""
        side = self._side(image_size)
        return CodeSpace(((image_size[0] // side, image_size[1] // side),), self.levels)

    def encode(self, images: Tensor) -> Tensor:
        """See the interface."""
        means = F.avg_pool2d(images.float().mean(1, keepdim=True), self._side((images.shape[2], images.shape[3])))
        return ((means.flatten(1) + 1) / 2 * self.levels).long().clamp(0, self.levels - 1)

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Grey squares of three channels."""
        grid = self.code_space(image_size).grids[0]
        shades = self.get_buffer("shades")[codes].view(len(codes), 1, *grid).expand(-1, 3, -1, -1)
        return F.interpolate(shades, image_size, mode="nearest")

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """The error of the reconstruction; nothing is trained."""
        images = batch["image"]
        return {"total": F.mse_loss(self.decode(self.encode(images), (images.shape[2], images.shape[3])), images)}


class _Nothing(PriorState):
    """What a prior remembers that reads everything anew."""

    def select(self, rows: Tensor) -> Self:
        """Nothing."""
        return self

    @classmethod
    def cat(cls, states: Sequence[Self]) -> Self:
        """Nothing."""
        return states[0]


class StandInPrior(Prior):
    """Logits are linear in how often each code was visited, in the condition and in the position: exact, tiny, of any order."""

    visits = "any_subset"
    grouped = True

    def __init__(self, space: CodeSpace, layout: ConditionLayout) -> None:
        super().__init__(space, layout, NoConfig(), {})
        self.length, self.vocab_size = space.length, space.vocab_size
        generator = torch.Generator().manual_seed(0)
        tokens = max((part.vocab_size for part in layout), default=1)
        self.by_position = nn.Parameter(torch.randn(space.length, space.vocab_size, generator=generator) / 2)
        self.by_code = nn.Parameter(torch.randn(space.vocab_size, space.vocab_size, generator=generator) / 2)
        self.by_token = nn.Parameter(torch.randn(tokens, space.vocab_size, generator=generator) / 2)

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, PriorState]:
        """See the interface."""
        seen = self.by_code[codes.gather(1, visited)]
        if lengths is not None:
            seen = seen * (torch.arange(visited.shape[1], device=codes.device) < lengths[:, None])[..., None]
        context = seen.sum(1) / self.length + self.by_token[condition].sum(1)
        return self.by_position[targets] + context[:, None], _Nothing()

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        """See the interface."""
        found = torch.empty_like(codes, dtype=self.by_position.dtype)
        for start, stop in pairwise([0, *accumulate(plan.sizes.tolist())]):
            targets = plan.order[:, start:stop]
            logits, _ = self.logits(codes, plan.order[:, :start], targets, condition)
            chosen = logits.log_softmax(-1).gather(-1, codes.gather(1, targets)[..., None])[..., 0]
            found = found.scatter(1, targets, -chosen)
        return found

    def forward(self, batch: PriorBatch, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """The mean of nll."""
        return {"total": self.nll(batch.codes, batch.condition, batch.plan).mean()}


class StandInDistance(Perceptual):
    """The mean squared difference."""

    def __init__(self) -> None:
        super().__init__(NoConfig(), {})

    def missing(self) -> str | None:
        """Nothing."""
        return None

    @property
    def default_weight(self) -> float:
        """One."""
        return 1.0

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        """See the interface."""
        return (images - others).float().square().mean((1, 2, 3))


class StandInFeatures(FeatureExtractor):
    """Mean and spread of each channel."""

    def __init__(self) -> None:
        super().__init__(NoConfig(), {})

    def missing(self) -> str | None:
        """Nothing."""
        return None

    @property
    def dimensions(self) -> int:
        """Six."""
        return 6

    def features(self, images: Tensor) -> Tensor:
        """See the interface."""
        values = images.float().flatten(2) / 255
        return torch.cat([values.mean(2), values.std(2)], 1)


class StandInClassifier(Classifier):
    """Which channel is the brightest."""

    def __init__(self) -> None:
        super().__init__(NoConfig(), {})

    def missing(self) -> str | None:
        """Nothing."""
        return None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The channels."""
        return ("red", "green", "blue")

    @property
    def dimensions(self) -> int:
        """Three."""
        return 3

    def features(self, images: Tensor) -> Tensor:
        """The mean of each channel."""
        return images.float().mean((2, 3))

    def log_probabilities(self, images: Tensor) -> Tensor:
        """See the interface."""
        return (self.features(images) / 16).log_softmax(1)


class StandInDataset(Dataset):
    """Squares of random colours, all columns of conditions beside them.

    Args:
        info: What it says of itself.
    """

    def __init__(self, info: DatasetInfo) -> None:
        super().__init__(NoConfig(), {})
        self._info = info

    @property
    def info(self) -> DatasetInfo:
        """What it was given."""
        return self._info

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """See the interface; views do not differ."""
        height, width = self._info.image_size
        generator = np.random.default_rng([list(self._info.splits).index(split), index])
        coarse = generator.integers(0, 256, (self._info.channels, -(-height // 8), -(-width // 8)), np.uint8)
        image = coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width]
        example: Example = {"image": np.ascontiguousarray(image)}
        if self._info.label_names is not None:
            example["label"] = np.array(generator.integers(len(self._info.label_names)), np.int64)
        if self._info.segmentation_classes is not None:
            example["segmentation"] = (image[0].astype(np.int64) * self._info.segmentation_classes) // 256
        for name in ("depth", "coordinates"):
            if name in self._info.columns:
                example[name] = generator.random((1, height, width), np.float32)
        if self._info.joints is not None:
            places = generator.uniform(0, min(height, width) - 1, (2, len(self._info.joints), 2))
            seen = generator.integers(0, 3, (2, len(self._info.joints), 1))
            example["keypoints"] = np.concatenate([places * (seen > 0), seen], -1).astype(np.float32)
        return example

    def batch(self, split: str, count: int) -> Mapping[str, Tensor]:
        """The first examples as one batch of columns."""
        examples = [self.read(split, index) for index in range(count)]
        return {name: torch.from_numpy(np.stack([example[name] for example in examples])) for name in examples[0]}
