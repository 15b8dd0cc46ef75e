"""How many synthetic scenes a core makes in a second: whole ones by their size, and windows of large ones.

    OMP_NUM_THREADS=1 python experiments/benchmarks/scenes.py

Each rate is that of the fastest of fifteen repetitions, in CPU seconds of this process; sizes take turns, so that they meet the
same machine. The last row makes a window of 64×64 pixels out of a scene of 1024×1024: only the window is computed. Exits with 1
where whole scenes of 64×64 pixels are fewer than 300.
"""

from __future__ import annotations

import sys
import time

from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset

REPETITIONS = 15
SIZES: dict[tuple[int, int | None], int] = {(32, None): 50, (64, None): 50, (256, None): 10, (1024, None): 1, (64, 1024): 50}
"""Images in a repetition, by the sides of the image and of the whole scene in pixels."""
WANTED: dict[tuple[int, int | None], float] = {(64, None): 300.0}


def seconds(dataset: ScenesDataset, count: int) -> float:
    """CPU seconds of an image."""
    started = time.process_time()
    for index in range(count):
        dataset.read("train", index)
    return (time.process_time() - started) / count


def main() -> int:
    """Measure and print."""
    datasets = {
        (side, scene_side): ScenesDataset(ScenesConfig(size=side, scene_size=scene_side), {}) for side, scene_side in SIZES
    }
    fastest = dict.fromkeys(SIZES, float("inf"))
    for _ in range(REPETITIONS):
        for sides, dataset in datasets.items():
            fastest[sides] = min(fastest[sides], seconds(dataset, SIZES[sides]))
    slow = []
    print("images per second     all columns")
    for (side, scene_side), of_image in fastest.items():
        name = f"{side}×{side}" + (f" of {scene_side}×{scene_side}" if scene_side else "")
        print(f"{name:<20}  {1 / of_image:>11.1f}")
        wanted = WANTED.get((side, scene_side), 0.0)
        if 1 / of_image < wanted:
            slow.append(f"{name}: {1 / of_image:.1f}, and {wanted:g} are wanted")
    print("\n".join(slow))
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
