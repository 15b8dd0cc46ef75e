"""What is decided of comparisons over seeds, and how it is shown: what all rules of RESULTS.md share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tamingplat.report import number
from tamingplat.report.paired import NotDecidedError, Paired, corrected, finished_lines
from tamingplat.report.ranking import ALPHA
from tamingplat.stages import Results

SEEDS = 6
NLL = "nll"

lines = partial(finished_lines, seeds=SEEDS)
"""The lines that a rule compares, each with as many seeds as the rules say."""

HEADINGS = ("mean difference", "95 % interval", "corrected p", "s over seeds", "least significant", "detectable at 80 %")


@dataclass(frozen=True)
class Decision:
    """What comes out of a rule: the verdict, the comparisons that it is from, and what else is to be known."""

    verdict: str
    compared: tuple[Paired, ...] = ()
    note: str = ""


def judge(compared: Sequence[Paired], sign: int) -> str:
    """The verdict where every comparison is to have one sign."""
    if all(one.told_apart(sign, ALPHA) for one in compared):
        return "appears"
    return "does not appear" if any(one.told_apart(-sign, ALPHA) for one in compared) else "undecided"


def judged(values: Mapping[str, tuple[float, ...]], sign: int, note: str = "") -> Decision:
    """What comes of differences that are to have one sign, corrected over all of them."""
    compared = corrected(values)
    return Decision(judge(compared, sign), compared, note)


def decide(rule: Callable[[Results], Decision], results: Results) -> Decision:
    """What a rule says, or why it says nothing."""
    try:
        return rule(results)
    except NotDecidedError as error:
        return Decision(str(error))


def cells(one: Paired) -> tuple[str, ...]:
    """A comparison's numbers, under ``HEADINGS``."""
    low, high = one.estimate.interval()
    told = ("", "", "")
    if one.p is not None:
        limits = one.estimate.least_significant(one.comparisons), one.estimate.detectable(one.comparisons)
        told = (number(one.p, 2), *(number(limit, 2) for limit in limits))
    return number(one.estimate.mean, 3), f"{number(low, 3)} to {number(high, 3)}", told[0], number(one.deviation, 2), *told[1:]
