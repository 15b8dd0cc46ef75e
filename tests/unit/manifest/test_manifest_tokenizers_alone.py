"""A matrix without priors: datasets and tokenizers alone, and what says nothing beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tamingplat.interfaces import ProblemsError
from tamingplat.manifest import Manifest, load_manifest, manifest_schema
from tamingplat.registry import load_registry

Load = Callable[..., Manifest]

ALONE = "[matrix]\ndataset = ['noise']\ntokenizer = ['kmeans', 'vq']\n"
VQ = "[tokenizer.vq]\nuse = 'vqgan'\n"


def test_its_cells_are_datasets_and_tokenizers_over_tokenizer_seeds(load: Load) -> None:
    manifest = load("tokenizer_seeds = [3, 5]\n" + VQ + ALONE)
    assert not manifest.cells and manifest.seeds == ()
    assert [cell.labels for cell in manifest.tokenizer_cells] == [
        {"dataset": "noise", "tokenizer": name, "tokenizer_seed": seed} for name in ("kmeans", "vq") for seed in (3, 5)
    ]
    assert manifest.combinations == manifest.tokenizer_cells
    assert {cell.where for cell in manifest.tokenizer_cells} == {"m.toml:6: matrix"}


def test_what_is_not_given_is_the_whole_split_and_the_metrics_of_tokenizers(load: Load) -> None:
    manifest = load(VQ + ALONE)
    assert [metric.label for metric in manifest.metrics] == ["reconstruction", "codebook"]
    assert manifest.evaluate.samples is None and manifest.evaluate.reconstructed(50_000) == 50_000
    limited = load(VQ + ALONE, "evaluate.samples=100").evaluate
    assert (limited.reconstructed(50_000), limited.reconstructed(7)) == (100, 7)
    assert load(VQ + ALONE, "evaluate.samples=none").evaluate.samples is None
    assert [metric.label for metric in load(VQ + ALONE, 'evaluate.metrics=["nll"]').metrics] == ["nll"]


def test_the_resolved_manifest_says_what_it_means(load: Load) -> None:
    resolved = json.loads(json.dumps(load(VQ + ALONE).resolved()))
    assert set(resolved["components"]) == {"dataset", "tokenizer", "metric", "executor"}
    assert (resolved["seeds"], resolved["tokenizer_seeds"]) == ([], [0])
    assert resolved["cells"][0] == {"dataset": "noise", "tokenizer": "kmeans", "tokenizer_seed": 0}
    assert resolved["evaluate"]["samples"] is None and resolved["evaluate"]["metrics"] == ["reconstruction", "codebook"]


def test_axes_of_tokenizers_vary_them_and_cells_are_excluded_and_included(load: Load) -> None:
    text = VQ + ALONE + "exclude = [{ tokenizer = 'kmeans' }]\ninclude = [{ tokenizer = 'kmeans', tokenizer_seed = 7 }]\n"
    manifest = load(text + "[axes]\n'tokenizer.vq.config.codebook_size' = [16, 64]\n")
    assert [(cell.tokenizer.label, cell.tokenizer_seed, dict(cell.axes)) for cell in manifest.tokenizer_cells] == [
        ("vq[codebook_size=16]", 0, {"tokenizer.vq.config.codebook_size": 16}),
        ("vq[codebook_size=64]", 0, {"tokenizer.vq.config.codebook_size": 64}),
        ("kmeans", 7, {}),
    ]


PLACES = "without them there are dataset, tokenizer, tokenizer_seed"
MISTAKES = {
    "a sampler": (
        ALONE + "sampler = ['ancestral']\n",
        [
            "m.toml:8: matrix.sampler: needs a prior, and the matrix names none; "
            'add prior = ["…"], or leave sampler out to compare tokenizers alone'
        ],
    ),
    "everything but a prior": (
        ALONE + "ordering = ['rater']\nconditioner = ['none']\nsampler = ['ancestral']\n",
        [
            "m.toml:8: matrix.ordering: needs a prior, and the matrix names none; "
            'add prior = ["…"], or leave ordering, conditioner and sampler out to compare tokenizers alone',
            "m.toml:8: matrix.ordering[0]: there is no ordering:rater; did you mean raster?",
        ],
    ),
    "a prior without an ordering": (ALONE + "prior = ['gpt']\n", ["m.toml:5: matrix.ordering: is required"]),
    "seeds of priors": (
        "seeds = [0, 1]\n" + ALONE,
        [
            "m.toml:3: seeds: vary priors and their samples, and the matrix names no prior; "
            "remove them; tokenizer_seeds vary tokenizers"
        ],
    ),
    "cells with priors": (
        ALONE + "exclude = [{ sampler = 'ancestral' }]\ninclude = [{ prior = 'gpt', tokenizer = 'vq', seed = 1 }]\n",
        [
            f"m.toml:{line}: matrix.{field}: needs a prior, and the matrix names none; "
            f"remove it, or name priors and orderings in the matrix; {PLACES}"
            for line, field in ((8, "exclude[0].sampler"), (9, "include[0].prior"), (9, "include[0].seed"))
        ],
    ),
    "an empty exclusion": (
        ALONE + "exclude = [{}]\n",
        ["m.toml:8: matrix.exclude[0]: must not be empty; name one of dataset, tokenizer, tokenizer_seed"],
    ),
    "an axis of a prior": (
        "[prior.gpt]\n" + ALONE + "[axes]\n'prior.gpt.config.layers' = [1, 2]\n",
        [
            'm.toml:10: axes."prior.gpt.config.layers": no cell uses the block prior.gpt; '
            "name the block in the matrix, or remove the axis"
        ],
    ),
    "no number of samples where there are priors": (
        ALONE + "prior = ['gpt']\nordering = ['raster']\n[evaluate]\nsamples = 'none'\n",
        [
            "m.toml:11: evaluate.samples: must be a number where there are priors to sample from; "
            "write how many images are sampled per cell"
        ],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_needs_a_prior_is_said_at_its_place(case: str, problems: Callable[..., list[str]]) -> None:
    text, expected = MISTAKES[case]
    seeds, block = (text.splitlines(keepends=True)[0], text.split("\n", 1)[1]) if text.startswith("seeds") else ("", text)
    assert problems(seeds + VQ + block) == expected


def test_editors_are_told_the_same(tmp_path: Path) -> None:
    registry = load_registry(directory=tmp_path)
    validator = jsonschema.Draft202012Validator(manifest_schema(registry))
    matrix = {"dataset": ["blobs"], "tokenizer": ["kmeans"]}
    whole = {**matrix, "prior": ["gpt"], "ordering": ["raster"]}
    for table, fits in (
        (matrix, True),
        (whole, True),
        *(({**matrix, kind: whole.get(kind, ["none"])}, False) for kind in ("prior", "ordering", "conditioner", "sampler")),
    ):
        document = {"schema": 1, "name": "alone", "matrix": table}
        assert (not list(validator.iter_errors(document))) is fits, table
        path = tmp_path / "alone.toml"
        path.write_text('schema = 1\nname = "alone"\n[dataset.blobs]\nuse = "imagefolder"\nconfig = { root = ".", size = 8 }\n')
        path.write_text(path.read_text() + "[tokenizer.kmeans]\nconfig = { codebook_size = 8 }\n[matrix]\n")
        path.write_text(path.read_text() + "\n".join(f"{kind} = {json.dumps(names)}" for kind, names in table.items()))
        if fits:
            load_manifest(path, registry)
        else:
            with pytest.raises(ProblemsError, match=r"needs a prior|ordering: is required"):
                load_manifest(path, registry)
