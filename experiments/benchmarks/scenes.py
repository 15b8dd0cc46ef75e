"""How many synthetic scenes a core makes in a second: whole ones by their size, and windows of large ones.

    OMP_NUM_THREADS=1 python experiments/benchmarks/scenes.py

Each rate is that of the fastest of five repetitions, in CPU seconds of this process. The last row makes a window of 64×64
pixels out of a scene of 1024×1024: only the window is computed. Exits with 1 where whole scenes of 64×64 pixels are fewer than
300.
"""

from __future__ import annotations

import sys
import time

from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset

REPETITIONS = 5
WANTED_SIZE, WANTED = (64, None), 300.0


def rate(dataset: ScenesDataset, count: int) -> float:
    """Images per CPU second."""
    best = float("inf")
    for _ in range(REPETITIONS):
        started = time.process_time()
        for index in range(count):
            dataset.read("train", index)
        best = min(best, time.process_time() - started)
    return count / best


def main() -> int:
    """Measure and print."""
    slow = []
    print("images per second     all columns")
    for size, scene_size, count in ((32, None, 100), (64, None, 100), (256, None, 20), (1024, None, 2), (64, 1024, 100)):
        dataset = ScenesDataset(ScenesConfig(size=size, scene_size=scene_size), {})
        name = f"{size}×{size}" + (f" of {scene_size}×{scene_size}" if scene_size else "")
        found = rate(dataset, count)
        print(f"{name:<20}  {found:>11.1f}")
        if (size, scene_size) == WANTED_SIZE and found < WANTED:
            slow.append(f"{name}: {found:.1f}, and {WANTED:g} are wanted")
    print("\n".join(slow))
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
