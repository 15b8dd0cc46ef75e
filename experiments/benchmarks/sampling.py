"""What incremental decoding is worth: whole samples drawn with it, and drawn by computing everything again at every code.

    python experiments/benchmarks/sampling.py [--prior gpt] [--device cpu] [--threads 1] [--repetitions 3] [--json]

Both ways draw the same images with the shipped sampler and the same noise, one after the other in every repetition. A ratio is
the median over repetitions of the plain way's seconds over the incremental way's. Exits with 1 where a ratio is below what is
wanted, or where both ways do not give the same codes.

The plain ways are in this file. For GPT it runs the whole prefix through the model at every step, and the last layer at the
last token alone. For PixelSNAIL it is one forward pass over the whole grid per code, as in training, with sliced convolutions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from tamingplat.interfaces import CodeSpace, NoConfig
from tamingplat.interfaces.models import Prior, PriorState, Sampler, SampleRequest, Tokenizer, VisitPlan
from tamingplat.registry import load_registry

SPACE = CodeSpace(((16, 16),), vocab_size=1024)
SEED = 0


@dataclass(frozen=True)
class Case:
    """A prior, how many images it draws together, and the ratio that is wanted."""

    prior: str
    config: dict[str, Any]
    batch: int
    wanted: float


CASES = (
    Case("gpt", {"layers": 8, "heads": 8, "width": 256}, batch=32, wanted=12),
    Case("pixelsnail", {"layers": 4, "residual_layers": 4, "width": 64}, batch=16, wanted=20),
)


@dataclass(frozen=True)
class Measured:
    """Seconds of every repetition, and what follows from them."""

    prior: str
    config: dict[str, Any]
    parameters: int
    batch: int
    device: str
    threads: int
    incremental: list[float]
    plain: list[float]
    ratio: float
    wanted: float
    same_codes: bool


class Plain(Prior):
    """A prior that is asked for logits alone and remembers nothing."""

    def __init__(self, prior: Prior) -> None:
        super().__init__(SPACE, (), NoConfig(), {})
        self.prior = prior

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        raise AssertionError("nothing is trained here")

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        return self.prior.nll(codes, condition, plan)


class WholePrefix(Plain):
    """Everything visited goes through the model again at every step."""

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, PriorState]:
        logits, _ = self.prior.logits(codes, visited, targets, condition, lengths=lengths, sizes=sizes)
        return logits, NothingKept()


class WholeGrid(Plain):
    """The logits of all positions are computed at every step, and those of the targets are taken."""

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, PriorState]:
        caught: list[Tensor] = []
        (stack,) = cast(Any, self.prior).stacks
        hook = cast(nn.Module, stack.head).register_forward_hook(lambda module, inputs, output: caught.append(output))
        self.prior.nll(codes, condition, raster(len(codes), codes.device))
        hook.remove()
        (logits,) = caught
        return logits.gather(1, targets[:, :, None].expand(-1, -1, logits.shape[2])), NothingKept()


class NothingKept(PriorState):
    """The state of a prior that remembers nothing."""

    def select(self, rows: Tensor) -> NothingKept:
        return self

    @classmethod
    def cat(cls, states: Any) -> NothingKept:
        return cls()


PLAIN: dict[str, type[Plain]] = {"gpt": WholePrefix, "pixelsnail": WholeGrid}


def raster(batch: int, device: torch.device) -> VisitPlan:
    """Row by row, for every image."""
    return VisitPlan.repeat(torch.arange(SPACE.length), batch).to(device)


@contextmanager
def timed(device: torch.device, into: list[float]) -> Iterator[None]:
    """Appends the seconds that the block and all that it started on the device took."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    started = time.perf_counter()
    yield
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    into.append(time.perf_counter() - started)


def measure(case: Case, device: torch.device, repetitions: int, report: Console) -> Measured:
    """Draw the same images both ways, several times in turn."""
    registry = load_registry()
    component = registry.find("prior", case.prior)
    sampling = registry.find("sampler", "ancestral")
    torch.manual_seed(SEED)
    prior = registry.load_class(component)(SPACE, (), component.config.model_validate(case.config), {}).to(device).eval()
    sampler: Sampler = registry.load_class(sampling)(sampling.config.model_validate({"top_k": 100}), {})

    @torch.inference_mode()
    def draw(source: Prior, batch: int) -> Tensor:
        request = SampleRequest(
            prior=source,
            tokenizer=cast(Tokenizer, None),  # the ancestral sampler looks at codes alone
            space=SPACE,
            layout=(),
            plan=raster(batch, device),
            condition=torch.zeros(batch, 0, dtype=torch.int64, device=device),
            null_condition=None,
            image_size=SPACE.grids[0],
            indices=torch.arange(batch, device=device),
            seed=SEED,
        )
        return sampler.sample(request)

    plain = PLAIN[case.prior](prior)
    draw(prior, 2)
    incremental_seconds: list[float] = []
    plain_seconds: list[float] = []
    same = True
    for repetition in range(repetitions):
        with timed(device, incremental_seconds):
            incrementally = draw(prior, case.batch)
        with timed(device, plain_seconds):
            plainly = draw(plain, case.batch)
        same = same and torch.equal(incrementally, plainly)
        report.print(
            f"{case.prior}, repetition {repetition + 1}: {incremental_seconds[-1]:.2f} s incrementally, "
            f"{plain_seconds[-1]:.2f} s plainly"
        )
    ratios = [slow / fast for slow, fast in zip(plain_seconds, incremental_seconds, strict=True)]
    return Measured(
        prior=case.prior,
        config=case.config,
        parameters=sum(parameter.numel() for parameter in prior.parameters()),
        batch=case.batch,
        device=str(device),
        threads=torch.get_num_threads(),
        incremental=incremental_seconds,
        plain=plain_seconds,
        ratio=statistics.median(ratios),
        wanted=case.wanted,
        same_codes=same,
    )


def main(arguments: list[str]) -> int:
    """Print a line per prior."""
    parser = argparse.ArgumentParser(description="Sampling with and without incremental decoding.")
    parser.add_argument("--prior", choices=PLAIN, default=None, help="which; both where not given")
    parser.add_argument("--device", default="cpu", help="where, as PyTorch names it")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads of PyTorch; its own choice where not given")
    parser.add_argument("--repetitions", type=int, default=3, help="how often both ways draw the images")
    parser.add_argument("--json", action="store_true", help="print rows as JSON in place of the table")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    report = Console(stderr=True)
    chosen = [case for case in CASES if options.prior in (None, case.prior)]
    rows = [measure(case, torch.device(options.device), options.repetitions, report) for case in chosen]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        table = Table("prior", "parameters", "batch", "threads", "incremental s", "plain s", "ratio", "wanted", "same codes")
        for row in rows:
            seconds = [f"{statistics.median(each):.2f}" for each in (row.incremental, row.plain)]
            table.add_row(
                row.prior,
                f"{row.parameters:,}",
                str(row.batch),
                str(row.threads),
                *seconds,
                f"{row.ratio:.1f}",
                f"{row.wanted:.0f}",
                "yes" if row.same_codes else "no",
            )
        Console(width=140).print(table)
    return int(any(row.ratio < row.wanted or not row.same_codes for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
