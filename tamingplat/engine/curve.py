"""The curve of a training run as an appended file, one JSON object a line."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

from tamingplat.engine.errors import EngineWarning
from tamingplat.engine.files import sync
from tamingplat.engine.record import CurvePoint


class Curve:
    """Points in memory and, where a path is given, in a file.

    On opening, all but the first ``count`` points are cut off: they belong to steps that a killed run took after its last
    checkpoint, which are taken again.
    """

    def __init__(self, path: Path | None, count: int) -> None:
        self.path = path
        self.points = _read(path)[:count]
        if path is None:
            return
        if len(self.points) < count:
            warnings.warn(
                f"{path}: only {len(self.points)} of the checkpoint's {count} points are there; the curve is incomplete",
                EngineWarning,
                stacklevel=2,
            )
        rewritten = path.with_name(f".{path.name}.partial")
        rewritten.write_text("".join(_line(point) for point in self.points))
        rewritten.replace(path)

    def add(self, point: CurvePoint) -> None:
        """Append a point."""
        self.points.append(point)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(_line(point))

    def sync(self) -> None:
        """Wait until the file is on the disk."""
        if self.path is not None:
            sync(self.path)


def _line(point: CurvePoint) -> str:
    return json.dumps(asdict(point), allow_nan=False) + "\n"


def _read(path: Path | None) -> list[CurvePoint]:
    if path is None or not path.exists():
        return []
    points = []
    for line in path.read_text().splitlines():
        try:
            points.append(CurvePoint.from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            break  # the line at which the run was killed; nothing after it can be earlier
    return points
