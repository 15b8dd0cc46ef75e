"""What a model does behind every step: when the loop lets it, with which randomness, and through an interruption."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQGANConfig
from tamingplat_vq.vqgan import VQGAN

from tamingplat.interfaces import NoConfig


def follower(toys: ModuleType, calls: list, **settings):
    """A model of several phases that notes how it is called."""

    class Follower(toys.Adversarial):
        def after_step(self, step, generator):
            assert self.training and not torch.is_grad_enabled()
            calls.append((step, self.decoder.weight.clone(), torch.rand(3, generator=generator).tolist()))
            self.decoder.bias.fill_(float(step))

    torch.manual_seed(0)
    return Follower(**settings)


def test_it_comes_once_behind_all_phases_and_before_averaging(toys: ModuleType, tmp_path: Path):
    calls: list = []
    model = follower(toys, calls, start=2)
    toys.train_here(model, toys.Points(), tmp_path, steps=4, accumulation_steps=2, ema_decay=0.5)
    assert [step for step, *_ in calls] == [0, 1, 2, 3]
    assert all(not torch.equal(one[1], other[1]) for one, other in pairwise(calls))
    # The average took what was set, in every step; it began with the initial bias.
    torch.manual_seed(0)
    bias = toys.Adversarial(start=2).decoder.bias.detach()
    for step in range(4):
        bias = 0.5 * bias + 0.5 * step
    torch.testing.assert_close(model.decoder.bias.detach(), bias)


def test_its_randomness_is_addressed_by_seed_and_step(toys: ModuleType, tmp_path: Path):
    drawn = []
    for folder, seed, steps in (("a", 0, 3), ("b", 0, 2), ("c", 1, 2)):
        calls: list = []
        toys.train_here(follower(toys, calls), toys.Points(), tmp_path / folder, seed=seed, steps=steps)
        drawn.append([values for *_, values in calls])
    assert drawn[0][:2] == drawn[1] and drawn[0][0] != drawn[0][1] and drawn[1][0] != drawn[2][0]


class Images:
    """Images that are computed from their indices; reading breaks at one step, where it is asked to."""

    length, validation_length = 24, 4

    def __init__(self, broken_at: int | None = None) -> None:
        self.broken_at = broken_at

    def load(self, indices, epoch):
        phases = torch.tensor(list(indices), dtype=torch.float32)[:, None, None, None]
        rows, columns = torch.arange(8.0)[:, None], torch.arange(8.0)
        return {"image": torch.sin(phases + rows * torch.cos(phases) + columns).repeat(1, 3, 1, 1)}

    def load_validation(self, indices):
        return self.load([1000 + index for index in indices], -1)

    def prepare(self, batch, *, address, rows, total):
        if address == self.broken_at:
            raise RuntimeError("the power went off")
        return batch


def vqgan(**fields):
    torch.manual_seed(0)
    config = VQGANConfig(
        codebook_size=32, embedding_dim=4, downsampling=1, channels=4, norm_groups=2, residual_blocks=1, perceptual="none",
        discriminator_channels=4, discriminator_layers=1, discriminator_start=2, **fields,
    )  # fmt: skip
    return VQGAN(config, {"perceptual": NoDistance(NoConfig(), {})}, image_size=(8, 8), channels=3)


@pytest.mark.parametrize(
    "fields",
    [
        {"codebook_update": "ema", "codebook_decay": 0.9, "codebook_init": "kmeans", "revive_after": 2},
        {"codebook_init": "kmeans", "revive_after": 2},
    ],
)
def test_an_interrupted_codebook_continues_bit_for_bit(toys: ModuleType, tmp_path: Path, fields):
    settings = {"steps": 5, "batch_size": 4, "checkpoint_every": 2, "ema_decay": 0.9}
    whole, broken, continued = (vqgan(**fields) for _ in range(3))
    record = toys.train_here(whole, Images(), tmp_path / "whole", **settings)
    with pytest.raises(RuntimeError, match="power"):
        toys.train_here(broken, Images(broken_at=3), tmp_path / "broken", **settings)
    resumed = toys.train_here(continued, Images(), tmp_path / "broken", **settings)
    assert resumed.resumptions == 1
    assert [point.terms for point in resumed.curve] == [point.terms for point in record.curve]
    state = continued.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in whole.state_dict().items())
    # There was something to continue: codes that are about to be revived.
    assert (state["quantize.unused_steps"] > 0).any()
