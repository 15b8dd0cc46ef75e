"""What names, presets, files and references of a right manifest become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.manifest import Manifest, ResolvedComponent

Load = Callable[..., Manifest]
Problems = Callable[..., list[str]]


def _matrix(**lists: str) -> str:
    values = {"dataset": "noise", "tokenizer": "kmeans", "prior": "gpt", "ordering": "raster", **lists}
    return "[matrix]\n" + "".join(f"{kind} = ['{name}']\n" for kind, name in values.items())


def _config(resolved: ResolvedComponent) -> dict[str, Any]:
    return resolved.config.model_dump()


def test_the_smallest_manifest_has_every_default(load: Load) -> None:
    manifest = load()
    (cell,) = manifest.cells
    assert manifest.name == "toy" and manifest.seeds == manifest.tokenizer_seeds == (0,)
    assert cell.labels == {
        "dataset": "noise",
        "tokenizer": "kmeans",
        "prior": "gpt",
        "ordering": "raster",
        "conditioner": "none",
        "sampler": "ancestral",
        "seed": 0,
        "tokenizer_seed": 0,
    }
    assert cell.label == "noise/kmeans/gpt/raster/none/ancestral/seed=0/tokenizer_seed=0"
    assert cell.where == "m.toml:3: matrix" and dict(cell.axes) == {}
    assert [metric.label for metric in manifest.metrics] == ["nll", "reconstruction", "codebook"]
    assert manifest.executor.component.name == "inline"
    assert manifest.evaluate.model_dump() == {
        "metrics": ("nll", "reconstruction", "codebook"),
        "samples": 2000,
        "reference": "train",
        "split": "validation",
        "batch_size": 64,
    }
    assert manifest.runtime.model_dump() == {
        "executor": "inline",
        "device": "auto",
        "threads": 0,
        "trackers": (),
        "tracker_directory": None,
    }
    assert cell.prior.train is not None and cell.prior.train.steps == 100
    assert cell.tokenizer.train is None and cell.tokenizer.views == 1
    assert manifest.compare_with == () and manifest.warnings == ()


def test_a_blocks_settings_lie_over_its_preset_and_that_over_the_defaults(load: Load) -> None:
    text = "[tokenizer.vq]\nuse = 'vqgan'\npreset = 'large'\nviews = 3\nencode_batch_size = 7\n"
    text += "config = { loss.weight = 2, downsampling = 3 }\n" + _matrix(tokenizer="vq")
    tokenizer = load(text).cells[0].tokenizer
    assert tokenizer.label == "vq" and tokenizer.component.name == "vqgan" and tokenizer.where == "m.toml:3: tokenizer.vq"
    assert _config(tokenizer) == {
        "codebook_size": 1024,
        "downsampling": 3,
        "perceptual": {"use": "vgg", "config": {}},
        "loss": {"weight": 2.0, "kind": "plain", "chunk": 8},
        "strides": (2, 2),
        "compile": False,
    }
    assert (tokenizer.views, tokenizer.encode_batch_size) == (3, 7)


def test_training_settings_lie_over_the_components_own(load: Load) -> None:
    text = "[prior.gpt]\ntrain = { steps = 3, betas = [0.5, 0.6], gradient_clip = 'none', learning_rate = 1 }\n"
    train = load(text).cells[0].prior.train
    assert train is not None
    assert (train.steps, train.batch_size, train.betas, train.gradient_clip) == (3, 16, (0.5, 0.6), None)
    assert isinstance(train.learning_rate, float)


def test_none_switches_off_what_may_be_none(load: Load) -> None:
    text = "[prior.gpt]\nconfig.width = 'none'\n[tokenizer.vq]\nuse = 'vqgan'\nconfig.perceptual = 'none'\n"
    cell = load(text + _matrix(tokenizer="vq")).cells[0]
    assert _config(cell.prior)["width"] is None
    assert _config(cell.tokenizer)["perceptual"] is None and dict(cell.tokenizer.parts) == {}


def test_none_names_a_component_where_there_is_one_of_that_name(load: Load) -> None:
    text = "[perceptual.none]\nuse = 'alex'\n[tokenizer.vq]\nuse = 'vqgan'\nconfig.perceptual = 'none'\n"
    assert load(text + _matrix(tokenizer="vq")).cells[0].tokenizer.parts["perceptual"].component.name == "alex"


def test_an_imported_artifact_replaces_training(load: Load) -> None:
    text = "[tokenizer.vq]\nuse = 'vqgan'\nartifact = 'mine'\n[prior.gpt]\nartifact = 'yours'\n"
    cell = load(text + _matrix(tokenizer="vq")).cells[0]
    assert (cell.tokenizer.artifact, cell.tokenizer.train) == ("mine", None)
    assert (cell.prior.artifact, cell.prior.train) == ("yours", None)


def test_files_start_from_the_manifests_folder(load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    text = "compare_with = 'weights.bin'\n[dataset.pictures]\nuse = 'folder'\n"
    text += "config = { root = './images/../images', masks = { a = '~/images', b = '" + str(folder) + "' } }\n"
    text += "[perceptual.vgg]\nconfig = { weights = 'weights.bin' }\n[tokenizer.vqgan]\n"
    manifest = load(text + _matrix(dataset="pictures", tokenizer="vqgan"))
    cell = manifest.cells[0]
    assert _config(cell.dataset)["root"] == folder / "images"
    assert _config(cell.dataset)["masks"] == {"a": folder / "images", "b": folder}
    assert _config(cell.tokenizer.parts["perceptual"])["weights"] == folder / "weights.bin"
    assert manifest.compare_with == (folder / "weights.bin",)


def test_several_reference_tables(load: Load, folder: Path) -> None:
    Path("other.toml").touch()
    manifest = load("compare_with = ['weights.bin', 'other.toml']\n")
    assert manifest.compare_with == (folder / "weights.bin", folder / "other.toml")


def test_a_reference_names_a_block_or_a_component_or_says_its_settings(load: Load) -> None:
    text = """\
