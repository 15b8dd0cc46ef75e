"""The JSON Schema of manifests: what is shipped fits it, planted mistakes do not, and what it refuses the loader refuses."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tamingplat.interfaces import ProblemsError
from tamingplat.manifest import load_manifest, manifest_schema
from tamingplat.registry import load_registry

ROOT = Path(__file__).parents[3]
MANIFESTS = [
    path
    for path in sorted((ROOT / "experiments").rglob("*.toml"))
    if "references" not in path.relative_to(ROOT / "experiments").parts
]
DATA = ROOT / "experiments" / "data"

GOOD = f"""
schema = 1
name = "good"
seeds = [0, 1]

[dataset.emoji]
use = "parquet"
config = {{ train = "{DATA}/noto-emoji-64-train.parquet", validation = "{DATA}/noto-emoji-64-validation.parquet", size = 32 }}

[tokenizer.vqgan]
preset = "openimages-f8-256"
config = {{ perceptual = {{ use = "st-alex", config = {{}} }}, channel_multipliers = "none" }}
train = {{ steps = 10, gradient_clip = "none" }}

[tokenizer.pixels]
use = "k-means"
config = {{ codebook_size = 16 }}

[prior.gpt]
config = {{ layers = 1, heads = 2, width = 16 }}
train = {{ steps = 10, learning_rate = 1 }}

[axes]
"prior.gpt.train.learning_rate" = [3e-4, 1e-3]
prior.gpt.config.layers = [1, 2]

[matrix]
dataset = ["emoji"]
tokenizer = ["vqgan", "pixels"]
prior = ["gpt"]
ordering = ["raster"]
exclude = [{{ tokenizer = "pixels", seed = 1 }}]

[evaluate]
metrics = ["nll"]

[runtime]
executor = "inline"
"""

# What is replaced, and by what: one mistake of each sort.
MISTAKES = {
    "an unknown table": ("[evaluate]", "[evaluation]"),
    "an unknown field of a table": ("metrics =", "metric ="),
    "another version": ("schema = 1", "schema = 2"),
    "no name": ('name = "good"', ""),
    "a name that is no file name": ('name = "good"', 'name = "go/od"'),
    "a seed below zero": ("seeds = [0, 1]", "seeds = [-1]"),
    "no such component": ('use = "parquet"', 'use = "parquets"'),
    "a component of another kind": ('use = "k-means"', 'use = "gpt"'),
    "a block that says nothing of its component": ('use = "k-means"', ""),
    "no such preset": ("openimages-f8-256", "openimages-f8-255"),
    "an unknown setting": ("codebook_size = 16", "codebok_size = 16"),
    "a setting out of its limits": ("codebook_size = 16", "codebook_size = 0"),
    "a setting of another type": ("codebook_size = 16", 'codebook_size = "16"'),
    "a setting that is not among the choices": ("layers = 1,", 'vocabulary = "other", layers = 1,'),
    "a setting without which it cannot be": (", size = 32", ""),
    "a size that is no number": ("size = 32", 'size = "large"'),
    "a size of three sides": ("size = 32", "size = [1, 2, 3]"),
    "an unknown field of a reference": ("{ use = ", "{ component = "),
    "an unknown setting inside a reference": ("config = {} }", "config = { width = 3 } }"),
    "training of what is fitted": ("config = { codebook_size = 16 }", "train = { steps = 3 }"),
    "an unknown training setting": ("gradient_clip =", "gradient_clipping ="),
    "a training setting of another type": ("learning_rate = 1 ", 'learning_rate = "fast" '),
    "no ordering": ('ordering = ["raster"]', ""),
    "a matrix of texts": ('prior = ["gpt"]', 'prior = "gpt"'),
    "an unknown kind in the matrix": ("ordering =", "orderings ="),
    "an unknown field of an exclusion": ("seed = 1 ", "seeds = 1 "),
    "an axis of nothing": ('"prior.gpt.train', '"priors.gpt.train'),
    "an axis that is no list": ("[3e-4, 1e-3]", "3e-4"),
}


@pytest.fixture(scope="module")
def registry() -> Any:
    return load_registry(directory=ROOT / "experiments")


@pytest.fixture(scope="module")
def validator(registry: Any) -> jsonschema.Draft202012Validator:
    schema = manifest_schema(registry)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_what_is_shipped_fits(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    errors = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(read(path.read_text()))]
    assert not errors


def test_the_manifest_of_the_mistakes_has_none(
    tmp_path: Path, registry: Any, validator: jsonschema.Draft202012Validator
) -> None:
    assert not list(validator.iter_errors(read(GOOD)))
    load(tmp_path, GOOD, registry)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_and_the_loader_agrees(
    mistake: str, tmp_path: Path, registry: Any, validator: jsonschema.Draft202012Validator
) -> None:
    right, wrong = MISTAKES[mistake]
    assert GOOD.count(right), right
    # Without the axes where they would excuse what is missing: an axis may give any setting.
    text = GOOD[: GOOD.index("[axes]")] + GOOD[GOOD.index("[matrix]") :] if "axis" not in mistake else GOOD
    text = text.replace(right, wrong, 1)
    assert list(validator.iter_errors(read(text))), text
    with pytest.raises(ProblemsError):
        load(tmp_path, text, registry)


def test_descriptions_summaries_and_presets_are_carried_over(validator: jsonschema.Draft202012Validator) -> None:
    definitions = validator.schema["$defs"]
    assert "codebook" in definitions["tokenizer:vqgan"]["properties"]["embedding_dim"]["description"]
    assert definitions["train"]["properties"]["steps"]["description"] == "Optimizer steps."
    used = definitions["block:tokenizer"]["properties"]["use"]
    assert {"vqgan", "kmeans", "k-means"} <= set(used["enum"])
    assert len(used["x-taplo"]["docs"]["enumValues"]) == len(used["enum"])
    assert "imagenet-f16-1024" in definitions["use:tokenizer:vqgan"]["properties"]["preset"]["enum"]
    assert '"type": "null"' not in json.dumps(validator.schema)  # which no TOML could say


def test_a_setting_that_only_an_axis_gives_is_no_mistake(
    tmp_path: Path, registry: Any, validator: jsonschema.Draft202012Validator
) -> None:
    text = GOOD.replace(", size = 32", "").replace("[axes]", '[axes]\n"dataset.emoji.config.size" = [16, 32]')
    assert not list(validator.iter_errors(read(text)))
    load(tmp_path, text, registry)


def test_the_command_writes_it(tmp_path: Path, tamingplat_here: Callable[..., Any]) -> None:
    target = tmp_path / "tamingplat.schema.json"
    result = tamingplat_here("schema", "--out", target)
    assert result.returncode == 0 and "#:schema ./tamingplat.schema.json" in result.stdout
    written = json.loads(target.read_text())
    assert written == json.loads(tamingplat_here("schema").stdout)
    assert written["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    refused = tamingplat_here("schema", "--out", tmp_path / "nowhere" / "schema.json")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr


def read(text: str) -> Any:
    return tomllib.loads(text)


def load(folder: Path, text: str, registry: Any) -> None:
    path = folder / "manifest.toml"
    path.write_text(text)
    load_manifest(path, registry)
