"""Every shipped tokenizer that is trained keeps the promises of its kind."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, NamedTuple

import pytest
import torch
from tamingplat_perceptual.none import NoDistance
from torch import Tensor
from torch.nn.functional import one_hot

from tamingplat.interfaces import CodeSpace, NoConfig
from tamingplat.interfaces.models import Tokenizer
from tamingplat.testing.tokenizers import (
    check_code_range,
    check_encode_deterministic,
    check_phase_gradients,
    check_round_trip_state,
)

NETWORK: dict[str, Any] = {
    "codebook_size": 11,
    "embedding_dim": 5,
    "channels": 4,
    "norm_groups": 2,
    "residual_blocks": 1,
    "dropout": 0.2,
}
ADVERSARY: dict[str, Any] = {"discriminator_channels": 4, "discriminator_layers": 1, "discriminator_start": 1}


class Row(NamedTuple):
    """A tokenizer's plugin and name there, settings that keep it small, and the grids of a 16×24 image."""

    plugin: str
    name: str
    settings: dict[str, Any]
    grids: tuple[tuple[int, ...], ...]
    channels: int = 3


ROWS = [
    Row("tamingplat_vq", "vqvae", NETWORK | {"downsampling": 2}, ((4, 6),)),
    Row("tamingplat_vq", "vqgan", NETWORK | ADVERSARY | {"downsampling": 2, "perceptual": "none"}, ((4, 6),)),
    Row(
        "tamingplat_vq",
        "vqgan-two-level",
        NETWORK | ADVERSARY | {"downsampling": 1, "coarse_downsampling": 2, "perceptual": "none"},
        ((2, 3), (8, 12)),
    ),
    Row("tamingplat_vq", "vq-segmentation", NETWORK | {"downsampling": 2, "classes": 4}, ((4, 6),), channels=4),
]


class Case(NamedTuple):
    row: Row
    images: Tensor

    def build(self, seed: int = 0) -> Tokenizer:
        components = importlib.import_module(f"{self.row.plugin}.plugin").tamingplat_components()
        found = next(component for component in components if component.name == self.row.name)
        config = found.config(**self.row.settings)
        cls: type[Tokenizer] = pkgutil.resolve_name(found.factory)
        assert cls.refusal(config, image_size=(16, 24), channels=self.row.channels) is None
        torch.manual_seed(seed)
        parts = {"perceptual": NoDistance(NoConfig(), {})}
        return cls(config, parts, image_size=(16, 24), channels=self.row.channels)


@pytest.fixture(params=ROWS, ids=[row.name for row in ROWS])
def case(request: pytest.FixtureRequest) -> Case:
    generator = torch.Generator().manual_seed(0)
    row: Row = request.param
    if row.name == "vq-segmentation":
        labels = torch.randint(row.channels, (3, 16, 24), generator=generator)
        return Case(row, one_hot(labels, row.channels).permute(0, 3, 1, 2).float())
    return Case(row, torch.rand(3, row.channels, 16, 24, generator=generator) * 2 - 1)


def test_codes_and_images(case: Case) -> None:
    tokenizer = case.build()
    assert tokenizer.code_space((16, 24)) == CodeSpace(case.row.grids, 11)
    check_code_range(tokenizer, case.images)
    check_encode_deterministic(tokenizer, case.images)


def test_state_round_trip(case: Case) -> None:
    check_round_trip_state(case.build(), lambda: case.build(seed=1), case.images)


def test_gradients_of_every_phase(case: Case) -> None:
    tokenizer = case.build()
    assert tuple(tokenizer.phases_at(1)) == tokenizer.phases
    check_phase_gradients(tokenizer, {"image": case.images}, step=1, generator=torch.Generator().manual_seed(0))


def test_counted_without_memory(case: Case) -> None:
    """Plans count parameters, and operations of a training step, on the meta device."""
    expected = sum(parameter.numel() for parameter in case.build().parameters())
    with torch.device("meta"):
        tokenizer = case.build()
        assert sum(parameter.numel() for parameter in tokenizer.parameters()) == expected
        for phase in tokenizer.phases:
            terms = tokenizer({"image": case.images.to("meta")}, step=1, phase=phase, generator=None)
            terms["total"].backward()