[perceptual.deep]
use = "vgg"
config.layers = [5]
[sampler.cold]
use = "ancestral"
config = { temperature = 0.5, top_k = 9 }
[sampler.picky]
use = "rejection"
[sampler.picky.config]
inner = { use = "cold", config = { top_k = 3 } }
judges = ["deep", "alex", { use = "vgg" }, { use = "alex", config = { layers = [7, 8] } }]
[conditioner.both]
use = "combined"
config.by_name = { a = "class", b = { use = "combined", config = { by_name = { c = "none" } } } }
"""
    cell = load(text + _matrix(sampler="picky", conditioner="both")).cells[0]
    parts = cell.sampler.parts
    assert {name: part.label for name, part in parts.items()} == {
        "inner": "cold",
        "judges.0": "deep",
        "judges.1": "alex",
        "judges.2": "vgg",
        "judges.3": "alex",
    }
    assert _config(parts["inner"]) == {"temperature": 0.5, "top_k": 3}
    assert [_config(parts[f"judges.{index}"])["layers"] for index in range(4)] == [(5,), (1, 2), (1, 2), (7, 8)]
    both = cell.conditioner.parts
    assert both["by_name.a"].component.name == "class"
    assert both["by_name.b"].parts["by_name.c"].component.name == "none"


def test_settings_of_another_component_replace_those_of_the_preset(load: Load, catalogue: Any) -> None:
    catalogue.presets["tokenizer", "vqgan", "deep"] = {"perceptual": {"use": "vgg", "config": {"layers": [9]}}}
    block = "[tokenizer.vq]\nuse = 'vqgan'\npreset = 'deep'\n"

    def layers(text: str) -> Any:
        return _config(load(block + text + _matrix(tokenizer="vq")).cells[0].tokenizer.parts["perceptual"])["layers"]

    assert layers("") == (9,)
    assert layers("config.perceptual = { use = 'alex' }\n") == (1, 2)
    assert layers("config.perceptual = { use = 'vgg', config.weights = 'weights.bin' }\n") == (9,)


def test_a_part_that_is_in_itself_by_settings_of_its_own_is_no_circle(load: Load) -> None:
    text = "[sampler.twice]\nuse = 'rejection'\nconfig.inner = { use = 'rejection', config = { inner = 'ancestral' } }\n"
    inner = load(text + _matrix(sampler="twice")).cells[0].sampler.parts["inner"]
    assert inner.component.name == "rejection" and inner.parts["inner"].component.name == "ancestral"


def test_the_same_use_is_the_same_object(load: Load) -> None:
    text = "seeds = [0, 1]\n[tokenizer.a]\nuse = 'vqgan'\n[tokenizer.b]\nuse = 'vqgan'\n"
    text += "[matrix]\ndataset = ['noise']\ntokenizer = ['a', 'b']\nprior = ['gpt']\nordering = ['raster', 'spiral-in']\n"
    cells = load(text).cells
    assert len(cells) == 8
    assert len({cell.prior for cell in cells}) == 1
    assert len({cell.tokenizer for cell in cells}) == 2
    assert len({cell.tokenizer.parts["perceptual"] for cell in cells}) == 1


def test_an_alias_is_the_component(load: Load) -> None:
    cells = load(
        "[matrix]\ndataset=['noise']\ntokenizer=['kmeans']\nprior=['gpt']\nordering=['row-major','raster','spiral-in']\n"
    ).cells
    assert [cell.ordering.label for cell in cells] == ["raster", "spiral-in"]


def test_an_alias_of_a_component_whose_name_a_block_has_taken_keeps_its_own_name(load: Load) -> None:
    text = "[ordering.raster]\nuse = 'spiral-out'\n[matrix]\ndataset=['noise']\ntokenizer=['kmeans']\nprior=['gpt']\n"
    cells = load(text + "ordering=['raster', 'row-major']\n").cells
    assert [(cell.ordering.label, cell.ordering.component.name) for cell in cells] == [
        ("raster", "spiral-out"),
        ("row-major", "raster"),
    ]


def test_blocks_that_nothing_uses_are_warned_about_and_checked_all_the_same(load: Load, problems: Problems) -> None:
    text = """\
