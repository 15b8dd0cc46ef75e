"""The manifests of the paper's experiments: planned wholly without their data, and the models as large as published."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tamingplat.manifest import Manifest, load_manifest
from tamingplat.registry import load_registry

PAPER = Path(__file__).parents[2] / "experiments" / "paper"
MANIFESTS = sorted(PAPER.glob("*.toml"))
PUBLISHED = {"published": 3, "published-cin": 2}
"""The manifests that train nothing, and how many models each imports."""

# One process runs all of this file, so that the manifests are planned once.
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Row:
    """A row of Tab. 3, with the width by counting, and the tokens of the condition (one more than codes, for a null token)."""

    published: int
    layers: int
    width: int
    codes: int
    positions: int
    condition_tokens: int = 0

    @property
    def parameters(self) -> int:
        """The size of a GPT, by hand.

        A block has four maps of attention and two of the MLP, 12 · width² weights; their biases, 4 + 4 + 1 widths; and two
        normalisations of two vectors each, 4 more. Around the blocks are the tokens' and the positions' embeddings, the last
        normalisation, and the head, which has no biases. Condition tokens and codes share one table.
        """
        block = 12 * self.width**2 + 13 * self.width
        rows = max(self.codes, self.condition_tokens)
        return self.layers * block + self.width * (rows + self.positions + 2 + self.codes)


# Positions are those of our sequences: a start token, a class or 256 condition tokens before 256 codes. The paper's 256 leaves
# the start token out, and its 340 for DeepFashion has a shorter condition.
TABLE_3 = {
    "RIN": Row(85_000_000, 12, 768, 768, 257),
    "c-RIN": Row(128_000_000, 18, 768, 768, 257, 195),
    "D-RINv1": Row(180_000_000, 14, 1024, 1024, 512, 1025),
    "D-RINv2": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "IN": Row(307_000_000, 24, 1024, 1024, 257),
    "c-IN": Row(307_000_000, 24, 1024, 1024, 257, 1001),
    "IN-Edges": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "IN-SR": Row(153_000_000, 12, 1024, 1024, 512, 1025),
    "S-FLCKR, f = 4": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "S-FLCKR, f = 16": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "S-FLCKR, f = 32": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "FacesHQ, f = 1 (k-means)": Row(307_000_000, 24, 1024, 512, 512, 1025),
    "FacesHQ, f = 2": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "FacesHQ, f = 4": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "FacesHQ, f = 8": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "FacesHQ, f = 16": Row(307_000_000, 24, 1024, 1024, 512, 1025),
    "COCO-Stuff": Row(470_000_000, 36, 1024, 4096, 512, 1025),
    "ADE20K": Row(405_000_000, 28, 1024, 4096, 512, 1025),
    "DeepFashion": Row(129_000_000, 18, 768, 1024, 512, 1025),
    "LSUN-CT": Row(307_000_000, 24, 1024, 1024, 257),
    "CIFAR-10": Row(307_000_000, 24, 1024, 1024, 257),
}
IRRECONCILABLE = {"RIN", "COCO-Stuff", "ADE20K"}


Plans = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def plans(
    tmp_path_factory: pytest.TempPathFactory, tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]
) -> Iterator[Plans]:
    """The plan of every manifest by the stem of its file, made in an empty store with neither network nor caches."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("there is no network in this test")

    folder = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, refuse)
        for name in ("create_connection", "getaddrinfo"):
            patch.setattr(socket, name, refuse)
        for name in ("TAMINGPLAT_CACHE", "TORCH_HOME"):
            patch.setenv(name, str(folder / "cache"))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            patch.delenv(name, raising=False)
        planned = tamingplat_here("plan", "--json", "--store", folder / "store", *MANIFESTS)
    assert planned.returncode == 0, planned.stderr
    yield {path.stem: plan for path, plan in zip(MANIFESTS, json.loads(planned.stdout), strict=True)}
    assert not (folder / "store").exists(), "a plan makes no store"


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    registry = load_registry()
    return {path.stem: load_manifest(path, registry) for path in MANIFESTS}


