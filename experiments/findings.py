"""Decide the findings of RESULTS.md by their written rules, from what a store holds.

    python experiments/findings.py --store STORE [--out FILE.md]

Nothing is trained, and nothing is written but FILE.md. A finding whose cells are not all there has no verdict. Beside the eight
findings it prints what priors of known sources show (known_sources.py).
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from decisions import HEADINGS, NLL, SEEDS, Decision, cells, decide, judged, lines
from known_sources import floor_table, null_table

from tamingplat.cli.files import write_text
from tamingplat.interfaces import TamingplatError
from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.report import TextTable, number, to_markdown
from tamingplat.report.budgets import amount
from tamingplat.report.learning_curves import at_equal, comparable, learning_curves
from tamingplat.report.paired import Line, NotDecidedError, Paired, column_of, corrected, differences
from tamingplat.report.ranking import ALPHA
from tamingplat.stages import ResultRow, Results, StoredArtifacts, collect_results, make_plan
from tamingplat.store import Store

HERE = Path(__file__).parent
MANIFESTS = ("priors", "orderings", "tokenizers", "objectives", "floor", "floor-16", "null")

IMAGES = 320
"""Samples and reconstructions that distances are of."""

SAME_OPERATIONS = 0.02
"""Trainings of whole steps have equal operations up to a step, which is one in 52 where the steps are fewest."""

ORDERINGS = ("raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate")
FACTORS: Mapping[str, int] = {"kmeans-256": 1, "vqgan-f2": 2, "vqgan-f4": 4, "vqgan-f8": 8}
SAMPLES, RECONSTRUCTIONS = "kd-classifier", "rkd-classifier"
"""Kernel distances in the classifier's features: of samples to the training split; of reconstructions to their originals."""


def check_images(rows: Iterable[ResultRow]) -> None:
    """See that distances are of as many images as the rules say."""
    if wrong := {str(row.evaluation.get("samples")) for row in rows} - {str(IMAGES)}:
        raise NotDecidedError(f"not decided: distances are of {', '.join(wrong)} images, and the rule says {IMAGES}")


def distances(first: Line, second: Line, name: str) -> tuple[float, ...]:
    """Differences of a distance of as many images as the rules say."""
    check_images([*first.values(), *second.values()])
    return differences(first, second, name)


def equal_steps(results: Results) -> Decision:
    """1: the transformer below PixelSNAIL after the last step."""
    of = lines(results, "prior", ("gpt", "pixelsnail"))
    return judged({"gpt − pixelsnail": differences(of["gpt"], of["pixelsnail"], NLL)}, -1)


def equal_time(results: Results) -> Decision:
    """2: the same at the largest training time that both reached."""
    of = lines(results, "prior", ("gpt", "pixelsnail"))
    differences(of["gpt"], of["pixelsnail"], NLL)  # refuses likelihoods that are not of the same codes
    pools = comparable([curve for curve in learning_curves(results) if curve.names["prior"] in of])
    equal = [at_equal(pool, "seconds") for pool in pools]
    if reasons := dict.fromkeys(reason for one in equal for reason in one.reasons if reason):
        raise NotDecidedError(f"not decided: {', '.join(reasons)}")
    if len(pools) != 1 or len(pools[0]) != 2 * SEEDS or equal[0].at is None:
        raise NotDecidedError("not decided: the trainings have no curves that can be compared")
    nll = {(curve.names["prior"], curve.seed): value for curve, value in zip(pools[0], equal[0].nll, strict=True)}
    pairs = [(nll["gpt", seed], nll["pixelsnail", seed]) for seed in of["gpt"]]
    values = tuple(gpt - other for gpt, other in pairs if gpt is not None and other is not None)
    return judged({"gpt − pixelsnail": values}, -1, f"2: at {amount('seconds', equal[0].at)}.")


def raster_best(results: Results) -> Decision:
    """3: each of the five others above raster."""
    of = lines(results, "ordering", ORDERINGS)
    others = [name for name in ORDERINGS if name != "raster"]
    return judged({f"{name} − raster": differences(of[name], of["raster"], NLL) for name in others}, 1)


def subsample_worst(results: Results) -> Decision:
    """4: subsample above each of the five others."""
    of = lines(results, "ordering", ORDERINGS)
    others = [name for name in ORDERINGS if name != "subsample"]
    return judged({f"subsample − {name}": differences(of["subsample"], of[name], NLL) for name in others}, 1)


def larger_factors(results: Results) -> Decision:
    """5: the samples' distance falls up to some f below 8 and rises after it, as the reconstructions' distance does.

    A curve that rises from f = 1 on does not fall at any doubling: what is to appear is that it falls at least once.
    """
    names = tuple(FACTORS)
    of = lines(results, "tokenizer", names)
    beside = lines(results, "tokenizer", names, rows="reconstruction", seeds=1)
    decoded = [row for name in names for row in beside[name].values()]
    check_images(decoded)
    column = column_of(decoded, RECONSTRUCTIONS)
    rises = [later.metrics[column] > row.metrics[column] for row, later in itertools.pairwise(decoded)]
    steps = corrected(
        {f"f = {FACTORS[b]} − f = {FACTORS[a]}": distances(of[b], of[a], SAMPLES) for a, b in itertools.pairwise(names)}
    )
    turns = [
        all(one.told_apart(-1, ALPHA) for one in steps[:turn])
        and all(one.told_apart(1, ALPHA) and rise for one, rise in zip(steps[turn:], rises[turn:], strict=True))
        for turn in range(1, len(steps))
    ]
    told = "5: reconstructions' distance " + ", ".join(
        f"{number(row.metrics[column], 3)} at f = {FACTORS[row.tokenizer]}" for row in decoded
    )
    if any(turns):
        return Decision("appears", steps, f"{told}.")
    # No admissible curve begins with a rise, ends with a fall, or falls again after a rise.
    again = any(a.told_apart(1, ALPHA) and b.told_apart(-1, ALPHA) for a, b in itertools.pairwise(steps))
    against = steps[0].told_apart(1, ALPHA) or steps[-1].told_apart(-1, ALPHA) or again
    return Decision("does not appear" if against else "undecided", steps, f"{told}.")