[perceptual.vgg]
[perceptual.alex]
[tokenizer.vqgan]
[prior.snail]
[executor.local]
[metric.nll]
[metric.codebook]
[evaluate]
metrics = ["nll", "nll"]
"""
    manifest = load(text + _matrix(tokenizer="vqgan"))
    assert [metric.label for metric in manifest.metrics] == ["nll"]
    assert [str(warning) for warning in manifest.warnings] == [
        "m.toml:4: perceptual.alex: is not used; name it somewhere, or remove it",
        "m.toml:6: prior.snail: is not used; name it somewhere, or remove it",
        "m.toml:7: executor.local: is not used; name it somewhere, or remove it",
        "m.toml:9: metric.codebook: is not used; name it somewhere, or remove it",
    ]
    assert problems("[prior.snail]\nconfig.layers = 0\n") == ["m.toml:4: prior.snail.config.layers: must be at least 1, not 0"]


def test_without_its_preset_only_what_a_block_says_itself_is_judged(problems: Problems) -> None:
    text = "[tokenizer.vq]\nuse = 'vqgan'\npreset = 'nope'\n"
    text += "config = { codebook_size = 2000, downsampling = 0, strides = [0.5, 1] }\n"
    assert problems(text) == [
        "m.toml:5: tokenizer.vq.preset: tokenizer:vqgan has no preset 'nope'",
        "m.toml:6: tokenizer.vq.config.strides[0]: must be an integer, not 0.5",
    ]


def test_an_executor_with_settings(load: Load) -> None:
    manifest = load("[executor.mine]\nuse = 'local'\n[runtime]\nexecutor = 'mine'\ndevice = 'cuda:1'\nthreads = 2\n")
    assert (manifest.executor.label, manifest.executor.component.name) == ("mine", "local")
    assert (manifest.runtime.device, manifest.runtime.threads) == ("cuda:1", 2)
