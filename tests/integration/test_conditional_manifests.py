"""The manifests of experiments/conditional: each can be planned, and they share what they have in common."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.manifest import Manifest, load_manifest
from tamingplat.registry import Registry, load_registry
from tamingplat.stages import make_plan
from tamingplat.store import Store

FOLDER = Path(__file__).parents[2] / "experiments" / "conditional"
TASKS = {"class", "segmentation", "depth", "edges", "low-resolution", "keypoints", "coordinates", "completion", "combined"}


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
