"""Sample grids of a plan: real images, reconstructions, and samples of every finished cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tamingplat.cli.request import Planned
from tamingplat.report import Strip, draw_strips
from tamingplat.stages import collect_pictures


def write_grids(planned: Planned, path: Path, *, columns: int = 12) -> bool:
    """Draw the grids; ``False`` where nothing is finished yet."""
    strips = [Strip(label, np.array(images[:columns])) for label, images in collect_pictures(planned.plan, planned.store)]
    if not strips:
        return False
    draw_strips(strips, path, columns=columns, title=planned.manifest.name)
    return True
