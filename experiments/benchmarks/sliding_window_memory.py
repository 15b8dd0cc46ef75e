"""Memory of images larger than the window: what sliding window and wavefront take as the image grows.

    python experiments/benchmarks/sliding_window_memory.py [--prior gpt] [--batch 8] [--threads 2]

prints the peak memory of images of 16×16 to 128×128 codes, each in a process of its own, above what was taken before. Of images
larger than a window all is given but the last rows, as many as are in flight together: their windows stay at the lower border,
so that more is known in them than in any others.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import replace

import torch
from rich.console import Console
from rich.table import Table
from window_setup import CONFIGS, WINDOW, make_prior, make_request, make_sampler, pass_over_a_window

from tamingplat.engine import PeakMemory
from tamingplat.interfaces.models import SampleRequest
from tamingplat.registry import load_registry


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


def main(arguments: list[str]) -> int:
    """Print a table of peak memory by the size of the image."""
    parser = argparse.ArgumentParser(description="Memory of sliding window and wavefront.")
    parser.add_argument("--prior", choices=CONFIGS, default=None, help="which; both where not given")
    parser.add_argument("--batch", type=int, default=8, help="images that are drawn together")
    parser.add_argument("--device", default="cpu", help="where, as PyTorch names it")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads of PyTorch; its own choice where not given")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
