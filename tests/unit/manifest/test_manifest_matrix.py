"""The matrix: its cells are the product less what is excluded plus what is included, always in the same order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tamingplat.interfaces import ProblemsError
from tamingplat.manifest import MATRIX_KINDS, Manifest, load_manifest

Load = Callable[..., Manifest]

NAMES = {
    "dataset": ["noise"],
    "tokenizer": ["kmeans", "vqgan"],
    "prior": ["gpt", "snail"],
    "ordering": ["raster", "spiral-out", "spiral-in"],
    "conditioner": ["none", "class"],
    "sampler": ["ancestral"],
}


def _lists() -> st.SearchStrategy[dict[str, list[str]]]:
    some = {kind: st.lists(st.sampled_from(names), min_size=1, max_size=4) for kind, names in NAMES.items()}
    return st.fixed_dictionaries(some)


@st.composite
def _manifests(draw: st.DrawFn) -> dict[str, Any]:
    matrix = draw(_lists())
    seeds = {
        field: draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True)) for field in ("tokenizer_seed", "seed")
    }
    fields = {**matrix, **seeds}
    patterns = []
    for _ in range(draw(st.integers(0, 2))):
        chosen = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True))
        pattern: dict[str, Any] = {}
        for field in chosen:
            values = st.sampled_from(fields[field])
            pattern[field] = draw(st.one_of(values, st.lists(values, min_size=1, max_size=2)))
        patterns.append(pattern)
    choices = []
    for _ in range(draw(st.integers(0, 2))):
        choice: dict[str, Any] = {}
        for kind, names in NAMES.items():
            if len(set(matrix[kind])) > 1 or draw(st.booleans()):
                choice[kind] = draw(st.sampled_from(names))
        for field in ("tokenizer_seed", "seed"):
            if draw(st.booleans()):
                choice[field] = draw(st.integers(0, 4))
        choices.append(choice)
    return {"matrix": matrix, "seeds": seeds, "exclude": patterns, "include": choices}


def _inline(table: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"


def _text(drawn: dict[str, Any]) -> str:
    lines = ["schema = 1", 'name = "drawn"', *(f"{field}s = {values}" for field, values in drawn["seeds"].items()), "[matrix]"]
    lines += [f"{kind} = {json.dumps(names)}" for kind, names in drawn["matrix"].items()]
    lines += [f"{field} = [{', '.join(map(_inline, drawn[field]))}]" for field in ("exclude", "include")]
    return "\n".join(lines)


def _expected(drawn: dict[str, Any]) -> list[tuple[object, ...]]:
    """The cells, counted out one by one: a second way to say what the matrix means."""
    lists = [list(dict.fromkeys(drawn["matrix"][kind])) for kind in MATRIX_KINDS]
    seeds = [drawn["seeds"]["tokenizer_seed"], drawn["seeds"]["seed"]]
    fields = (*MATRIX_KINDS, "tokenizer_seed", "seed")
    cells = list(itertools.product(*lists, *seeds))
    for pattern in drawn["exclude"]:
        kept = []
        for cell in cells:
            values = dict(zip(fields, cell, strict=True))
            wanted = {field: value if isinstance(value, list) else [value] for field, value in pattern.items()}
            if not all(values[field] in allowed for field, allowed in wanted.items()):
                kept.append(cell)
        assume(len(kept) < len(cells))
        cells = kept
    for choice in drawn["include"]:
        members = [[choice.get(kind, names[0])] for kind, names in zip(MATRIX_KINDS, lists, strict=True)]
        pairs = [[choice[field]] if field in choice else drawn["seeds"][field] for field in ("tokenizer_seed", "seed")]
        cells += [cell for cell in itertools.product(*members, *pairs) if cell not in cells]
    return cells


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_manifests())
def test_cells_are_the_product_less_what_is_excluded_plus_what_is_included(
    folder: Path, catalogue: Any, drawn: dict[str, Any]
) -> None:
    expected = _expected(drawn)
    path = folder / "m.toml"
    path.write_text(_text(drawn))
    try:
        cells = load_manifest(path, catalogue).cells
    except ProblemsError as error:
        assert not expected
        assert "leaves out every cell" in str(error)
        return
    fields = (*MATRIX_KINDS, "tokenizer_seed", "seed")
    assert [tuple(cell.labels[field] for field in fields) for cell in cells] == expected
    assert [cell.label for cell in load_manifest(path, catalogue).cells] == [cell.label for cell in cells]


def test_what_an_inclusion_leaves_out_is_the_one_value_of_the_matrix_or_every_seed(load: Load) -> None:
    text = "seeds = [0, 1]\ntokenizer_seeds = [5]\n[matrix]\ndataset = ['noise']\ntokenizer = ['kmeans']\nprior = ['gpt']\n"
    text += (
        "ordering = ['raster']\ninclude = [{ prior = 'snail', conditioner = 'class' }, { ordering = 'spiral-in', seed = 9 }]\n"
    )
    cells = load(text).cells
    assert [cell.label for cell in cells[2:]] == [
        "noise/kmeans/snail/raster/class/ancestral/seed=0/tokenizer_seed=5",
        "noise/kmeans/snail/raster/class/ancestral/seed=1/tokenizer_seed=5",
        "noise/kmeans/gpt/spiral-in/none/ancestral/seed=9/tokenizer_seed=5",
    ]
    assert [cell.where for cell in cells[1:4:2]] == ["m.toml:5: matrix", "m.toml:10: matrix.include[0]"]


def test_exclusions_know_aliases(load: Load) -> None:
    text = "[matrix]\ndataset = ['noise']\ntokenizer = ['kmeans']\nprior = ['gpt']\nordering = ['raster', 'spiral-in']\n"
    cells = load(text + "exclude = [{ ordering = ['row-major'] }]\n").cells
    assert [cell.ordering.label for cell in cells] == ["spiral-in"]


def test_an_included_cell_may_be_one_that_was_excluded(load: Load) -> None:
    text = "[matrix]\ndataset = ['noise']\ntokenizer = ['kmeans']\nprior = ['gpt', 'snail']\nordering = ['raster']\n"
    text += "exclude = [{ dataset = 'noise' }]\ninclude = [{ prior = 'snail' }, { prior = 'snail', seed = 0 }]\n"
    assert [cell.prior.label for cell in load(text).cells] == ["snail"]
