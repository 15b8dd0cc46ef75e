"""Classifiers and rejection sampling from a manifest to a table, followed by a tracker, through the command line."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Run = Callable[..., subprocess.CompletedProcess[str]]
Plan = Callable[..., dict[str, Any]]

BLOCKS = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4, steps = 4, pixels_per_step = 64, seeding_pixels = 128 }

[prior.gpt]
config = { layers = 1, heads = 2, width = 8 }
train = { steps = 4, batch_size = 8, validate_every = 2, log_every = 1 }

[sampler.best]
use = "rejection"
config = { classifier = "judge", candidates = 3 }

[sampler.kept]
use = "rejection"
config = { classifier = "judge", mode = "pool", pool = 14, acceptance = 0.5 }

[classifier.judge]
use = "residual"
config = { width = 4, norm_groups = 2, stages = 2 }
train = { steps = 3, batch_size = 8, warmup_steps = 0 }

[classifier.other]
use = "residual"
config = { width = 2, norm_groups = 1, stages = 2 }
train = { steps = 2, batch_size = 8, warmup_steps = 0 }

[metric.fd-classifier]
use = "fd"
config = { extractor = { use = "classifier", config = { classifier = "other" } } }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["class"]
sampler = ["ancestral", "best", "kept"]

[evaluate]
metrics = ["fd-classifier"]
samples = 12
batch_size = 5

[runtime]
trackers = ["tensorboard"]
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, write_manifest_into: Callable[..., Path]) -> Path:
    return write_manifest_into(tmp_path_factory.mktemp("rejection"), BLOCKS)


@pytest.fixture(scope="module")
def store(manifest: Path, run_manifest: Callable[[Path], Path]) -> Path:
    return run_manifest(manifest)


def stages(planned: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {stage["label"]: stage for stage in planned["stages"] if stage["kind"] == kind}


def reasons(planned: dict[str, Any]) -> dict[str, str]:
    return {cell["sampler"]: cell["reason"] for cell in planned["cells"]}


def record(store: Path, stage: dict[str, Any]) -> dict[str, Any]:
    folder = store / stage["kind"] / stage["key"][:2] / stage["key"]
    result: dict[str, Any] = json.loads((folder / "stage.json").read_text())["record"]["result"]
    return result


def test_every_cell_is_done_and_what_was_drawn_is_counted(
    manifest: Path, store: Path, tamingplat_here: Run, plan_manifest: Plan
):
    rows = json.loads(tamingplat_here("compare", manifest, "--store", store, "--format", "json").stdout)
    cells = {row["sampler"]: row for row in rows if row["sampler"]}
    assert {row["status"] for row in cells.values()} == {"done"}
    assert {name: row["cost"]["sampling_candidates"] for name, row in cells.items()} == {
        "ancestral": 12,
        "best": 36,
        "kept": 28,
    }
    assert all(row["metrics"]["fd-classifier (N=12, reference=96)"] >= 0 for row in cells.values())
    judged = cells["best"]["cost"]["sampler_classifier_parameters"]
    assert judged > 0 and "sampler_classifier_parameters" not in cells["ancestral"]["cost"]
    planned = plan_manifest(manifest)
    samples = stages(planned, "sample")
    for label, stage in samples.items():
        seconds, speed = (record(store, stage)[name] for name in ("seconds", "images_per_second"))
        assert speed == pytest.approx(12 / seconds), label
    trained = stages(planned, "train_classifier")
    assert trained["train judge on the labels of blobs"]["parameters"] == judged and len(trained) == 2


def test_a_classifier_is_a_stage_whose_key_enters_what_it_chooses_and_measures(
    manifest: Path, store: Path, plan_manifest: Plan
):
    before = {stage["key"] for stage in plan_manifest(manifest)["stages"] if stage["cached"]}

    def changed(setting: str) -> set[str]:
        after = plan_manifest(manifest, setting)["stages"]
        new = [stage for stage in after if stage["key"] not in before and stage["kind"] != "features"]
        return {stage["label"].partition(" from ")[0] for stage in new}

    of_samples = "fd-classifier of sample 12"
    assert changed("classifier.judge.train.steps=4") == {"train judge on the labels of blobs", "sample 12", of_samples}
    others = {"fd-classifier of 12 images of blobs validation", "fd-classifier of reconstruct validation with colours"}
    others |= {"fd-classifier of reconstruct validation with colours beside the originals", of_samples}
    assert changed("classifier.other.train.steps=3") == {"train other on the labels of blobs", *others}


def test_samples_are_those_of_their_condition_and_the_first_candidate_is_the_plain_one(
    manifest: Path, store: Path, plan_manifest: Plan
):
    samples = stages(plan_manifest(manifest), "sample")
    codes = {
        label.rpartition(", ")[2]: np.load(store / "sample" / stage["key"][:2] / stage["key"] / "codes.npy")
        for label, stage in samples.items()
    }
    # Of three candidates about a third are the plain samples; the others were drawn for themselves.
    same = (codes["best"] == codes["ancestral"]).all(1)
    assert 0 < same.sum() < 12
    assert len(np.unique(codes["kept"], axis=0)) == 12


@pytest.mark.parametrize(
    ("settings", "sampler", "reason"),
    [
        (['matrix.conditioner=["none"]'], "best", "this condition names none; take the conditioner class"),
        (
            ['metric.fd-classifier.config.extractor.config.classifier="judge"'],
            "kept",
            "chooses samples by judge, and metric:fd measures them with the same weights, judge",
        ),
        (
            [
                # Followed more closely, it is the same network all the same.
                "classifier.other={ use = 'residual', config = { width = 4, norm_groups = 2, stages = 2 }, "
                "train = { steps = 3, batch_size = 8, warmup_steps = 0, validate_every = 1, validation_images = 7 } }"
            ],
            "kept",
            "chooses samples by judge, and metric:fd measures them with the same weights, other",
        ),
        (['evaluate.split="train"'], "best", "trained on the split train, and that is the one that is measured"),
        (["sampler.kept.config.acceptance=0.3"], "kept", "keeps 4 of a pool of 14"),
    ],
)
def test_what_could_not_be_measured_fairly_is_refused(
    manifest: Path, store: Path, plan_manifest: Plan, settings: list[str], sampler: str, reason: str
):
    found = reasons(plan_manifest(manifest, *settings))
    assert reason in found[sampler]
    assert not found["ancestral"]


def test_a_dataset_without_classes_is_refused_by_who_needs_them(manifest: Path, store: Path, plan_manifest: Plan):
    settings = ('dataset.blobs.config.label_column=""', 'matrix.conditioner=["none"]')
    found = reasons(plan_manifest(manifest, *settings))
    assert all("the dataset gives no classes to train on" in reason for reason in found.values())


def test_weights_that_are_not_here_are_named_with_the_way_to_get_them(
    manifest: Path, store: Path, tamingplat_here: Run, plan_manifest: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    measured = 'metric.fd-classifier.config.extractor.config.classifier="torchvision"'
    told = plan_manifest(manifest, 'matrix.sampler=["ancestral"]', measured)
    (absent,) = told["absent"]
    assert "resnet101-63fe2227.pth" in absent["what"] and str(tmp_path) in absent["what"]
    trained = tamingplat_here(
        "validate", manifest, "--set", 'classifier.judge.use="torchvision"', "--set", "classifier.judge.config={}"
    )
    assert trained.returncode == 2 and "torchvision is not trained and takes no such settings" in trained.stderr


def test_trackers_hold_curves_grids_and_the_manifest(manifest: Path, store: Path):
    folders = {path.name: path for path in (store / "trackers" / "small").iterdir()}
    (prior,) = (path for name, path in folders.items() if name.startswith("train-gpt-on-colours"))
    found = EventAccumulator(str(prior)).Reload()
    assert [event.step for event in found.Scalars("train/total")] == [1, 2, 3, 4]
    assert [event.step for event in found.Scalars("validation/total")] == [2, 4]
    assert "manifest/text_summary" in found.Tags()["tensors"]
    (sampled,) = (path for name, path in folders.items() if name.startswith("sample") and "best" in name)
    assert EventAccumulator(str(sampled)).Reload().Images("images")
    assert any(name.startswith("train-judge") for name in folders)


def test_a_tracker_that_is_not_installed_is_named_with_the_command_that_installs_it(
    manifest: Path, store: Path, tamingplat_here: Run, monkeypatch: pytest.MonkeyPatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "mlflow" else find(name, *rest))
    setting = ("--set", 'runtime.trackers=["mlflow"]')
    for command in (
        ("validate", manifest),
        ("plan", manifest, "--no-estimates"),
        ("run", manifest),
        ("stage", "ab", "--manifest", manifest),
    ):
        told = tamingplat_here(*command, "--store", store, *setting)
        assert told.returncode == 2 and "pip install mlflow" in told.stderr, command
    wrong = tamingplat_here("validate", manifest, "--set", 'runtime.trackers=["tensorbord"]')
    assert wrong.returncode == 2 and "tensorboard" in wrong.stderr


def test_where_trackers_write_and_whether_they_do_is_in_no_key(
    manifest: Path, store: Path, plan_manifest: Plan, tmp_path: Path
):
    planned = plan_manifest(manifest, "runtime.trackers=[]", f'runtime.tracker_directory="{tmp_path}"')
    assert all(stage["cached"] for stage in planned["stages"])
