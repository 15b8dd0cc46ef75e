"""Keypoints of images in folders: JSON files in COCO's layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import Problem, ProblemsError

_REMEDY = "name a JSON file in COCO's layout, with images (id, file_name) and annotations (image_id, keypoints)"


class CocoFile:
    """The figures of every image that a file annotates, packed: a few hundred bytes a figure.

    Raises:
        ProblemsError: The file cannot be read, is not in COCO's layout, or has other joints than the settings.
    """

    def __init__(self, path: Path, joints: Sequence[str]) -> None:
        self.path = path
        content = _read(path)
        self._check_joints(content, joints)
        numbers: dict[Any, list[float]] = {}
        names: dict[str, list[float]] = {}
        try:
            for image in content["images"]:
                names[str(image["file_name"])] = numbers.setdefault(image["id"], [])
            for annotation in content["annotations"]:
                if "keypoints" in annotation and annotation["image_id"] in numbers:
                    numbers[annotation["image_id"]].extend(float(number) for number in annotation["keypoints"])
        except (KeyError, TypeError, ValueError) as error:
            raise _problem(path, f"not in COCO's layout ({type(error).__name__}: {error})") from error
        self._rows = {name: row for row, name in enumerate(names)}
        self._ends = np.cumsum([0, *(len(found) for found in names.values())])
        self._numbers: npt.NDArray[np.float32] = np.array([number for found in names.values() for number in found], np.float32)

    def _check_joints(self, content: dict[str, Any], joints: Sequence[str]) -> None:
        """The file's own names of the joints, where it gives any, are those of the settings."""
        for category in content.get("categories", ()):
            named = category.get("keypoints") if isinstance(category, dict) else None
            if named and tuple(named) != tuple(joints):
                what = f"its joints are {', '.join(map(str, named))}, and those of keypoints.joints are {', '.join(joints)}"
                raise ProblemsError([Problem(str(self.path), what, "set keypoints.joints to the file's")])

    def figures(self, name: str) -> list[float] | None:
        """The numbers of an image's figures, by the image's path in its folder; ``None`` where the file does not have it."""
        row = self._rows.get(name)
        return None if row is None else self._numbers[self._ends[row] : self._ends[row + 1]].tolist()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise _problem(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _problem(path, f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise _problem(path, "not in COCO's layout")
    return content


def _problem(path: Path, what: str) -> ProblemsError:
    return ProblemsError([Problem(str(path), what, _REMEDY)])
