"""Images larger than the window: what the sliding window, its stride and the wavefront are worth.

    python experiments/benchmarks/sliding_window.py [--grid 64 64] [--prior gpt] [--condition equal] [--batch 8] [--threads 2]

draws one batch of images of 64×64 codes from a prior of 16×16 windows with random weights, in turn in every repetition: with
``sliding-window`` at strides 1 and 4 and with ``wavefront``; and it times a number of forward passes over whole windows, one of
which is what the paper's reference implementation computes for every code. Its seconds are the time of a pass times the codes:
every pass costs the same. All else is timed whole. A ratio is the median over repetitions. Steps are calls of the prior that
wait for one another; their ratios are those to the wavefront's.

``--memory`` prints the peak memory of images of 16×16 to 128×128 codes in place of that, each in a process of its own. Of
images larger than a window all is given but the last rows, as many as are in flight together: their windows stay at the lower
border, so that more is known in them than in any others.

Exits with 1 where a ratio is below what is wanted, or where wavefront and stride 1 differ in a code.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tamingplat.engine import PeakMemory
from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, layout_length
from tamingplat.interfaces.models import Prior, Sampler, SampleRequest, Tokenizer, VisitPlan
from tamingplat.registry import Registry, load_registry

WINDOW = (16, 16)
VOCABULARY = 512
SEED = 0
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt": {"layers": 4, "heads": 8, "width": 256},
    "pixelsnail": {"layers": 2, "residual_layers": 2, "width": 64},
}
FORWARDS = 96
"""Whole windows that are computed, spread over a repetition, to know what a code costs where every one takes a pass."""

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "sliding-window": ("sliding-window", {"stride": 1}),
    "stride 4": ("sliding-window", {"stride": 4}),
    "wavefront": ("wavefront", {}),
}
BARS = {
    "none": {"full / sliding-window": 1.5, "sliding-window / stride 4": 3.0, "sliding-window / wavefront": 1.0},
    "equal": {"full / sliding-window": 1.2, "sliding-window / stride 4": 3.0, "sliding-window / wavefront": 1.0},
}
"""What each ratio of seconds has to be at least, without a condition and with one that has as many tokens as the window."""


@dataclass
class Measured:
    """One prior under one condition."""

    prior: str
    condition: str
    grid: tuple[int, int]
    batch: int
    device: str
    threads: int
    steps: dict[str, int] = field(default_factory=dict)
    step_ratios: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    same_codes: bool = True


def layout_of(grid: tuple[int, int], condition: str) -> ConditionLayout:
    """A map with one token per code, or nothing."""
    return (ConditionPart("map", VOCABULARY, grid),) if condition == "equal" else ()


def make_prior(registry: Registry, name: str, condition: str, device: torch.device) -> Prior:
    """A prior of a window with its initial weights."""
    component = registry.find("prior", name)
    torch.manual_seed(SEED)
    space = CodeSpace((WINDOW,), VOCABULARY)
    config = component.config.model_validate(CONFIGS[name])
    prior: Prior = registry.load_class(component)(space, layout_of(WINDOW, condition), config, {}).to(device).eval()
    return prior


def make_request(prior: Prior, grid: tuple[int, int], condition: str, batch: int, device: torch.device) -> SampleRequest:
    """A batch of images with random conditions."""
    space, layout = CodeSpace((grid,), VOCABULARY), layout_of(grid, condition)
    tokens = torch.randint(VOCABULARY, (batch, layout_length(layout)), generator=torch.Generator().manual_seed(SEED))
    return SampleRequest(
        prior=prior,
        tokenizer=cast(Tokenizer, None),  # these samplers look at codes alone
        space=space,
        layout=layout,
        plan=VisitPlan.repeat(torch.arange(space.length, device=device), batch),
        condition=tokens.to(device),
        null_condition=None,
        image_size=grid,
        indices=torch.arange(batch, device=device),
        seed=SEED,
        prior_space=CodeSpace((WINDOW,), VOCABULARY),
        prior_layout=layout_of(WINDOW, condition),
    )


def make_sampler(registry: Registry, way: str) -> Sampler:
    """One of the ways to draw."""
    name, settings = WAYS[way]
    component = registry.find("sampler", name)
    sampler: Sampler = registry.load_class(component)(component.config.model_validate({"top_k": 100, **settings}), {})
    return sampler


@contextmanager
def called(prior: Prior, note: Callable[[], None]) -> Iterator[None]:
    """Every call of a prior for logits is noted, inside of the block."""
    ask = prior.logits

    def noted(*arguments: Any, **more: Any) -> Any:
        note()
        return ask(*arguments, **more)

    prior.logits = noted  # type: ignore[method-assign]
    try:
        yield
    finally:
        prior.logits = ask  # type: ignore[method-assign]


def synchronise(device: torch.device) -> None:
    """Wait until all that was begun on a device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def pass_over_a_window(prior: Prior, condition: str, batch: int, device: torch.device) -> Callable[[], None]:
    """The reference's work for one code of every image: the logits of all positions of a window."""
    length = WINDOW[0] * WINDOW[1]
    codes = torch.zeros(batch, length, dtype=torch.int64, device=device)
    tokens = torch.zeros(batch, length if condition == "equal" else 0, dtype=torch.int64, device=device)
    plan = VisitPlan.repeat(torch.arange(length, device=device), batch)

    @torch.inference_mode()
    def forward() -> None:
        prior.nll(codes, tokens, plan)

    return forward


