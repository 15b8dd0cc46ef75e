"""Every shipped component keeps every promise of its kind; a component that is missing here is a failing test."""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from tamingplat_metrics.config import InceptionConfig
from tamingplat_metrics.inception import InceptionFeatures, InceptionLogits
from torch import Tensor
from torch.nn.functional import one_hot
from torch_fidelity.feature_extractor_clip import VisionTransformer
from torchvision.models import mobilenet_v3_small, squeezenet1_1

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import CheckpointRequest
from tamingplat.registry import load_registry
from tamingplat.testing import conformance

FIXTURES = Path(__file__).parents[1] / "fixtures"
EMOJI = Path(__file__).parents[2] / "experiments" / "data"

NETWORK: dict[str, Any] = {
    "codebook_size": 11,
    "embedding_dim": 5,
    "downsampling": 2,
    "channels": 4,
    "norm_groups": 2,
    "residual_blocks": 1,
    "dropout": 0.2,
}
ADVERSARY: dict[str, Any] = {
    "perceptual": "none",
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "discriminator_start": 1,
}
PRIOR_SPACES = [CodeSpace(((3, 5),), 7), CodeSpace(((2, 2), (3, 4)), 6)]
FILES = {"train": str(EMOJI / "noto-emoji-64-train.parquet"), "validation": str(EMOJI / "noto-emoji-64-validation.parquet")}


class FewFeatures(InceptionFeatures):
    """Takes the place of 2048 features, whose covariances take a minute."""

    dimensions = 8


class FewLogits(InceptionLogits):
    """The same for the classes."""

    dimensions = 8


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """Some images in folders of two classes, and a backbone with random weights; gone when the process ends."""
    made = tempfile.TemporaryDirectory()
    generator = torch.Generator().manual_seed(0)
    for number in range(8):
        path = Path(made.name) / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(256, (20, 24, 3), dtype=torch.uint8, generator=generator)
        Image.fromarray(pixels.numpy()).save(path)
    torch.save(squeezenet1_1(weights=None).state_dict(), Path(made.name) / "squeezenet.pth")
    return made


def images() -> dict[str, Any]:
    return {"root": str(Path(folder().name) / "images"), "validation_fraction": 0.5, "size": [16, 16], "crop": "random"}


def squeezenet() -> dict[str, Any]:
    return {"weights": str(Path(folder().name) / "squeezenet.pth")}


def mobilenet() -> dict[str, Any]:
    path = Path(folder().name) / "mobilenet.pth"
    if not path.exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            torch.save(mobilenet_v3_small(weights=None, num_classes=3).state_dict(), path)
        path.with_suffix(".txt").write_text("circle\nsquare\nstar\n")
    settings = {"weights": str(path), "label_file": str(path.with_suffix(".txt"))}
    return {"architecture": "mobilenet_v3_small", "size": 32, **settings}


def small_clip() -> dict[str, Any]:
    path = Path(folder().name) / "clip.safetensors"
    if not path.exists():
        visual = VisionTransformer(input_resolution=32, patch_size=16, width=64, layers=1, heads=1, output_dim=512)
        save_file({f"visual.{name}": tensor for name, tensor in visual.state_dict().items()}, path)
    return {"weights": str(path)}


def labels() -> dict[str, Tensor]:
    found = torch.randint(4, (3, 16, 24), generator=torch.Generator().manual_seed(0))
    return {"image": one_hot(found, 4).permute(0, 3, 1, 2).float()}


