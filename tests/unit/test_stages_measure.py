"""What evaluation records, what it never records, and which metrics do not suit the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from tamingplat_orderings.ordering import Raster, RasterFlipped, RasterMirrored, ZCurve

from tamingplat.interfaces import CodeSpace, Component, DatasetInfo, NoConfig, TamingplatError
from tamingplat.interfaces.models import Measurement, Metric, Ordering, Subject
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.evaluate import PER_IMAGE, measure
from tamingplat.stages.refusals import metric_refusals, prior_metric_refusals

NOTHING = cast(Subject, None)


class Numbers(Metric):
    """Gives what it was made with."""

    measures = "images"

    def __init__(self, *measurements: Measurement) -> None:
        super().__init__(NoConfig(), {})
        self.measurements = measurements

    def run(self, subject: Any) -> Sequence[Measurement]:
        return self.measurements


def test_values_per_image_lie_beside_the_record(tmp_path: Path) -> None:
    values = np.array([1.0, 2.0, 6.0])
    metric = Numbers(
        Measurement("mean", 3.0, values=values),
        Measurement("distance", 0.5, "dB", "lower", "What.", standard_error=0.1, ranks=False),
        Measurement("double", 6.0, values=2 * values),
    )
    record = measure(metric, "a metric", NOTHING, tmp_path)
    items = record["measurements"]
    assert [item["per_image"] for item in items] == [0, None, 1]
    stored = np.load(tmp_path / PER_IMAGE)
    assert stored.dtype == np.float64
    np.testing.assert_array_equal(stored, [values, 2 * values])
    assert (items[1]["standard_error"], items[1]["ranks"]) == (0.1, False)
    assert (items[0]["standard_error"], items[0]["ranks"]) == (None, True)
    assert "values" not in items[0] and record["seconds"] >= 0


def test_without_values_there_is_no_file_and_names_take_the_prefix(tmp_path: Path) -> None:
    (item,) = measure(Numbers(Measurement("fid (N=5)", 3.0)), "a metric", NOTHING, tmp_path, "r")["measurements"]
    assert item["name"] == "rfid (N=5)" and item["per_image"] is None
    assert not (tmp_path / PER_IMAGE).exists()


@pytest.mark.parametrize(
    ("measurement", "named"),
    [
        (Measurement("fid", float("nan")), "fid = nan"),
        (Measurement("kid", float("inf")), "kid = inf"),
        (Measurement("kid", 1.0, standard_error=float("nan")), "kid = nan"),
        (Measurement("nll", 1.0, values=np.array([1.0, np.inf])), "nll of image 1 = inf"),
    ],
)
def test_what_is_not_finite_is_never_recorded(measurement: Measurement, named: str, tmp_path: Path) -> None:
    with pytest.raises(TamingplatError, match=f"fid of samples: not a finite number: {named}; the result is not recorded"):
        measure(Numbers(Measurement("other", 1.0), measurement), "fid of samples", NOTHING, tmp_path)
    assert not list(tmp_path.iterdir())


class Labelled(Numbers):
    needs_labels = True


class Copies(Numbers):
    looks_for_copies = True


def refusals(metric: type[Numbers], info: DatasetInfo, split: str = "validation") -> str:
    component = Component(kind="metric", name="mine", factory="a:B", summary="One.")
    resolved = cast(ResolvedComponent, SimpleNamespace(component=component, parts={}, where="m.toml:7: metric.mine"))
    builder = cast(Builder, SimpleNamespace(load_class=lambda _: metric, metric=lambda *_: metric()))
    found = list(metric_refusals(builder, [resolved], info, samples=9, reference="train", split=split))
    assert all(problem.where == "m.toml:7: metric.mine" for problem in found)
    return "; ".join(problem.what for problem in found)


def test_metrics_that_do_not_suit_the_dataset_are_refused_at_plan_time() -> None:
    splits = {"train": 9, "validation": 9}
    info, classes = DatasetInfo((8, 8), 3, splits), DatasetInfo((8, 8), 3, splits, label_names=("a", "b"))
    assert refusals(Numbers, info) == refusals(Labelled, classes) == refusals(Copies, info) == ""
    assert "metric:mine: reads labels, and the dataset has no classes" in refusals(Labelled, info)
    assert "and the evaluated split is train; set split of [evaluate] to another one" in refusals(Copies, info, "train")
    assert "the dataset has no split train" in refusals(Copies, DatasetInfo((8, 8), 3, {"validation": 9}))


class AfterTheFirstHalf(Numbers):
    measures = "prior"

    def given_positions(self, space: CodeSpace) -> np.ndarray:
        return np.arange(space.length) < space.length // 2


class Shuffled(Raster):
    random = True


@pytest.mark.parametrize(
    ("ordering", "reason"),
    [
        (Raster, ""),
        (ZCurve, ""),
        (RasterMirrored, ""),
        (RasterFlipped, "under ordering:mine, 8 of the 8 codes that are given are not visited before all others"),
        (Shuffled, "under ordering:mine, codes are visited at random"),
    ],
)
def test_a_likelihood_after_given_codes_needs_an_ordering_that_begins_with_them(ordering: type[Ordering], reason: str) -> None:
    metric, orders = (
        cast(ResolvedComponent, SimpleNamespace(component=component, parts={}, where="here"))
        for component in (Component(kind=kind, name="mine", factory="a:B", summary="One.") for kind in ("metric", "ordering"))
    )
    info = DatasetInfo((4, 4), 3, {"train": 8, "validation": 1})
    builder: Any = SimpleNamespace(
        load_class=lambda _: AfterTheFirstHalf,
        metric=lambda *_: AfterTheFirstHalf(),
        ordering=lambda _: ordering(NoConfig(), {}),
        dataset=lambda _: SimpleNamespace(info=info),
    )
    cell: Any = SimpleNamespace(dataset=None, ordering=orders)
    found = list(prior_metric_refusals(builder, cell, [metric], CodeSpace(((4, 4),), 8), None))
    assert len(found) == bool(reason) and all(one.what.startswith(f"metric:mine: {reason}") for one in found), found


def test_metrics_of_priors_are_told_how_many_images_the_evaluated_split_has() -> None:
    told = []

    class OfPriors(Numbers):
        measures = "prior"

        def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
            told.append((samples, reference))
            return None

    info = DatasetInfo((8, 8), 3, {"train": 8, "validation": 1})
    assert refusals(OfPriors, info) == "" and told == [(1, 8)]
    assert refusals(OfPriors, info, split="train") == "" and told[-1] == (8, 8)
