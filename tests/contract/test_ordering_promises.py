"""The six visiting orders on grids of every shape, beside the golden ones."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tamingplat_orderings.plugin import tamingplat_components

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import Ordering
from tamingplat.testing.orderings import check_permutation

PAPERS = {"raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate"}
COMPONENTS = {component.name: component for component in tamingplat_components()}
GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures" / "parity" / "orderings.json").read_text())
PLANES = [((height, width),) for height in range(1, 10) for width in range(1, 10)]


@pytest.fixture(params=sorted(COMPONENTS))
def ordering(request: pytest.FixtureRequest) -> Ordering:
    component = COMPONENTS[request.param]
    return pkgutil.resolve_name(component.factory)(component.config(), {})


def test_the_six_of_the_paper_and_the_mirror_images_of_raster() -> None:
    assert set(COMPONENTS) == PAPERS | {"raster-mirrored", "raster-flipped", "raster-rotated", "column-major"}


def test_every_position_once(ordering: Ordering) -> None:
    check_permutation(ordering, PLANES)
    assert all(ordering.refusal(CodeSpace(grids, 2)) is None for grids in PLANES)


def test_several_grids(ordering: Ordering) -> None:
    check_permutation(ordering, [((1, 1), (2, 2), (3, 5)), ((4, 4), (8, 8)), ((1, 7), (7, 1))])
    coarse, fine = (ordering.plan(CodeSpace((grid,), 2), 1).order[0] for grid in ((2, 3), (4, 6)))
    both = ordering.plan(CodeSpace(((2, 3), (4, 6)), 2), 1).order[0]
    assert both.tolist() == [*coarse.tolist(), *(6 + fine).tolist()]


@pytest.mark.parametrize("size", sorted(GOLDEN))
@pytest.mark.parametrize("name", sorted(PAPERS))
def test_golden_orders(name: str, size: str) -> None:
    component = COMPONENTS[name]
    height, width = map(int, size.split("x"))
    plan = pkgutil.resolve_name(component.factory)(component.config(), {}).plan(CodeSpace(((height, width),), 2), 3)
    expected = GOLDEN[size][name.replace("-", "_")]
    assert plan.order.tolist() == [expected] * 3


@pytest.mark.parametrize("grid", [(7,), (2, 3, 4), (1,)])
def test_grids_that_are_no_planes(ordering: Ordering, grid: tuple[int, ...]) -> None:
    space = CodeSpace((grid, (2, 2)), 2)
    refusal = ordering.refusal(space)
    if type(ordering).__name__ == "Raster":
        assert refusal is None
        assert ordering.plan(space, 1).order[0].tolist() == list(range(space.length))
    else:
        assert refusal is not None and "×".join(map(str, grid)) in refusal and "raster" in refusal


def test_a_plan_is_made_once(ordering: Ordering) -> None:
    first, second = (ordering.plan(CodeSpace(((4, 4),), vocab_size), 3) for vocab_size in (2, 8))
    assert first.shared and first.order.stride(0) == 0
    assert first.order.data_ptr() == second.order.data_ptr()
    assert ordering.plan(CodeSpace(((2, 8),), 2), 3).order.data_ptr() != first.order.data_ptr()


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("spiral-out", (3, 2), [2, 0, 1, 3, 5, 4]),
        ("spiral-out", (1, 5), [2, 3, 1, 4, 0]),
        ("z-curve", (3, 3), [0, 1, 3, 4, 2, 5, 6, 7, 8]),
        ("z-curve", (4, 2), [0, 1, 2, 3, 4, 5, 6, 7]),
        ("subsample", (3, 3), [0, 2, 6, 8, 1, 7, 3, 5, 4]),
        ("alternate", (3, 2), [0, 1, 3, 2, 4, 5]),
        ("raster-mirrored", (2, 3), [2, 1, 0, 5, 4, 3]),
        ("raster-flipped", (2, 3), [3, 4, 5, 0, 1, 2]),
        ("raster-rotated", (2, 3), [5, 4, 3, 2, 1, 0]),
        ("column-major", (2, 3), [0, 3, 1, 4, 2, 5]),
    ],
)
def test_shapes_that_the_published_code_does_not_take(name: str, shape: tuple[int, int], expected: list[int]) -> None:
    component = COMPONENTS[name]
    plan = pkgutil.resolve_name(component.factory)(component.config(), {}).plan(CodeSpace((shape,), 2), 1)
    assert plan.order[0].tolist() == expected


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_pictures_number_the_cells_in_visiting_order(name: str) -> None:
    component = COMPONENTS[name]
    picture = pkgutil.resolve_name(component.illustration)()
    cells = [[int(number) for number in numbers] for line in picture.splitlines() if (numbers := _numbers(line))]
    order = pkgutil.resolve_name(component.factory)(component.config(), {}).plan(CodeSpace(((8, 8),), 2), 1)
    assert torch.equal(torch.tensor(cells).flatten(), order.ranks()[0])


def _numbers(line: str) -> list[str]:
    return "".join(letter if letter.isdigit() else " " for letter in line).split()


def test_listing_and_pictures_import_no_torch() -> None:
    program = (
        "import pkgutil, sys\n"
        "from tamingplat_orderings.plugin import tamingplat_components\n"
        "for component in tamingplat_components(): assert pkgutil.resolve_name(component.illustration)()\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