def checkpoint(name: str) -> CheckpointRequest:
    parity = FIXTURES / "parity"
    state = torch.load(parity / f"{name}.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    return CheckpointRequest(tensors=state, configuration=yaml.safe_load((parity / f"{name}.yaml").read_text()))


# A row per component: its settings, and what else it needs to be examined.
ROWS: dict[str, dict[str, Any]] = {
    "tokenizer:vqvae": {"config": NETWORK},
    "tokenizer:vqgan": {"config": NETWORK | ADVERSARY},
    "tokenizer:vqgan-two-level": {"config": NETWORK | ADVERSARY | {"downsampling": 1, "coarse_downsampling": 2}},
    "tokenizer:vq-segmentation": {"config": NETWORK | {"classes": 4}, "columns": labels()},
    "tokenizer:kmeans": {"config": {"codebook_size": 6, "steps": 4, "pixels_per_step": 64, "seeding_pixels": 128}},
    "prior:gpt": {"config": {"layers": 2, "heads": 2, "width": 16}, "spaces": PRIOR_SPACES},
    "prior:pixelsnail": {
        "config": {"layers": 2, "residual_layers": 1, "heads": 2, "width": 16, "key_width": 4},
        "spaces": PRIOR_SPACES,
    },
    **{f"ordering:{name}": {} for name in ("raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate")},
    **{f"ordering:{name}": {} for name in ("raster-mirrored", "raster-flipped", "raster-rotated", "column-major")},
    "conditioner:none": {},
    "conditioner:class": {"config": {"classes": ["square", "star"], "dropout": 0.1}},
    "conditioner:segmentation": {"config": {"tokenizer": "own"}},
    "conditioner:depth": {"config": {"tokenizer": "own", "channels": 3}},
    "conditioner:edges": {"config": {"tokenizer": "own", "blur": 0.5}},
    "conditioner:low-resolution": {"config": {"tokenizer": "own", "factor": 4, "enlarge": True}},
    "conditioner:keypoints": {"config": {"tokenizer": "own", "limbs": [["top", "left"], ["top", "right"]]}},
    "conditioner:coordinates": {"config": {"downsampling": 2, "frame": "original"}},
    "conditioner:combined": {"config": {"parts": ["class", {"use": "segmentation", "config": {"tokenizer": "own"}}]}},
    "sampler:ancestral": {"config": {"temperature": 0.9, "top_k": 8, "top_p": 0.99}},
    "sampler:sliding-window": {"config": {"top_k": 8, "guidance": 1.5}},
    "sampler:wavefront": {"config": {"mixed_k": [4, 8], "guidance": 1.5}},
    "sampler:completion": {"config": {"region": [0, 0, 0.5, 1]}},
    "sampler:rejection": {"config": {"classifier": "residual", "candidates": 3, "chunk": 2}},
    "dataset:parquet": {"config": FILES | {"size": 16, "crop": "random", "flip": True}},
    "dataset:imagefolder": {"config": images},
    "dataset:markov-mesh": {"config": {"size": [5, 4], "colours": 5, "images": {"train": 40, "validation": 9}}},
    "dataset:potts": {"config": {"size": [5, 4], "colours": 2, "images": {"train": 40, "validation": 9}}},
    "dataset:hub": {"config": {"folder": str(EMOJI), "size": 16}},
    "dataset:scenes": {"config": {"size": [16, 24], "scene_size": 40, "coordinates": True, "extra_splits": {"test": 3}}},
    "metric:nll": {},
    "metric:reconstruction": {"config": {"perceptual": "st-alex"}},
    "metric:codebook": {},
    "metric:class-agreement": {"config": {"classifier": "torchvision"}},
    "metric:segmentation-agreement": {"config": {"features": 8}},
    "metric:depth-agreement": {"config": {"features": 8}},
    "metric:edge-agreement": {},
    "metric:low-resolution-agreement": {},
    "metric:keypoint-agreement": {"config": {"features": 8}},
    "metric:completion-agreement": {},
    "metric:given-region": {},
    "metric:psnr": {},
    "metric:ssim": {},
    "metric:lpips": {"config": {"perceptual": "st-alex"}},
    "metric:fid": {"parts": {"extractor": FewFeatures(InceptionConfig(), {})}},
    "metric:fd": {"config": {"extractor": "st-vgg"}},
    "metric:fd-st-vgg": {},
    "metric:fd-dinov2": {"parts": {"extractor": FewFeatures(InceptionConfig(), {})}},
    "metric:fd-clip": {"parts": {"extractor": FewFeatures(InceptionConfig(), {})}},
    "metric:kid": {"config": {"subsets": 3}, "parts": {"extractor": FewFeatures(InceptionConfig(), {})}},
    "metric:kd": {"config": {"extractor": "st-vgg", "subsets": 3}},
    "metric:kd-st-vgg": {"config": {"subsets": 3}},
    "metric:inception-score": {"parts": {"extractor": FewLogits(InceptionConfig(), {})}},
    "metric:precision-recall": {"parts": {"extractor": FewFeatures(InceptionConfig(), {})}},
    "metric:memorisation": {},
    "classifier:torchvision": {"config": mobilenet},
    "classifier:residual": {"config": {"width": 4, "norm_groups": 2, "stages": 2, "dropout": 0.2}},
    "feature_extractor:classifier": {"config": lambda: {"classifier": {"use": "torchvision", "config": mobilenet()}}},
    "feature_extractor:inception": {},
    "feature_extractor:inception-logits": {},
    "feature_extractor:vgg16": {},
    "feature_extractor:dinov2": {},
    "feature_extractor:clip": {"config": small_clip},
    "feature_extractor:st-vgg": {},
    "perceptual:lpips-vgg": {},
    "perceptual:lpips-alex": {},
    "perceptual:lpips-squeeze": {"config": squeezenet},
    "perceptual:st-vgg": {},
    "perceptual:st-alex": {},
    "perceptual:none": {},
    "executor:inline": {},
    "executor:local": {"config": {"jobs": 2, "devices": ["cpu"], "threads": 1}},
    "executor:accelerate": {"config": {"cpu": True, "processes": 1}},
    "checkpoint_format:taming": {"checkpoint": checkpoint("vqgan")},
}

for reference, row in ROWS.items():
    name = "".join(word.capitalize() for word in re.split(r"[:_-]", reference))
    globals()[f"Test{name}"] = conformance(reference, **row)


def test_no_shipped_component_is_left_out() -> None:
    shipped = {entry.component.reference for entry in load_registry().components.values() if entry.distribution == "tamingplat"}
    assert shipped == set(ROWS)
