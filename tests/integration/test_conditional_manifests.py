"""The manifests of experiments/conditional: each can be planned, and they share what they have in common."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.manifest import Manifest, load_manifest
from tamingplat.registry import Registry, load_registry
from tamingplat.stages import make_plan
from tamingplat.store import Store

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FOLDER = EXPERIMENTS / "conditional"
TASKS = {"class", "segmentation", "depth", "edges", "low-resolution", "keypoints", "coordinates", "completion", "combined"}

REAL = {
    "class": ("tab3", "imagenet"),
    "segmentation": ("tab2", "ade20k", "tokenizer.vq-segmentation-f4.config.classes=151"),
    "depth": ("tab3", "d-rin"),
    "edges": ("tab3", "imagenet-128"),
    "low-resolution": (
        "tab3",
        "imagenet-128",
        "conditioner.low-resolution.config.factor=8",
        "metric.low-resolution-agreement.config.factor=8",
    ),
    "keypoints": ("tab3", "deepfashion"),
    "coordinates": ("fig7", "faces-32", 'evaluate.metrics=["nll"]'),
    "completion": ("tab3", "imagenet"),
}
"""For each task the manifest and the block of the data that its head names, and what else it says to set."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def load(task: str, registry: Registry) -> Manifest:
    return load_manifest(FOLDER / f"{task}.toml", registry)


def test_every_task_of_the_paper_has_a_manifest() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == TASKS
    told = (FOLDER / "README.md").read_text()
    assert all(f"`{task}.toml`" in told for task in TASKS)


def test_all_are_planned_without_refusals_and_share_their_tokenizer(registry: Registry, tmp_path: Path) -> None:
    store, tokenizers = Store(tmp_path), {}
    for task in sorted(TASKS):
        plan = make_plan(load(task, registry), registry, store)
        assert not plan.refused, task
        (cell,) = plan.cells
        assert cell.tokenizer is not None
        tokenizers[task] = cell.tokenizer.key
        labels = [stage.label for stage in plan.stages.values()]
        own = [label for label in labels if label.startswith("train v") and "scenes's" in label]
        assert len(own) == (task not in {"class", "completion", "coordinates"}), task
        measured = [stage for stage in plan.stages.values() if stage.kind == "evaluate"]
        assert len(measured) >= 4, task
    windows = tokenizers.pop("coordinates")
    assert set(tokenizers.values()) != {windows} and len(set(tokenizers.values())) == 1


def test_trainings_beyond_the_machines_memory_are_named(
    tamingplat_here: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("tamingplat.engine.total_memory", lambda device: 2**26)
    result = tamingplat_here("plan", FOLDER / "class.toml", "--store", tmp_path)
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if "of memory, and this machine has" in line]
    assert line.startswith("train gpt-s on vqvae-f4, raster, class, seed 0 needs about 0.1 GiB") and "train.batch_size" in line


def blocks_of(manifest: Path, dataset: str) -> str:
    """What a manifest says of a dataset."""
    blocks = re.split(r"(?m)^(?=\[)", manifest.read_text())
    return "".join(block for block in blocks if re.match(rf"\[dataset\.{dataset}[.\]]", block))


@pytest.mark.parametrize("task", sorted(REAL))
def test_with_real_data_as_the_head_says_it_is_planned(task: str, registry: Registry, tmp_path: Path) -> None:
    manifest, dataset, *settings = REAL[task]
    text = (FOLDER / f"{task}.toml").read_text()
    head = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    for told in (f"[dataset.{dataset}] ", f"../paper/{manifest}.toml", 'reference = "validation" in [evaluate]'):
        assert told in head, told
    (block,) = re.findall(r"(?m)^\[dataset\.(\w+)\]$", text)
    own = blocks_of(FOLDER / f"{task}.toml", block)
    text = text.replace(own, blocks_of(EXPERIMENTS / "paper" / f"{manifest}.toml", dataset) + "\n")
    path = tmp_path / f"{task}.toml"
    path.write_text(text.replace(f'dataset = ["{block}"]', f'dataset = ["{dataset}"]'))
    settings.append('evaluate.reference="validation"')
    plan = make_plan(load_manifest(path, registry, settings), registry, Store(tmp_path / "store"))
    assert not plan.refused and plan.cells[0].evaluations


def test_the_megapixel_is_planned(registry: Registry, tmp_path: Path) -> None:
    plan = make_plan(load_manifest(EXPERIMENTS / "megapixel.toml", registry), registry, Store(tmp_path))
    (cell,) = plan.cells
    assert not plan.refused and cell.prior is not None and cell.prior.windows is not None
    assert cell.prior.space.grids == ((8, 8),) and cell.prior.image_space.grids == ((32, 32),)
    assert [part.name for part in cell.prior.image_layout] == ["class", "segmentation", "coordinates"]


@pytest.mark.slow
def test_samples_obey_after_a_tiny_training(
    tamingplat_here: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    settings = (
        "dataset.scenes.config.train=200",
        "dataset.scenes.config.extra_splits={ test = 32 }",
        "dataset.scenes.config.validation=16",
        "tokenizer.vqvae-f4.train.steps=80",
        "tokenizer.vqvae-small.train.steps=30",
        "prior.pixelsnail-s.train.steps=120",
        "prior.pixelsnail-s.train.validation_images=16",
        "evaluate.samples=64",
        'evaluate.metrics=["low-resolution-agreement"]',
    )
    common = ("--store", tmp_path, *(part for setting in settings for part in ("--set", setting)))
    ran = tamingplat_here("run", FOLDER / "low-resolution.toml", *common)
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(tamingplat_here("compare", FOLDER / "low-resolution.toml", *common, "--format", "json").stdout)
    (row,) = [row for row in rows if row["kind"] == "cell"]
    gain, error = (row[name]["low-res. PSNR gain"] for name in ("metrics", "standard_errors"))
    assert gain > 2 * error > 0, (gain, error)
