"""The segmentation tokenizer: its losses, its codes, what it learns and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQVAEConfig
from tamingplat_vq.segmentation import VQSegmentation, cross_entropy
from tamingplat_vq.segmentation_config import SegmentationConfig
from tamingplat_vq.vqvae import VQVAE
from torch.nn.functional import one_hot

from tamingplat.interfaces import NoConfig, TamingplatError

TINY = {
    "codebook_size": 16,
    "embedding_dim": 8,
    "downsampling": 1,
    "channels": 8,
    "norm_groups": 4,
    "residual_blocks": 1,
    "classes": 3,
}


def tiny(seed=0, **fields):
    torch.manual_seed(seed)
    config = SegmentationConfig(**{**TINY, **fields})
    return VQSegmentation(config, {}, image_size=(8, 8), channels=config.classes)


def maps(labels, classes=3):
    return one_hot(labels, classes).permute(0, 3, 1, 2).float()


def quadrants():
    """Four 8×8 label maps, each of two or three classes in four rectangles of its own."""
    labels = torch.zeros(4, 8, 8, dtype=torch.int64)
    for index, (row, column) in enumerate(((2, 4), (4, 6), (6, 2), (4, 4))):
        labels[index, :row, column:] = 1
        labels[index, row:, :column] = 2
        labels[index, row:, column:] = index % 3
    return labels


def test_cross_entropies_by_hand():
    # One image of two pixels and three classes.
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, -1.0]], [[-1.0, 3.0]]]])
    labels = maps(torch.tensor([[[0, 1]]]))
    first = math.log(math.exp(2) + 1 + math.exp(-1)) - 2
    second = math.log(1 + math.exp(-1) + math.exp(3)) + 1
    assert cross_entropy(logits, labels, "categorical").item() == pytest.approx((first + second) / 2)
    wrong = [math.log1p(math.exp(value)) for value in (0.0, -1.0, 0.0, 3.0)]
    right = [math.log1p(math.exp(-value)) for value in (2.0, -1.0)]
    assert cross_entropy(logits, labels, "binary").item() == pytest.approx((sum(wrong) + sum(right)) / 6)
    assert cross_entropy(logits.bfloat16(), labels, "binary").dtype == torch.float32


@pytest.mark.parametrize("kind", ["categorical", "binary"])
def test_the_objective_is_cross_entropy_and_weighed_quantizer_terms(kind):
    model = tiny(cross_entropy=kind, codebook_weight=0.5, commitment_placement="paper").eval()
    images = maps(torch.randint(3, (2, 8, 8), generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        terms = model({"image": images}, step=0, phase="main", generator=None)
        latents = model.quant_conv(model.encoder(images))
        codes = model.encode(images)
        vectors = model.quantize.embedding.weight[codes].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
        logits = model.logits(codes, (8, 8))
        log_softmax = logits.double().log_softmax(1)
        entropy = -(log_softmax * images).sum(1).mean()
        if kind == "binary":
            log_odds = logits.double()
            entropy = -(images * log_odds.sigmoid().log() + (1 - images) * (-log_odds).sigmoid().log()).mean()
    distance = (latents - vectors).square().mean()
    torch.testing.assert_close(terms["cross_entropy"].double(), entropy, rtol=1e-5, atol=0)
    torch.testing.assert_close(terms["codebook"], distance)
    torch.testing.assert_close(terms["commitment"], 0.25 * distance)
    torch.testing.assert_close(terms["total"].double(), entropy + 0.5 * 1.25 * distance.double(), rtol=1e-5, atol=0)
    assert terms["pixel_accuracy"] == (logits.argmax(1) == images.argmax(1)).float().mean()
    assert terms["codebook_usage"] == len(codes.unique()) / 16


def test_a_few_label_maps_are_learned_in_the_training_loop(toys: ModuleType, tmp_path: Path):
    images = maps(quadrants())

    class Maps(toys.Points):
        def __init__(self) -> None:
            super().__init__(len(images), len(images))

        def load(self, indices, epoch):
            return {"image": images[list(indices)]}

        def load_validation(self, indices):
            return self.load(indices, 0)

        def prepare(self, batch, **place):
            return batch

    model = tiny()
    settings = {"steps": 60, "batch_size": 4, "learning_rate": 1e-2, "optimizer": "adam", "betas": (0.5, 0.9)}
    record = toys.train_here(model, Maps(), tmp_path, **settings, validate_every=60)
    train = [point.terms for point in record.curve if point.split == "train"]
    assert train[-1]["cross_entropy"] < 0.3 * train[0]["cross_entropy"]
    (last,) = [point.terms for point in record.curve if point.split == "validation"]
    assert last["pixel_accuracy"] > 0.95
    with torch.no_grad():
        decoded = model.decode(model.encode(images), (8, 8))
    assert (decoded * images).sum() / images.sum() == pytest.approx(last["pixel_accuracy"])


def test_decoding_gives_one_hot_maps_of_the_most_likely_class():
    model = tiny(classes=5).eval()
    codes = torch.randint(16, (3, 6), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoded, logits = model.decode(codes, (4, 6)), model.logits(codes, (4, 6))
    assert decoded.shape == logits.shape == (3, 5, 4, 6) and decoded.dtype == torch.float32
    assert torch.equal(decoded, maps(logits.argmax(1), 5))


def test_names_of_parameters_are_the_published_ones():
    vqvae = VQVAE(
        VQVAEConfig(**{name: value for name, value in TINY.items() if name != "classes"}),
        {"perceptual": NoDistance(NoConfig(), {})},
        image_size=(8, 8),
        channels=3,
    )
    assert list(tiny().state_dict()) == list(vqvae.state_dict())
    state = tiny(classes=7).state_dict()
    assert state["encoder.conv_in.weight"].shape[1] == state["decoder.conv_out.bias"].shape[0] == 7


def test_state_round_trips_through_a_file(tmp_path):
    model, other = tiny().eval(), tiny(seed=1).eval()
    images = maps(quadrants())
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        codes = model.encode(images)
        assert torch.equal(other.encode(images), codes)
        assert torch.equal(other.logits(codes, (8, 8)), model.logits(codes, (8, 8)))


def test_images_of_other_channels_are_refused_with_every_reason():
    config = SegmentationConfig(**TINY)
    assert VQSegmentation.refusal(config, image_size=(8, 8), channels=3) is None
    reason = VQSegmentation.refusal(config, image_size=(9, 8), channels=1)
    assert reason is not None
    assert "one-hot label maps" in reason and "each of 3 classes, not images of 1 channel;" in reason
    assert "set classes to" in reason and "9×8 pixels are not divisible by 2" in reason
    with torch.device("meta"), pytest.raises(TamingplatError, match=r"of 3 classes, not images of 4 channels; .*not divisible"):
        VQSegmentation(config, {}, image_size=(9, 8), channels=4)
    for classes in ({}, {"classes": 1}, {"classes": 3, "cross_entropy": "multinomial"}, {"classes": 3, "perceptual": "none"}):
        with pytest.raises(ValidationError):
            SegmentationConfig(**classes)


@pytest.mark.parametrize("wrong", ["images", "several", "none"])
def test_values_that_are_not_one_hot_are_refused(wrong):
    given = {
        "images": torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1,
        "several": torch.ones(2, 3, 8, 8),
        "none": torch.zeros(2, 3, 8, 8),
    }[wrong]
    with pytest.raises(TamingplatError, match="takes one-hot label maps"):
        tiny().encode(given)
    with pytest.raises(TamingplatError, match="takes one-hot label maps"):
        tiny()({"image": given}, step=0, phase="main", generator=None)


def test_mixed_precision_keeps_the_losses_in_float32():
    model, images = tiny(), maps(quadrants())
    plain = model({"image": images}, step=0, phase="main", generator=None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model({"image": images}, step=0, phase="main", generator=None)
    assert all(term.dtype == torch.float32 for term in terms.values())
    torch.testing.assert_close(terms["cross_entropy"], plain["cross_entropy"], rtol=0.03, atol=0)
