"""Whose weights the networks behind a component have, however deep in its settings they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamingplat.manifest import Manifest, load_manifest
from tamingplat.registry import load_registry
from tamingplat.stages.build import Builder
from tamingplat.stages.families import families_behind

TEXT = """schema = 1
name = "families"

[dataset.mesh]
use = "markov-mesh"
config = {{ size = 16, images = {{ train = 8, validation = 8 }} }}

[tokenizer.learned]
use = "vqgan"
config = {{ perceptual = "lpips-vgg" }}

[classifier.judge]
use = "torchvision"
config = {{ architecture = "{architecture}" }}

[metric.fd-classifier]
use = "fd"
config = {{ extractor = {{ use = "classifier", config = {{ classifier = "judge" }} }}, allow_few = true }}

[matrix]
dataset = ["mesh"]
tokenizer = ["learned"]

[evaluate]
metrics = ["fd-classifier"]
"""


def _manifest(folder: Path, architecture: str) -> tuple[Manifest, Builder]:
    path = folder / "families.toml"
    path.write_text(TEXT.format(architecture=architecture))
    registry = load_registry()
    return load_manifest(path, registry), Builder(registry, str)


@pytest.mark.parametrize(("architecture", "shared"), [("vgg16", {"lpips"}), ("resnet18", set())])
def test_a_classifier_with_the_weights_of_a_tokenizers_loss_is_its_relative(
    architecture: str, shared: set[str], tmp_path: Path
) -> None:
    manifest, builder = _manifest(tmp_path, architecture)
    (metric,), (cell,) = manifest.metrics, manifest.combinations
    of_loss, of_metric = families_behind(builder, cell.tokenizer), families_behind(builder, metric)
    assert of_loss == {"lpips"} and of_metric == {"torchvision"} | shared
    assert of_loss & of_metric == shared
