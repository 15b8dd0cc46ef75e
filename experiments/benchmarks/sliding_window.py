"""Images larger than the window: what the sliding window, its stride and the wavefront are worth.

    python experiments/benchmarks/sliding_window.py [--grid 64 64] [--prior gpt] [--condition equal] [--batch 8] [--threads 2]

draws one batch of images of 64×64 codes from a prior of 16×16 windows with random weights: with ``sliding-window`` at strides 1
and 4 and with ``wavefront``; and it times a number of forward passes over whole windows, one of which is what the paper's
reference implementation computes for every code. Its seconds are the time of a pass times the codes: every pass costs the same.
All else is timed whole. On a CPU they take turns of seconds, each in a process of its own, so that changes of the machine's
speed meet all alike. A ratio is the median over repetitions. Steps are calls of the prior that wait for one another; their
ratios are those to the wavefront's.

Exits with 1 where a ratio is below what is wanted, or where wavefront and stride 1 differ in a code.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from turns import Job, by_turns
from window_setup import CONFIGS, WAYS, WINDOW, make_prior, make_request, make_sampler, pass_over_a_window, synchronise

from tamingplat.interfaces.models import Prior
from tamingplat.registry import load_registry

FORWARDS = 96
"""Whole windows that are computed to know what a code costs where every one takes a pass."""

BARS = {
    "none": {"full / sliding-window": 1.5, "sliding-window / stride 4": 3.0, "sliding-window / wavefront": 1.0},
    "equal": {"full / sliding-window": 1.2, "sliding-window / stride 4": 3.0, "sliding-window / wavefront": 1.0},
}
"""What each ratio of seconds has to be at least, without a condition and with one that has as many tokens as the window."""


TURNS = {"full": 0.5, "sliding-window": 2.0, "stride 4": 0.7, "wavefront": 2.0}
"""Seconds of a turn, about in proportion to all that there is to do, so that all end at about the same time."""


@dataclass(frozen=True)
class Setting:
    """What is drawn, and where."""

    prior: str
    condition: str
    grid: tuple[int, int]
    batch: int
    device: str
    threads: int


@dataclass
class Measured:
    """One prior under one condition."""

    setting: Setting
    seconds: dict[str, list[float]]
    wanted: dict[str, float]
    steps: dict[str, int] = field(default_factory=dict)
    step_ratios: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    same_codes: bool = True


@contextmanager
def called(prior: Prior) -> Iterator[list[int]]:
    """A list to which every call of a prior for logits adds something, inside of the block."""
    ask = prior.logits
    calls: list[int] = []

    def noted(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        return ask(*arguments, **more)

    prior.logits = noted  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        prior.logits = ask  # type: ignore[method-assign]


def drawing(setting: Setting, way: str) -> Callable[[], tuple[int, list[list[int]]]]:
    """What draws the batch in one way, and gives the number of its steps and the codes."""
    torch.set_num_threads(setting.threads)
    device, registry = torch.device(setting.device), load_registry()
    prior, sampler = make_prior(registry, setting.prior, setting.condition, device), make_sampler(registry, way)
    request, small = (
        make_request(prior, grid, setting.condition, setting.batch, device) for grid in (setting.grid, (WINDOW[0], 18))
    )
    sampler.sample(small)
    synchronise(device)

    def draw() -> tuple[int, list[list[int]]]:
        with called(prior) as calls, torch.inference_mode():
            codes: list[list[int]] = sampler.sample(request).tolist()
        return len(calls), codes

    return draw


def passing(setting: Setting) -> Callable[[], None]:
    """What runs ``FORWARDS`` passes over whole windows."""
    torch.set_num_threads(setting.threads)
    device = torch.device(setting.device)
    prior = make_prior(load_registry(), setting.prior, setting.condition, device)
    forward = pass_over_a_window(prior, setting.condition, setting.batch, device)
    forward()
    synchronise(device)

    def run() -> None:
        for _ in range(FORWARDS):
            forward()
        synchronise(device)

    return run


def measure(setting: Setting, repetitions: int, report: Console) -> Measured:
    """Draw the same images in every way by turns, several times."""
    codes = setting.grid[0] * setting.grid[1]
    by_itself = setting.device != "cpu"  # what an accelerator was told to do goes on while its process is stopped
    jobs = {"full": Job(passing, (setting,), None if by_itself else TURNS["full"])}
    jobs |= {way: Job(drawing, (setting, way), None if by_itself else TURNS[way]) for way in WAYS}
    found = Measured(setting, seconds={name: [] for name in jobs}, wanted=BARS[setting.condition])
    for repetition in range(repetitions):
        done = by_turns(jobs)
        for name, one in done.items():
            found.seconds[name].append(one.seconds * codes / FORWARDS if name == "full" else one.seconds)
        found.steps = {"full": codes, **{way: done[way].result[0] for way in WAYS}}
        found.same_codes = found.same_codes and done["sliding-window"].result[1] == done["wavefront"].result[1]
        told = ", ".join(f"{way} {seconds[-1]:.1f} s" for way, seconds in found.seconds.items())
        report.print(f"{setting.prior}, condition {setting.condition}, repetition {repetition + 1}: {told}")
    found.step_ratios = {
        f"{way} / wavefront": found.steps[way] / found.steps["wavefront"] for way in ("full", "sliding-window")
    }
    for ratio in (*found.wanted, "full / wavefront"):
        slow, fast = ratio.split(" / ")
        pairs = zip(found.seconds[slow], found.seconds[fast], strict=True)
        found.ratios[ratio] = statistics.median(one / other for one, other in pairs)
    return found


def main(arguments: list[str]) -> int:
    """Print a line per prior and condition."""
    parser = argparse.ArgumentParser(description="Sliding window and wavefront.")
    parser.add_argument("--prior", choices=CONFIGS, default=None, help="which; both where not given")
    parser.add_argument(
        "--condition", choices=BARS, default=None, help="without one or with one of equal size; both where not given"
    )
    parser.add_argument("--grid", type=int, nargs=2, default=(64, 64), help="rows and columns of codes of the images")
    parser.add_argument("--batch", type=int, default=8, help="images that are drawn together")
    parser.add_argument("--device", default="cpu", help="where, as PyTorch names it")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads of PyTorch; its own choice where not given")
    parser.add_argument("--repetitions", type=int, default=3, help="how often each way draws the images")
    parser.add_argument("--json", action="store_true", help="print rows as JSON in place of the table")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    report = Console(stderr=True)
    names = [options.prior] if options.prior else list(CONFIGS)
    conditions = [options.condition] if options.condition else list(BARS)
    grid, threads = (options.grid[0], options.grid[1]), torch.get_num_threads()
    settings = [
        Setting(name, condition, grid, options.batch, options.device, threads) for name in names for condition in conditions
    ]
    rows = [measure(setting, options.repetitions, report) for setting in settings]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        ratios = [f"{ratio} (wanted)" for ratio in rows[0].ratios]
        table = Table("prior", "condition", "steps", "ratio of steps", "seconds", *ratios, "same codes")
        for row in rows:
            steps = "\n".join(f"{way} {count:,}" for way, count in row.steps.items())
            of_steps = "\n".join(f"{name} {ratio:.2f}" for name, ratio in row.step_ratios.items())
            seconds = "\n".join(f"{statistics.median(row.seconds[way]):.1f}" for way in row.steps)
            ratios = [
                f"{ratio:.2f}{f' ({row.wanted[name]:g})' if name in row.wanted else ''}" for name, ratio in row.ratios.items()
            ]
            table.add_row(
                row.setting.prior, row.setting.condition, steps, of_steps, seconds, *ratios, "yes" if row.same_codes else "no"
            )
        Console(width=180).print(table)
    below = any(row.ratios[name] < least for row in rows for name, least in row.wanted.items())
    return int(below or not all(row.same_codes for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
