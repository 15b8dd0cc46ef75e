"""What a plan says of trainings beside what the trainings then record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.cli import main
from tamingplat.engine import make_accelerator
from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.stages import make_plan, run_stage
from tamingplat.store import Store

BLOCKS = """
[tokenizer.small]
use = "vqgan"
train = { steps = 3, batch_size = 4, accumulation_steps = 2 }

[tokenizer.small.config]
codebook_size = 16
embedding_dim = 8
downsampling = 2
channels = 8
channel_multipliers = [1, 1, 2]
residual_blocks = 1
norm_groups = 4
attention_resolutions = [2]
discriminator_start = 1
discriminator_channels = 4
discriminator_layers = 1
perceptual = "none"

[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4, steps = 5 }

[prior.gpt]
config = { layers = 2, heads = 2, width = 16, dropout = 0.0 }
train = { steps = 3, batch_size = 6 }

[prior.pixelsnail]
config = { layers = 1, residual_layers = 1, width = 16, dropout = 0.0 }
train = { steps = 3, batch_size = 6 }

[matrix]
dataset = ["blobs"]
tokenizer = ["small"]
prior = ["gpt", "pixelsnail"]
ordering = ["raster"]
conditioner = ["class"]
include = [{ prior = "pixelsnail", ordering = "spiral-out" }, { tokenizer = "colours", prior = "gpt" }]

[evaluate]
metrics = ["codebook"]
samples = 2
batch_size = 2
"""


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command in this process; what it prints to standard output."""
    monkeypatch.delenv("COLUMNS", raising=False)  # of the terminal where the tests were started
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TAMINGPLAT_STORE", str(tmp_path / "store"))

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert not ended.value.code, captured.err + captured.out
        return captured.out

    return run


def estimates(command: Callable[..., str], manifest: Path, *more: object) -> dict[str, dict[str, Any]]:
    stages = json.loads(command("plan", manifest, "--json", *more))["stages"]
    return {stage["key"]: stage["estimate"] for stage in stages if "estimate" in stage}


def train_all(manifest: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Carry out every training of a manifest, and what it needs; the result of each by its key."""
    registry, store = load_registry(), Store(folder)
    store.create()
    plan = make_plan(load_manifest(manifest, registry), registry, store)
    wanted = [stage for stage in plan.stages.values() if stage.kind.startswith(("train", "encode"))]
    for stage in wanted:
        run_stage(plan, stage, store, make_accelerator(stage.training, "cpu"))
    found = {stage.key: store.find(stage.kind, stage.key) for stage in wanted if stage.kind.startswith("train")}
    return {key: artifact.record["record"]["result"] for key, artifact in found.items() if artifact is not None}


def test_operations_are_those_that_are_recorded(
    command: Callable[..., str], write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = write_manifest(BLOCKS)
    before = estimates(command, manifest)
    results = train_all(manifest, tmp_path / "store")
    assert before.keys() == results.keys() and len(results) == 6
    for key, estimate in before.items():
        result = results[key]
        assert estimate["flops"] == result["flops"] and not estimate["reason"]
        if result["flops"] is not None:
            assert estimate["images"] == result["images"]
            assert sum(estimate["phase_parameters"].values()) == result["parameters"]
    # What is done is not estimated, and what is not wanted neither.
    assert not estimates(command, manifest)
    assert not estimates(command, manifest, "--no-estimates", "--set", "seeds=[1]")


def test_an_estimate_says_what_a_training_will_see(command: Callable[..., str], write_manifest: Callable[..., Path]) -> None:
    manifest = write_manifest(BLOCKS)
    stages = json.loads(command("plan", manifest, "--json", "--gpu-tflops", "0.5"))["stages"]
    by_label = {stage["label"]: stage["estimate"] for stage in stages if "estimate" in stage}
    prior = by_label["train gpt on small, raster, class, seed 0"]
    assert prior["codes_per_image"] == 4 and prior["images"] == 18 and prior["tokens"] == 72
    assert prior["gpu_hours"] == pytest.approx(prior["flops"] / 0.5e12 / 3600)
    assert prior["unused_parameters"] == 0
    snail = by_label["train pixelsnail on small, raster, class, seed 0"]
    assert 0 < snail["unused_parameters"] < snail["parameters"] == snail["active_parameters"] + snail["unused_parameters"]
    palette = by_label["train colours on blobs"]
    assert palette["codes_per_image"] == 64 and palette["flops"] is palette["tokens"] is palette["gpu_hours"] is None
    tokenizer = by_label["train small on blobs"]
    assert set(tokenizer["phase_parameters"]) == {"autoencoder", "discriminator"}
    assert sum(tokenizer["phase_parameters"].values()) == tokenizer["parameters"]
    printed = command("plan", manifest)
    assert "of which phase discriminator" in printed and "of which never trained in this order" in printed
    assert "an A100 at 40%" in printed and "not known" not in printed


def test_published_sizes_stand_beside_ours(
    command: Callable[..., str], write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    include = BLOCKS.index("include")
    one = BLOCKS[:include].replace('["gpt", "pixelsnail"]', '["gpt"]') + BLOCKS[BLOCKS.index("\n", include) + 1 :]
    manifest = write_manifest(one)
    prior = estimates(command, manifest)
    parameters = next(one["parameters"] for one in prior.values() if one["tokens"] == 72)
    (tmp_path / "sizes.toml").write_text(
        'schema = 1\ntable = "parameters"\ntitle = "Sizes"\nsource = "Tab. 3"\n'
        f'[[row]]\nlabel = "Tiny"\nprior = ["gpt", "other"]\nparameters = {parameters + parameters // 20}\n'
        'note = "It is small."\n'
        '[[row]]\nlabel = "Elsewhere"\nprior = "huge"\nparameters = 1000\n'
        '[[row]]\nlabel = "decoder"\ntokenizer = "small"\npart = "decoder"\nparameters = 10\n'
    )
    manifest.write_text(manifest.read_text().replace("schema = 1\n", 'schema = 1\ncompare_with = "sizes.toml"\n', 1))
    published = [row for one in estimates(command, manifest).values() for row in one["published"]]
    tiny = next(row for row in published if row["label"] == "Tiny" and row["counted"] == parameters)
    assert tiny["differs"] and tiny["difference"] == pytest.approx(-1 / 21, abs=1e-3)
    assert not any(row["label"] == "Elsewhere" for row in published)
    printed = command("plan", manifest)
    assert "−4.7% ≠" in printed or "−4.8% ≠" in printed
    assert "≠ Tiny: It is small." in printed and "of which decoder" in printed and "Elsewhere" not in printed
    # Over several manifests, one table with every row that any of them has.
    both = command("plan", manifest, manifest)
    assert "Sizes" in both and both.count("It is small.") == 3
    # A table of sizes is no table of metrics.
    command("compare", manifest)