def measure(registry: Registry, name: str, condition: str, options: argparse.Namespace, report: Console) -> Measured:
    """Draw the same images in every way, several times in turn."""
    device, grid = torch.device(options.device), (options.grid[0], options.grid[1])
    prior = make_prior(registry, name, condition, device)
    request = make_request(prior, grid, condition, options.batch, device)
    samplers = {way: make_sampler(registry, way) for way in WAYS}
    forward = pass_over_a_window(prior, condition, options.batch, device)
    found = Measured(name, condition, grid, options.batch, str(device), torch.get_num_threads())
    found.seconds = {way: [] for way in ("full", *WAYS)}
    small = make_request(prior, (16, 18), condition, options.batch, device)
    for sampler in samplers.values():
        sampler.sample(small)
    for repetition in range(options.repetitions):
        codes: dict[str, Tensor] = {}
        of_pass = 0.0
        for way, sampler in samplers.items():
            # A share of the passes before each, so that they meet the same machine as what they are compared with.
            share = FORWARDS // len(samplers)
            started = time.perf_counter()
            for _ in range(share):
                forward()
            synchronise(device)
            of_pass += (time.perf_counter() - started) / share / len(samplers)
            calls: list[int] = []
            with called(prior, lambda: calls.append(1)), torch.inference_mode():  # noqa: B023 - called within this turn
                started = time.perf_counter()
                codes[way] = sampler.sample(request)
                synchronise(device)
                found.seconds[way].append(time.perf_counter() - started)
            found.steps[way] = len(calls)
        found.seconds["full"].append(of_pass * request.space.length)
        found.same_codes = found.same_codes and torch.equal(codes["sliding-window"], codes["wavefront"])
        told = ", ".join(f"{way} {seconds[-1]:.1f} s" for way, seconds in found.seconds.items())
        report.print(f"{name}, condition {condition}, repetition {repetition + 1}: {told}")
    found.steps["full"] = request.space.length
    found.step_ratios = {
        f"{way} / wavefront": found.steps[way] / found.steps["wavefront"] for way in ("full", "sliding-window")
    }
    found.wanted = BARS[condition]
    for ratio in (*found.wanted, "full / wavefront"):
        slow, fast = ratio.split(" / ")
        pairs = zip(found.seconds[slow], found.seconds[fast], strict=True)
        found.ratios[ratio] = statistics.median(one / other for one, other in pairs)
    return found


def peak_memory(name: str, way: str, side: int, device_name: str, batch: int, threads: int) -> int:
    """Bytes that drawing images of side × side codes takes above what was taken before."""
    torch.set_num_threads(threads)
    device = torch.device(device_name)
    registry = load_registry()
    prior = make_prior(registry, name, "none", device)
    sampler = make_sampler(registry, way)
    request = make_request(prior, (side, side), "none", batch, device)
    pass_over_a_window(prior, "none", 1, device)()
    if (side, side) != WINDOW:
        request = only_last_rows(request, -(-side // WINDOW[1]) if way == "wavefront" else 1)
    before = PeakMemory(device).read() if device.type != "cuda" else torch.cuda.memory_allocated(device)
    peak = PeakMemory(device)
    with torch.inference_mode():
        sampler.sample(request)
    return peak.read() - before


def only_last_rows(request: SampleRequest, rows: int) -> SampleRequest:
    """The same where all but so many of the last rows of codes are given."""
    given = torch.zeros_like(request.plan.order, dtype=torch.bool)
    given[:, : -rows * request.space.grids[0][1]] = True
    return replace(request, given=(torch.zeros_like(request.plan.order), given))


def print_memory(options: argparse.Namespace) -> None:
    """A table of peak memory by the size of the image."""
    table = Table("prior", "way", *(f"{side}×{side}" for side in (16, 32, 64, 128)))
    names = [options.prior] if options.prior else list(CONFIGS)
    # A process of its own for each: memory that was freed and kept would hide what comes after.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name in names:
            for way in ("sliding-window", "wavefront"):
                threads = torch.get_num_threads()
                sides = [(name, way, side, options.device, options.batch, threads) for side in (16, 32, 64, 128)]
                table.add_row(name, way, *(f"{pool.apply(peak_memory, one) / 2**20:.1f} MiB" for one in sides))
    Console(width=120).print(table)


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
    parser.add_argument("--memory", action="store_true", help="peak memory by the size of the image, and nothing else")
    parser.add_argument("--json", action="store_true", help="print rows as JSON in place of the table")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.memory:
        print_memory(options)
        return 0
    report, registry = Console(stderr=True), load_registry()
    names = [options.prior] if options.prior else list(CONFIGS)
    conditions = [options.condition] if options.condition else list(BARS)
    rows = [measure(registry, name, condition, options, report) for name in names for condition in conditions]
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
            table.add_row(row.prior, row.condition, steps, of_steps, seconds, *ratios, "yes" if row.same_codes else "no")
        Console(width=180).print(table)
    below = any(row.ratios[name] < least for row in rows for name, least in row.wanted.items())
    return int(below or not all(row.same_codes for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
