"""The rules of experiments/RESULTS.md on made-up results: a planted effect, none, the other sign, and what is not there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tamingplat.engine import CurvePoint
from tamingplat.stages import Column, Instrument, ResultRow, Results

SCRIPT = Path(__file__).parents[2] / "experiments" / "findings.py"
WOBBLE = (0.004, -0.006, 0.002, 0.005, -0.003, -0.002)
"""Of each seed, the same in every line but for what a line adds."""

MEASURES = {"nll": "prior", "kd-classifier (subset=320, N=320)": "images", "rkd-classifier (subset=320, N=320)": "images"}
NLL, KD, RKD = MEASURES
COLUMNS = tuple(Column(name, "", "lower", "", True) for name in MEASURES)


@pytest.fixture(scope="module")
def scripts() -> Iterable[Callable[[str], ModuleType]]:
    """Imports what lies beside the script, as running it does."""
    names = ("findings", "known_sources", "decisions")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        yield importlib.import_module
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def findings(scripts: Callable[[str], ModuleType]) -> ModuleType:
    return scripts("findings")


@pytest.fixture(scope="module")
def known_sources(scripts: Callable[[str], ModuleType]) -> ModuleType:
    return scripts("known_sources")


def _row(kind: Any, seed: int, metrics: Mapping[str, float], **names: str) -> ResultRow:
    name = f"{kind} {'/'.join(names.values())}"
    model = "prior" if kind == "cell" else "tokenizer"
    return ResultRow(
        kind=kind,
        dataset="emoji",
        group=name,
        seed=seed if kind == "cell" else None,
        tokenizer_seed=0 if kind == "cell" else seed,
        metrics=dict(metrics),
        sources={column: f"{column} of {name} {seed}" for column in metrics},
        instruments={column: Instrument(MEASURES[column], "hash") for column in metrics},
        artifacts={"tokenizer": names.get("tokenizer", "T"), model: f"{name} {seed}"},
        evaluation={"split": "validation", "samples": 320},
        **{"tokenizer": "vqgan-f4", **names},
    )


def _line(column: str, level: float, *, kind: str = "cell", **names: str) -> list[ResultRow]:
    # A noise of its own beside the seed's, so that differences have a spread.
    noise = np.random.default_rng(sum(map(ord, "".join(names.values())))).normal(0, 0.003, 6)
    return [_row(kind, seed, {column: level + WOBBLE[seed] + noise[seed]}, **names) for seed in range(6)]


def _results(*lines: Sequence[ResultRow]) -> Results:
    return Results("made-up", tuple(row for line in lines for row in line), COLUMNS)


def _orderings(findings: ModuleType, **levels: float) -> Results:
    return _results(*(_line(NLL, levels.get(name.replace("-", "_"), 3.1), ordering=name) for name in findings.ORDERINGS))


def _priors(gpt: float, pixelsnail: float) -> Results:
    return _results(_line(NLL, gpt, prior="gpt"), _line(NLL, pixelsnail, prior="pixelsnail"))


def _of(results: Results, change: Callable[[ResultRow], ResultRow | None]) -> Results:
    return replace(results, rows=tuple(row for one in results.rows if (row := change(one)) is not None))


@pytest.mark.parametrize(("pixelsnail", "verdict"), [(3.2, "appears"), (3.0, "undecided"), (2.8, "does not appear")])
def test_one_comparison_is_decided_by_its_sign_and_its_p_value(findings: ModuleType, pixelsnail: float, verdict: str) -> None:
    decision = findings.decide(findings.equal_steps, _priors(3.0, pixelsnail))
    (compared,) = decision.compared
    assert decision.verdict == verdict and compared.comparisons == 1
    assert compared.estimate.mean == pytest.approx(3.0 - pixelsnail, abs=0.01)
    objectives = [
        _line(RKD, level, kind="reconstruction", tokenizer=name)
        for name, level in (("vqgan-f4", 3.0), ("vqvae-f4", pixelsnail))
    ]
    assert findings.decide(findings.vqgan_better, _results(*objectives)).verdict == verdict


def test_a_difference_is_of_the_same_images(findings: ModuleType) -> None:
    results = _of(_priors(3.0, 3.2), lambda row: replace(row, per_image={NLL: row.metrics[NLL] + np.linspace(-2, 2, 9)}))
    assert findings.decide(findings.equal_steps, results).verdict == "appears"
    fewer = _of(results, lambda row: replace(row, per_image={NLL: row.per_image[NLL][: 9 - (row.prior == "gpt")]}))
    assert findings.decide(findings.equal_steps, fewer).verdict == "not decided: nll has not the same N in every row"


@pytest.mark.parametrize(
    ("levels", "best", "worst"),
    [
        ({"raster": 3.0, "subsample": 3.3}, "appears", "appears"),
        ({}, "undecided", "undecided"),
        # Best and worst in the mean, and one other is as good and as bad.
        ({"raster": 3.0, "alternate": 3.001, "subsample": 3.3, "spiral_in": 3.299}, "undecided", "undecided"),
        ({"z_curve": 2.9, "subsample": 2.8}, "does not appear", "does not appear"),
    ],
)
def test_the_best_and_the_worst_of_six_differ_from_each_of_five(
    findings: ModuleType, levels: dict[str, float], best: str, worst: str
) -> None:
    results = _orderings(findings, **levels)
    found = [findings.decide(rule, results) for rule in (findings.raster_best, findings.subsample_worst)]
    assert [one.verdict for one in found] == [best, worst]
    assert all(len(one.compared) == 5 and {compared.comparisons for compared in one.compared} == {5} for one in found)


def test_what_is_not_run_to_the_end_has_no_verdict(findings: ModuleType) -> None:
    results = _orderings(findings, raster=3.0)

    def verdict(change: Callable[[ResultRow], ResultRow | None]) -> str:
        return findings.decide(findings.raster_best, _of(results, change)).verdict

    assert verdict(lambda row: None if row.seed == 4 and row.ordering == "z-curve" else row).endswith("35 of 36 cells")
    assert verdict(lambda row: replace(row, status="missing") if row.seed else row).endswith(": 6 of 36 cells")
    failed = verdict(lambda row: replace(row, status="failed") if row.seed == 2 else row)
    assert failed == "not run to the end: 30 of 36 cells, 6 of the others failed"
    other = verdict(lambda row: replace(row, seed=9) if row.seed == 4 and row.ordering == "raster" else row)
    assert other == "not decided: not the same 6 seeds of each"
    copied = verdict(lambda row: replace(row, artifacts={"tokenizer": "T", "prior": "one"}))
    assert copied == "not decided: several seeds are one training"
    moved = verdict(lambda row: replace(row, artifacts={**row.artifacts, "tokenizer": row.ordering}))
    assert moved == "not decided: nll has not the same tokenizer in every row"


def _with_curves(results: Results, **machine: Any) -> Results:
    def curved(row: ResultRow) -> ResultRow:
        # PixelSNAIL's steps take twice as long: at the transformer's end it is where it was at half of its own.
        pace = 2.0 if row.prior == "pixelsnail" else 1.0
        points = tuple(
            CurvePoint("validation", step, 8 * step, pace * step, step, {"total": row.metrics[NLL] + 1 - step / 100})
            for step in (25, 50, 75, 100)
        )
        return replace(row, curve=points, machine={"training": {"host": "here", "contended": False, **machine}})

    return _of(results, curved)


def test_equal_time_is_read_off_the_curves_and_not_where_the_machine_was_contended(findings: ModuleType) -> None:
    results = _priors(3.0, 3.0)
    decision = findings.decide(findings.equal_time, _with_curves(results))
    assert decision.verdict == "appears" and decision.compared[0].estimate.mean == pytest.approx(-0.5, abs=0.01)
    assert "1 min 40 s" in decision.note
    contended = findings.decide(findings.equal_time, _with_curves(results, contended=True))
    assert contended.verdict == "not decided: contended" and not contended.compared


def _tokenizers(samples: Sequence[float], decoded: Sequence[float] = (0.01, 0.02, 0.03, 0.9), **changes: Any) -> Results:
    names = ("kmeans-256", "vqgan-f2", "vqgan-f4", "vqgan-f8")
    cells = [_line(KD, level, tokenizer=name) for name, level in zip(names, samples, strict=True)]
    beside = [[_row("reconstruction", 0, {RKD: level}, tokenizer=name)] for name, level in zip(names, decoded, strict=True)]
    return _of(_results(*cells, *beside), lambda row: replace(row, **changes) if row.kind == "cell" else row)


@pytest.mark.parametrize(
    ("samples", "decoded", "verdict"),
    [
        ((0.9, 0.5, 0.3, 0.6), (0.01, 0.02, 0.03, 0.9), "appears"),
        ((0.9, 0.5, 0.7, 0.8), (0.01, 0.02, 0.03, 0.9), "appears"),
        ((0.9, 0.5, 0.3, 0.6), (0.01, 0.02, 0.03, 0.02), "undecided"),  # samples break, and reconstruction does not
        ((0.9, 0.5, 0.5, 0.6), (0.01, 0.02, 0.03, 0.9), "undecided"),
        ((0.9, 0.6, 0.4, 0.2), (0.01, 0.02, 0.03, 0.9), "does not appear"),
        ((0.2, 0.4, 0.6, 0.9), (0.01, 0.02, 0.03, 0.9), "does not appear"),
    ],
)
def test_samples_get_better_until_reconstruction_breaks(
    findings: ModuleType, samples: Sequence[float], decoded: Sequence[float], verdict: str
) -> None:
    assert findings.decide(findings.larger_factors, _tokenizers(samples, decoded)).verdict == verdict


def test_codes_beside_pixels(findings: ModuleType) -> None:
    def changed(row: ResultRow, *, steps: int, seconds: float) -> ResultRow:
        pixels = row.tokenizer == "kmeans-256"
        cost = {"prior_training_flops": 5.83 * steps if pixels else 300.0, "seconds_per_sample": seconds if pixels else 1.0}
        return replace(row, cost=cost, machine={"sampling": {"device": "cpu", "decode_included": True}})

    results = _tokenizers((0.9, 0.5, 0.3, 0.6))
    equal = _of(results, lambda row: changed(row, steps=52, seconds=7 + (row.seed or 0)))
    assert findings.decide(findings.codes_better, equal).verdict == "appears"
    faster = findings.decide(findings.codes_faster, equal)
    assert faster.verdict == "appears" and faster.compared[0].estimate.mean == pytest.approx(9.5)
    other = _of(results, lambda row: changed(row, steps=300, seconds=0.8 + 0.1 * (row.seed or 0)))
    assert findings.decide(findings.codes_better, other).verdict.startswith("not decided: training operations are not equal")
    assert findings.decide(findings.codes_faster, other).verdict == "undecided"
    assert findings.decide(findings.codes_faster, results).verdict.startswith("not decided: not sampled in the same way")
    many = _of(equal, lambda row: replace(row, evaluation={**row.evaluation, "samples": 597}))
    assert findings.decide(findings.codes_better, many).verdict.startswith("not decided: distances are of 597 images")
    known = _of(equal, lambda row: replace(row, trained_on=(KD,)))
    assert "was in a tokenizer's loss" in findings.decide(findings.codes_better, known).verdict


def test_mirrors_are_compared_in_all_pairs(findings: ModuleType, known_sources: ModuleType) -> None:
    same = _results(*(_line(NLL, 1.0, ordering=name) for name in known_sources.MIRRORS))
    assert findings.decide(known_sources.mirrors, same).verdict == "none of 10 pairs told apart"
    moved = _results(*(_line(NLL, 1.0 + 0.2 * (name == "raster"), ordering=name) for name in known_sources.MIRRORS))
    assert findings.decide(known_sources.mirrors, moved).verdict == "4 of 10 pairs told apart"


def test_the_tables_say_what_is_there_and_what_is_missing(findings: ModuleType) -> None:
    empty = _results()
    results = dict.fromkeys(findings.MANIFESTS, empty) | {"orderings": _orderings(findings, raster=3.0)}
    table = findings.findings_table(results)
    assert [line[1] for line in table.lines if line[0]] == [
        *["not run to the end: 0 of 12 cells"] * 2,
        "appears",
        "undecided",
        "not run to the end: 0 of 24 cells",
        *["not run to the end: 0 of 12 cells"] * 3,
    ]
    assert len(table.lines) == 6 + 2 * 5


def test_a_bar_is_kept_by_all_of_its_numbers(known_sources: ModuleType) -> None:
    reached = {"nll_excess/floor": 0.4, "structure captured": 0.995}
    row = replace(
        _row("cell", 0, {}, prior="gpt", ordering="raster"), metrics=reached, cost={"prior_training_cpu_seconds": 170.0}
    )
    others = [
        replace(row, metrics={**reached, "structure captured": 0.98}),
        replace(row, metrics={**reached, "nll_excess/floor": 0.6}),
        replace(row, cost={"prior_training_cpu_seconds": 190.0}),
        replace(row, ordering="subsample"),
        replace(row, metrics={}, cost={}, status="missing"),
    ]
    floor = known_sources.floor_table({"floor": _results([row, *others]), "floor-16": _results([others[2]])})
    assert [line[-1] for line in floor.lines] == ["yes", "no", "no", "no", "", "", "yes"]
    assert floor.lines[0] == ("8×8", "gpt", "raster", "0.4000", "0.9950", "170", "yes")
    assert floor.notes[0] == "floor.toml has not run to the end: 5 of 6 cells" and len(floor.notes) == 3
