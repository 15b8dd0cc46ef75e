"""Code spaces, visiting plans, components, seeds: the parts of the interfaces that compute something."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from tamingplat.interfaces import (
    CodeSpace,
    Component,
    Config,
    FileContent,
    FilePath,
    Problem,
    ProblemsError,
    Ref,
    Runtime,
    Selection,
    TrainingSettings,
    derive_seed,
    field_markers,
    references,
)
from tamingplat.interfaces.models import VisitPlan

_GRID = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@given(st.lists(_GRID, min_size=1, max_size=3).map(tuple))
def test_coordinates_are_canonical(grids: tuple[tuple[int, ...], ...]) -> None:
    space = CodeSpace(grids, 7)
    coords = space.coords()
    assert coords.shape == (space.length, 1 + max(len(grid) for grid in grids))
    for number, (grid, offset) in enumerate(zip(grids, space.offsets, strict=True)):
        for flat, place in enumerate(np.ndindex(*grid)):
            row = coords[offset + flat]
            assert row[0] == number
            assert tuple(row[1 : 1 + len(grid)]) == place


@pytest.mark.parametrize(("grids", "vocab"), [((), 2), (((),), 2), (((2, 0),), 2), (((2, 2),), 0)])
def test_an_impossible_code_space_is_refused(grids: tuple[tuple[int, ...], ...], vocab: int) -> None:
    with pytest.raises(ValueError, match="needs"):
        CodeSpace(grids, vocab)


@given(st.integers(1, 4), st.permutations(range(6)), st.sampled_from([(1,) * 6, (2, 3, 1), (6,)]))
def test_ranks_and_steps_invert_the_order(batch: int, order: list[int], sizes: tuple[int, ...]) -> None:
    shared = VisitPlan.repeat(torch.tensor(order), batch)
    plan = VisitPlan(shared.order, torch.tensor(sizes), shared=True)
    own = VisitPlan(shared.order.contiguous(), torch.tensor(sizes))
    assert torch.equal(plan.ranks(), own.ranks())
    for time, position in enumerate(order):
        assert (plan.ranks()[:, position] == time).all()
        step = next(number for number, end in enumerate(np.cumsum(sizes)) if time < end)
        assert (plan.steps()[:, position] == step).all()
    assert torch.equal(plan.to("cpu").order, plan.order)
    assert plan.rows(0, 1).order.shape == (1, 6)


class _Settings(Config):
    threads: Annotated[int, Runtime()] = Field(1, description="Threads.")
    file: FilePath | None = Field(None, description="A file.")
    network: Annotated[Selection | None, Ref("perceptual")] = Field(Selection(use="x"), description="A network.")
    plain: float = Field(0.5, description="A number.")


def test_markers_are_found_also_inside_unions() -> None:
    assert field_markers(_Settings) == {
        "threads": (Runtime(),),
        "file": (FileContent(),),
        "network": (Ref("perceptual"),),
        "plain": (),
    }
    assert references(_Settings) == {"network": Ref("perceptual")}


def test_a_selection_can_be_a_name_alone() -> None:
    assert _Settings.model_validate({"network": "st-vgg"}).network == Selection(use="st-vgg")
    with pytest.raises(ValidationError):
        _Settings.model_validate({"network": {"name": "st-vgg"}})


def _component(**changes: object) -> Component:
    settings = {"kind": "ordering", "name": "raster", "factory": "a.b:C", "summary": "One line.", **changes}
    return Component(**settings)  # type: ignore[arg-type]


class _Undescribed(Config):
    size: int = 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "thing"}, "unknown kind"),
        ({"name": "Raster"}, "lower-case"),
        ({"name": "a--b"}, "lower-case"),
        ({"factory": "no_colon"}, "module:object"),
        ({"illustration": "no_colon"}, "module:object"),
        ({"summary": "two\nlines"}, "one line"),
        ({"revision": 0}, "revision"),
        ({"config": dict}, "subclass"),
        ({"config": _Undescribed}, "without a description: size"),
    ],
)
def test_a_malformed_component_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _component(**changes)
    assert _component().reference == "ordering:raster"


def test_seeds_differ_by_address_and_never_by_machine() -> None:
    assert derive_seed(0, "train", 1) == 8405675000567002310
    assert len({derive_seed(0), derive_seed("0"), derive_seed(0, 0), derive_seed(1), derive_seed("0", "")}) == 5


@pytest.mark.parametrize(
    "settings",
    [{"batch_size": 3, "accumulation_steps": 2}, {"betas": (0.9, 1.0)}, {"steps": 5, "warmup_steps": 6}, {"unknown": 1}],
)
def test_contradictory_training_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingSettings(**settings)  # type: ignore[arg-type]


def test_problems_read_as_place_cause_remedy() -> None:
    error = ProblemsError([Problem("a.toml:3", "is wrong", "mend it"), Problem("", "something else")])
    assert str(error) == "a.toml:3: is wrong; mend it\nsomething else"


def test_the_interfaces_import_no_torch() -> None:
    code = "import tamingplat.interfaces, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
