"""Entry point of the vector-quantized tokenizers."""

from __future__ import annotations

from tamingplat.interfaces import Component, TrainingSettings, hookimpl
from tamingplat_vq.config import VQGANConfig, VQVAEConfig
from tamingplat_vq.segmentation_config import SegmentationConfig
from tamingplat_vq.two_level_config import TwoLevelVQGANConfig

# The reference implementation multiplies a base rate by the images per step, over all processes and accumulation steps.
_BASE_LEARNING_RATE = 4.5e-6
_BATCH_SIZE = 32

# Of the published configurations; the learning rate does not follow batch_size by itself: state 4.5e-6 × batch_size with it.
_TRAINING = TrainingSettings(
    steps=50_000,
    batch_size=_BATCH_SIZE,
    learning_rate=_BASE_LEARNING_RATE * _BATCH_SIZE,
    optimizer="adam",
    betas=(0.5, 0.9),
    weight_decay=0.0,
)


@hookimpl
def tamingplat_components() -> list[Component]:
    """VQVAE, VQGAN on one grid of codes and on two, and the tokenizer of segmentation maps."""
    return [
        Component(
            kind="tokenizer",
            name="vqvae",
            factory="tamingplat_vq.vqvae:VQVAE",
            summary="Vector-quantized autoencoder trained with squared error, in the architecture of VQGAN",
            config=VQVAEConfig,
            paper="https://arxiv.org/abs/1711.00937",
            training=_TRAINING,
        ),
        Component(
            kind="tokenizer",
            name="vqgan",
            factory="tamingplat_vq.vqgan:VQGAN",
            summary="Vector-quantized autoencoder trained with a perceptual and a patch-based adversarial loss",
            config=VQGANConfig,
            paper="https://arxiv.org/abs/2012.09841",
            training=_TRAINING,
        ),
        Component(
            kind="tokenizer",
            name="vqgan-two-level",
            factory="tamingplat_vq.two_level:TwoLevelVQGAN",
            summary="VQGAN with a coarse and a fine grid of codes, in the layout of VQ-VAE-2",
            config=TwoLevelVQGANConfig,
            paper="https://arxiv.org/abs/2012.09841",
            training=_TRAINING,
        ),
        Component(
            kind="tokenizer",
            name="vq-segmentation",
            factory="tamingplat_vq.segmentation:VQSegmentation",
            summary="Vector-quantized autoencoder of one-hot label maps trained with a cross-entropy, for conditions",
            config=SegmentationConfig,
            paper="https://arxiv.org/abs/2012.09841",
            training=_TRAINING,
        ),
    ]