def _estimates(plan: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [stage for stage in plan["stages"] if stage["kind"] == kind and "estimate" in stage]


@pytest.mark.parametrize("name", [path.stem for path in MANIFESTS])
def test_every_cell_is_possible(plans: Plans, name: str) -> None:
    refused = {cell["reason"] for cell in plans[name]["cells"] if cell["status"] != "possible"}
    assert plans[name]["cells"] and not refused


@pytest.mark.parametrize("name", [path.stem for path in MANIFESTS])
def test_what_has_to_be_downloaded_is_said(plans: Plans, manifests: dict[str, Manifest], name: str) -> None:
    told = {absent["where"].rpartition(": ")[2]: absent for absent in plans[name]["absent"]}
    datasets = {cell.dataset.label: cell.dataset for cell in manifests[name].combinations}
    for label, dataset in datasets.items():
        assert dataset.expected is not None, label
        if dataset.absent or dataset.component.name == "hub":
            assert dataset.expected.download in told[f"dataset.{label}"]["remedy"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_checkpoints_to_import_are_said(plans: Plans, manifests: dict[str, Manifest], name: str) -> None:
    told = {absent["where"].rpartition(": ")[2]: absent["what"] for absent in plans[name]["absent"]}
    text = (PAPER / f"{name}.toml").read_text(encoding="utf-8")
    models = [
        part
        for cell in manifests[name].combinations
        for part in cell.components.values()
        if part.kind in ("tokenizer", "prior")
    ]
    assert len(models) == PUBLISHED[name]
    for imported in models:
        assert imported.artifact is not None and imported.artifact in told[f"{imported.kind}.{imported.label}"]
        command = rf"^#   tamingplat import taming .* --as {imported.artifact.removesuffix('-tokenizer')}$"
        assert re.search(command, text, re.M), imported.artifact


@pytest.mark.parametrize("name", ["tab5", "published"])
def test_tokenizers_are_compared_without_a_prior_on_the_whole_split(plans: Plans, name: str) -> None:
    kinds = {stage["kind"] for stage in plans[name]["stages"]}
    assert not kinds & {"train_prior", "import_prior", "sample"} and "reconstruct" in kinds
    (real,) = (stage["label"] for stage in plans[name]["stages"] if stage["label"].startswith("fid of 50000"))
    assert real == "fid of 50000 images of imagenet validation"


@pytest.mark.parametrize("name", [path.stem for path in MANIFESTS if path.stem not in PUBLISHED])
def test_every_training_is_costed(plans: Plans, name: str) -> None:
    trained = [*_estimates(plans[name], "train_tokenizer"), *_estimates(plans[name], "train_prior")]
    costed = [stage for stage in trained if stage["estimate"]["images"] is not None]
    assert costed
    for stage in costed:
        estimate = stage["estimate"]
        assert estimate["gpu_hours"] > 0 and estimate["memory_bytes"] > 4 * estimate["parameters"], stage["label"]


def _of_transformers(stage: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in stage["estimate"]["published"] if not row["label"].startswith("PixelSNAIL")]


def test_what_trains_of_a_pixelsnail_is_near_the_published_number(plans: Plans) -> None:
    priors = [stage["estimate"] for stage in _estimates(plans["tab1"], "train_prior")]
    sizes = {row["label"]: (one, row) for one in priors for row in one["published"] if row["label"].startswith("PixelSNAIL")}
    assert len(sizes) == 4
    for label, (estimate, row) in sizes.items():
        assert row["counted"] == estimate["active_parameters"] < estimate["parameters"], label
        assert abs(row["counted"] / row["parameters"] - 1) < 0.04 and "width" in row["note"], label


def test_every_row_of_table_3_is_as_large_as_counted_by_hand(plans: Plans) -> None:
    counted: dict[str, set[int]] = {}
    published: dict[str, int] = {}
    for plan in plans.values():
        for stage in _estimates(plan, "train_prior"):
            for row in _of_transformers(stage):
                counted.setdefault(row["label"], set()).add(row["counted"])
                published[row["label"]] = row["parameters"]
    assert published == {label: row.published for label, row in TABLE_3.items()}
    assert counted == {label: {row.parameters} for label, row in TABLE_3.items()}


def test_published_sizes_that_differ_are_the_known_ones_and_marked(plans: Plans) -> None:
    marked = {
        row["label"]: row["note"]
        for plan in plans.values()
        for stage in _estimates(plan, "train_prior")
        for row in _of_transformers(stage)
        if row["differs"]
    }
    assert set(marked) == {label for label, row in TABLE_3.items() if abs(row.parameters / row.published - 1) > 0.01}
    assert set(marked) == IRRECONCILABLE
    assert all(marked.values()), "a row that differs is explained"


def test_the_class_conditional_model_has_1400_million_parameters(plans: Plans) -> None:
    (stage,) = _estimates(plans["tab4"], "train_prior")
    assert stage["estimate"]["parameters"] == Row(0, 48, 1536, 16384, 257, 1001).parameters
    assert round(stage["estimate"]["parameters"] / 1e9, 1) == 1.4


def test_learning_rates_are_the_papers_for_their_batches(manifests: dict[str, Manifest]) -> None:
    rates = {}
    for name, manifest in manifests.items():
        for cell in manifest.combinations:
            parts = [part for component in cell.components.values() for part in (component, *component.parts.values())]
            for trained in parts:
                if trained.train is not None and trained.artifact is None and trained.component.name != "pixelsnail":
                    rates[name, trained.label] = trained.train.learning_rate / trained.train.batch_size
    assert rates
    assert {place for place, rate in rates.items() if rate != pytest.approx(4.5e-6)} == set()


def test_table_1_compares_equal_layers_over_equal_steps(manifests: dict[str, Manifest]) -> None:
    compared: dict[str, dict[str, tuple[Any, ...]]] = {}
    for cell in manifests["tab1"].cells:
        train = cell.prior.train
        assert train is not None
        budget = (cell.tokenizer.label, cell.conditioner.label, train.steps, train.batch_size)
        compared.setdefault(cell.dataset.label, {})[cell.prior.component.name] = (cell.prior.config.layers, *budget)  # type: ignore[attr-defined]
    assert set(compared) == {"rin", "lsun-ct", "imagenet", "d-rin", "s-flckr"}
    for dataset, models in compared.items():
        assert set(models) == {"gpt", "pixelsnail"}, dataset
        assert models["gpt"] == models["pixelsnail"], dataset


def test_orderings_differ_in_the_ordering_alone(plans: Plans, manifests: dict[str, Manifest]) -> None:
    cells = manifests["orderings"].cells
    assert [cell.ordering.component.name for cell in cells] == [
        "raster",
        "spiral-out",
        "z-curve",
        "subsample",
        "alternate",
        "spiral-in",
    ]
    costs = {json.dumps(stage["estimate"]["flops"]) for stage in _estimates(plans["orderings"], "train_prior")}
    assert len(costs) == 1 and len({(cell.tokenizer.label, cell.prior.label, cell.seed) for cell in cells}) == 1


def test_cifar10_is_compared_at_one_budget(plans: Plans) -> None:
    codes, pixels = (stage["estimate"] for stage in _estimates(plans["cifar10"], "train_prior"))
    assert (codes["codes_per_image"], pixels["codes_per_image"]) == (256, 1024)
    assert codes["flops"] == pytest.approx(pixels["flops"], rel=0.01)


def test_windows_are_16_by_16_codes(plans: Plans) -> None:
    for name in ("fig7", "fig10"):
        assert {stage["estimate"]["codes_per_image"] for stage in _estimates(plans[name], "train_prior")} == {256}, name


def test_the_readme_says_what_the_plans_say(plans: Plans) -> None:
    text = (PAPER / "README.md").read_text(encoding="utf-8")
    for name, plan in plans.items():
        hours = sum(
            stage["estimate"]["gpu_hours"] or 0
            for kind in ("train_tokenizer", "train_prior")
            for stage in _estimates(plan, kind)
        )
        (line,) = re.findall(rf"^\| `{name}\.toml` \|.*$", text, flags=re.MULTILINE)
        assert int(line.split("|")[-2].replace("\u202f", "")) == round(hours), name
    for label, row in TABLE_3.items():
        (line,) = re.findall(rf"^ *{re.escape(label)}  .*$", text, flags=re.MULTILINE)
        assert f"{row.published:,}".replace(",", " ") in line and f"{row.parameters:,}".replace(",", " ") in line