def vqgan_better(results: Results) -> Decision:
    """6: reconstructions of VQGAN nearer to their originals than those of VQVAE."""
    of = lines(results, "tokenizer", ("vqvae-f4", "vqgan-f4"), rows="reconstruction")
    return judged({"vqgan-f4 − vqvae-f4": distances(of["vqgan-f4"], of["vqvae-f4"], RECONSTRUCTIONS)}, -1)


def codes_better(results: Results) -> Decision:
    """7: samples of f = 2 better than of pixels, where both priors were trained with as many operations."""
    of = lines(results, "tokenizer", ("vqgan-f2", "kmeans-256"))
    flops = [[row.cost.get("prior_training_flops", math.nan) for row in line.values()] for line in of.values()]
    ratio = sum(flops[0]) / sum(flops[1])
    if not abs(ratio - 1) <= SAME_OPERATIONS:
        raise NotDecidedError(f"not decided: training operations are not equal, or not counted (ratio {ratio:.3f})")
    values = distances(of["vqgan-f2"], of["kmeans-256"], SAMPLES)
    return judged({"vqgan-f2 − kmeans-256": values}, -1, f"7: training operations of f = 2 over those of pixels: {ratio:.3f}.")


def codes_faster(results: Results) -> Decision:
    """8: an image of pixels takes longer to sample than one of f = 2, for every seed."""
    of = lines(results, "tokenizer", ("kmeans-256", "vqgan-f2"))
    machines = [row.machine.get("sampling", {}) for line in of.values() for row in line.values()]
    if not machines[0].get("decode_included") or any(machine != machines[0] for machine in machines):
        raise NotDecidedError("not decided: not sampled in the same way, or without decoding")
    seconds = {name: {seed: row.cost["seconds_per_sample"] for seed, row in line.items()} for name, line in of.items()}
    ratios = tuple(seconds["kmeans-256"][seed] / seconds["vqgan-f2"][seed] for seed in seconds["vqgan-f2"])
    above = [ratio > 1 for ratio in ratios]
    verdict = "appears" if all(above) else "undecided" if any(above) else "does not appear"
    note = "8: a ratio, decided seed by seed; what else ran on the machine while it sampled is not recorded."
    return Decision(verdict, (Paired("kmeans-256 / vqgan-f2, seconds per image", ratios),), note)


RULES: Mapping[str, tuple[str, Callable[[Results], Decision]]] = {
    "1 GPT below PixelSNAIL at equal steps": ("priors", equal_steps),
    "2 and at equal time": ("priors", equal_time),
    "3 raster is the best ordering": ("orderings", raster_best),
    "4 subsample is the worst": ("orderings", subsample_worst),
    "5 larger f is better until reconstruction breaks": ("tokenizers", larger_factors),
    "6 VQGAN is perceptually better than VQVAE": ("objectives", vqgan_better),
    "7 f = 2 is better than pixels": ("tokenizers", codes_better),
    "8 and faster": ("tokenizers", codes_faster),
}


def findings_table(results: Mapping[str, Results]) -> TextTable:
    """The eight findings, one line for each comparison, the verdict in the first."""
    table: list[tuple[str, ...]] = []
    notes = [
        "A difference and its s are over seeds; p, the least significant mean and the truth that 80 % of such experiments "
        "would find are Holm's over one finding's comparisons."
    ]
    for name, (manifest, rule) in RULES.items():
        decision = decide(rule, results[manifest])
        first = (name, decision.verdict)
        for one in decision.compared:
            table.append((*first, one.what, *cells(one)))
            first = ("", "")
        if not decision.compared:
            table.append((*first, *[""] * (1 + len(HEADINGS))))
        notes += [decision.note] if decision.note else []
    return TextTable("Findings", ("finding", "verdict", "compared", *HEADINGS), tuple(table), 3, notes=tuple(notes))


def read(store: Path) -> dict[str, Results]:
    """The results of every manifest of which the rules speak."""
    registry, opened = load_registry(), Store(store)
    artifacts = StoredArtifacts(opened)
    plans = {
        name: make_plan(load_manifest(HERE / f"{name}.toml", registry, artifacts=artifacts), registry, opened)
        for name in MANIFESTS
    }
    return {name: collect_results(plan, opened) for name, plan in plans.items()}


def main() -> None:
    """Print the tables, or write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="a Markdown file; the standard output unless given")
    arguments = parser.parse_args()
    if not arguments.store.is_dir():
        parser.error(f"{arguments.store} is no store")
    try:
        results = read(arguments.store)
    except TamingplatError as error:
        parser.error(str(error))
    text = to_markdown([findings_table(results), floor_table(results), null_table(results["null"])])
    if arguments.out:
        write_text(arguments.out, text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
