"""Nearest codes in blocks against the full distance matrix: time and peak extra memory, measured in one run.

    python experiments/benchmarks/quantizer.py [--device cuda]

By default the vectors of sixteen images of 256 pixels at f = 8, M = 16384 vectors
of D = 256 numbers, and K = 16384 codes: the full matrix is 1 GiB. Exits with 1 where the blocked search takes more than 1.3
times as long, or more than 128 MiB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from tamingplat_vq.quantizer.clustering import nearest
from torch import Tensor

MOST_TIME, MOST_MEMORY = 1.3, 128 * 2**20


def full_matrix(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The plain way: all squared distances, float32 (M, K), then the smallest of each row; vectors (M, D), codebook (K, D)."""
    distances = torch.addmm(codebook.square().sum(dim=1), vectors, codebook.t(), alpha=-2)
    return distances.argmin(dim=1)


SEARCHES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"full": full_matrix, "blocked": nearest}


def make(arguments: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Vectors and a codebook."""
    device = torch.device(arguments.device)
    generator = torch.Generator(device).manual_seed(0)
    return tuple(  # type: ignore[return-value]
        torch.randn(rows, arguments.dimensions, generator=generator, device=device)
        for rows in (arguments.vectors, arguments.codes)
    )


def seconds(search: Callable[[Tensor, Tensor], Tensor], vectors: Tensor, codebook: Tensor) -> float:
    """What one search takes."""
    start = time.perf_counter()
    codes = search(vectors, codebook)
    if codes.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def extra_memory(name: str, arguments: argparse.Namespace) -> int:
    """Bytes that one search needs beyond its arguments, at most, in a process that has run a small one.

    On a CPU the growth of the process's high-water mark, which also counts what the matrix library keeps; on CUDA what the
    allocator held at most.
    """
    torch.set_num_threads(arguments.threads)
    vectors, codebook = make(arguments)
    SEARCHES[name](vectors[:64], codebook[:64])
    if arguments.device == "cpu":
        scale = 1 if platform.system() == "Darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        SEARCHES[name](vectors, codebook)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * scale
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    SEARCHES[name](vectors, codebook)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=16 * 1024, help="M")
    parser.add_argument("--codes", type=int, default=16384, help="K")
    parser.add_argument("--dimensions", type=int, default=256, help="D")
    parser.add_argument("--repetitions", type=int, default=5, help="of each search, in turn; medians are compared")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    # A process of its own for each search, made before this one has torch's pools filled.
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        memory = {name: pool.apply(extra_memory, (name, arguments)) for name in SEARCHES}

    vectors, codebook = make(arguments)
    agreeing = (full_matrix(vectors, codebook) == nearest(vectors, codebook)).float().mean().item()
    taken: dict[str, list[float]] = {name: [] for name in SEARCHES}
    for repetition in range(arguments.repetitions):
        for name in sorted(SEARCHES, reverse=bool(repetition % 2)):
            taken[name].append(seconds(SEARCHES[name], vectors, codebook))
    medians = {name: statistics.median(values) for name, values in taken.items()}

    device = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {arguments.threads} thread(s)"
    print(
        f"{arguments.vectors} vectors, {arguments.codes} codes, {arguments.dimensions} dimensions, float32, {device}, "
        f"torch {torch.__version__}, median of {arguments.repetitions}"
    )
    for name in SEARCHES:
        print(f"{name:8} {medians[name]:8.3f} s {memory[name] / 2**20:10.1f} MiB extra")
    ratio = medians["blocked"] / medians["full"]
    print(f"time: {ratio:.2f} of the full matrix's (at most {MOST_TIME})")
    print(f"memory: {memory['blocked'] / 2**20:.1f} MiB extra (at most {MOST_MEMORY / 2**20:.0f})")
    print(f"same codes: {agreeing:.6f} of all vectors")
    return int(ratio > MOST_TIME or memory["blocked"] > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
