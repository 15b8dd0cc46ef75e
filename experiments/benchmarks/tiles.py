"""Encoding and decoding a large image in tiles against at once: peak memory, time and the largest difference, in one run.

    python experiments/benchmarks/tiles.py [--size 1024] [--device cuda]

The network has the published layers at f = 16, with a quarter of their channels unless told otherwise, and random weights.
Errors are those beside the whole image decoded at once in float64; beside them stands the largest difference between tiles and
the whole image in float32, of which the whole image's own rounding is a part. Exits with 1 where tiles err by 1e-4 or more, in
float32, or by 1e-9 in float64, or where tiles of a quarter of the side take more than six tenths of the memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import sys
import time

import torch
from tamingplat_vq.config import VQVAEConfig
from tamingplat_vq.tiles import TiledNetwork
from tamingplat_vq.vqvae import VQVAE
from torch import Tensor

from tamingplat.testing.standins import StandInDistance

MOST_ERROR, MOST_ERROR_DOUBLE, MOST_MEMORY = 1e-4, 1e-9, 0.6


def make(arguments: argparse.Namespace) -> tuple[VQVAE, Tensor]:
    """A tokenizer in eval mode and one image, float (1, 3, H, W)."""
    torch.manual_seed(0)
    config = VQVAEConfig(codebook_size=256, embedding_dim=64, channels=arguments.channels, norm_groups=8)
    tokenizer = VQVAE(config, {"perceptual": StandInDistance()}, image_size=(256, 256), channels=3)
    image = torch.rand(1, 3, arguments.size, arguments.size) * 2 - 1
    return tokenizer.to(arguments.device).eval(), image.to(arguments.device)


def peak(arguments: argparse.Namespace) -> int:
    """Bytes at most so far: of the process on a CPU, of the allocator elsewhere."""
    if arguments.device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    return torch.get_device_module(arguments.device).max_memory_allocated()


@torch.inference_mode()
def reconstruct(tile: int | None, double: bool, arguments: argparse.Namespace) -> tuple[float, int, Tensor]:
    """Seconds, bytes beyond what was there before, and what given codes are decoded to, in a process of its own."""
    torch.set_num_threads(arguments.threads)
    tokenizer, image = make(arguments)
    if double:
        tokenizer.post_quant_conv.double()
        tokenizer.decoder.double()
    space, size = tokenizer.code_space((arguments.size, arguments.size)), (arguments.size, arguments.size)
    # Codes of its own for decoding: one that differs at a near-tie would be another image, not another rounding.
    codes = torch.arange(space.length, device=image.device)[None] % 256
    vectors = tokenizer.quantize.lookup(codes.view(1, *space.grids[0]))
    if double:
        latents = tokenizer.post_quant_conv(vectors.double())
        network = TiledNetwork(tile or arguments.size, latents.device)
        return 0.0, 0, network.decode(tokenizer.decoder, latents).cpu() if tile else tokenizer.decoder(latents).cpu()
    small = image[:, :, :64, :64]
    tokenizer.decode(tokenizer.encode(small), (64, 64))
    tokenizer.tile = tile
    before, began = peak(arguments), time.perf_counter()
    tokenizer.encode(image)
    made = tokenizer.decode(codes, size).cpu()
    return time.perf_counter() - began, peak(arguments) - before, made


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="side of the image in pixels")
    parser.add_argument("--channels", type=int, default=32, help="width at the highest resolution; published: 128")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")

    def run(tile: int | None, double: bool = False) -> tuple[float, int, Tensor]:
        with context.Pool(1) as pool:
            return pool.apply(reconstruct, (tile, double, arguments))

    exact, quarter = run(None, double=True)[2], arguments.size // 4
    in_double = float((run(quarter, double=True)[2] - exact).abs().max())
    wrong = [] if in_double < MOST_ERROR_DOUBLE else [f"in float64 tiles of {quarter} err by {in_double:.1e}"]
    print(f"{arguments.size}² pixels, {arguments.channels} channels, {arguments.device}, torch {torch.__version__}")
    print(f"values up to {float(exact.abs().max()):.2f}; in float64 tiles of {quarter} err by {in_double:.1e}")
    print(f"{'tile':>8} {'seconds':>9} {'memory':>10} {'of whole':>9} {'largest error':>14} {'tiles − whole':>14}")
    memory, whole = 0, exact
    for tile in (None, arguments.size // 2, quarter, arguments.size // 8):
        took, extra, made = run(tile)
        if tile is None:
            memory, whole = extra, made
        error, apart = float((made - exact).abs().max()), float((made - whole).abs().max())
        print(f"{tile or 'whole':>8} {took:9.1f} {extra / 2**20:6.0f} MiB {extra / memory:9.2f} {error:14.1e} {apart:14.1e}")
        if tile is not None and error >= MOST_ERROR:
            wrong.append(f"tile {tile}: errs by {error:.1e}")
        if tile == quarter and extra > MOST_MEMORY * memory:
            wrong.append(f"tile {tile}: {extra / memory:.2f} of the memory")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
