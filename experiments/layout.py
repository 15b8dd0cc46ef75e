"""The label map of one synthetic scene, at any size: what megapixel.toml's samples are asked to follow.

    python experiments/layout.py --scene 7 --size 1024x1024 --out layout.png

The pixels are class numbers, 0 to 7: sky, hills, ground, ball, cone, block, tree, figure. ``--preview`` writes them in colours.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset

COLOURS = (
    (120, 170, 230),
    (120, 130, 150),
    (90, 150, 70),
    (220, 40, 50),
    (240, 200, 40),
    (40, 80, 220),
    (20, 90, 50),
    (250, 140, 200),
)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", type=int, default=0, help="number of the scene, of the validation split")
    parser.add_argument("--size", default="1024x1024", help="width and height in pixels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preview", type=Path)
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    scenes = ScenesDataset(ScenesConfig(size=(height, width), validation=arguments.scene + 1), {})
    classes = scenes.only(("segmentation",)).read("validation", arguments.scene)["segmentation"].astype("uint8")
    Image.fromarray(classes, "L").save(arguments.out)
    if arguments.preview is not None:
        preview = Image.fromarray(classes, "P")
        preview.putpalette([channel for colour in COLOURS for channel in colour])
        preview.save(arguments.preview)


if __name__ == "__main__":
    main()
