"""Whatever stands in a manifest, it is read or refused with problems that name its lines: nothing else is ever raised."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tamingplat.interfaces import ProblemsError
from tamingplat.manifest import load_manifest

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "name": "toy",
    "seeds": [0, 1],
    "compare_with": ["weights.bin"],
    "dataset": {"pictures": {"use": "folder", "config": {"root": "images", "masks": {"a": "images"}, "size": 16}}},
    "tokenizer": {
        "vq": {
            "use": "vqgan",
            "preset": "large",
            "config": {"perceptual": {"use": "deep", "config": {"layers": [1]}}, "loss": {"weight": 1.0}, "strides": [1, 2]},
            "train": {"steps": 5, "betas": [0.5, 0.5]},
            "views": 2,
        }
    },
    "prior": {"gpt": {"config": {"layers": 2}, "artifact": "mine"}},
    "sampler": {"picky": {"use": "rejection", "config": {"inner": "ancestral", "judges": ["deep", {"use": "alex"}]}}},
    "perceptual": {"deep": {"use": "vgg", "config": {"weights": "weights.bin"}}},
    "matrix": {
        "dataset": ["pictures", "noise"],
        "tokenizer": ["vq", "kmeans"],
        "prior": ["gpt", "snail"],
        "ordering": ["raster", "row-major", "spiral-in"],
        "sampler": ["picky"],
        "exclude": [{"prior": "gpt", "ordering": ["raster"], "seed": 1}],
        "include": [{"dataset": "noise", "tokenizer": "vq", "prior": "gpt", "ordering": "raster", "seed": 7}],
    },
    "axes": {"perceptual.deep.config.layers": [[1], [2]], "prior": {"gpt": {"config": {"layers": [1, 2]}}}},
    "evaluate": {"metrics": ["nll"], "samples": 10},
    "runtime": {"executor": "inline", "device": "cpu"},
}

_WORDS = [
    "",
    "none",
    "vq",
    "vqgan",
    "gpt",
    "deep",
    "picky",
    "raster",
    "images",
    "config",
    "train",
    "use",
    "a b",
    "é",
    "0",
    "~",
    "\x00",
]
_SCALARS = st.one_of(
    st.sampled_from(_WORDS),
    st.integers(-2, 3),
    st.sampled_from([0.5, 1e308, float("nan"), float("inf"), 10**30]),
    st.booleans(),
)
_KEYS = st.sampled_from(
    [*_WORDS, "inner", "perceptual", "judges", "layers", "weights", "seed", "prior", "prior.gpt.train.steps"]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=4,
)


def _containers(value: Any) -> list[dict[str, Any] | list[Any]]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in _containers(inner))]
    if isinstance(value, list):
        return [value, *(found for inner in value for found in _containers(inner))]
    return []


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    """The manifest with up to three things in it replaced, removed or added."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        container = draw(st.sampled_from(_containers(document)))
        present = list(container) if isinstance(container, dict) else list(range(len(container)))
        change = draw(st.sampled_from(["replace", "remove", "add"] if present else ["add"]))
        if change == "add":
            if isinstance(container, dict):
                container[draw(_KEYS)] = draw(_VALUES)
            else:
                container.append(draw(_VALUES))
            continue
        place: Any = draw(st.sampled_from(present))
        if change == "replace":
            container[place] = draw(_VALUES)
        else:
            del container[place]
    return document


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_documents(), st.lists(st.tuples(_KEYS, _VALUES), max_size=1))
def test_anything_is_read_or_refused(
    folder: Path, catalogue: Any, document: dict[str, Any], overrides: list[tuple[str, Any]]
) -> None:
    Path("m.toml").write_text("".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in document.items()))
    try:
        manifest = load_manifest(Path("m.toml"), catalogue, [f"{key}={_toml(value)}" for key, value in overrides])
    except ProblemsError as error:
        lines = [str(problem) for problem in error.problems]
        assert all(re.match(r"m\.toml:\d+: \S|--set ", line) for line in lines)
        assert len(set(lines)) == len(lines)
    else:
        assert manifest.cells
        json.dumps(manifest.resolved(), allow_nan=False)
        labels = [cell.label for cell in manifest.cells]
        assert len(set(labels)) == len(labels)


def test_the_manifest_that_is_changed_is_right(folder: Path, catalogue: Any) -> None:
    Path("m.toml").write_text("".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in DOCUMENT.items()))
    # gpt with 2 values of an axis, or snail; 2 values of the axis of a part; 2 seeds; 16 excluded and 4 included.
    assert len(load_manifest(Path("m.toml"), catalogue).cells) == 4 * 2 * (2 + 1) * 2 * 2 - 16 + 4
