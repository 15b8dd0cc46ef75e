"""The trackers that a manifest can name, and whether their packages are here. Imports none of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tamingplat.interfaces import Problem
from tamingplat.manifest.resolved import Manifest

INSTALL: Mapping[str, str] = MappingProxyType(
    {
        "tensorboard": "pip install 'tamingplat[trackers]'",
        "wandb": "pip install wandb",
        "mlflow": "pip install mlflow",
        "trackio": "pip install trackio",
    }
)
"""How to get the package of each tracker; its module has the tracker's name."""


def tracker_problems(manifest: Manifest) -> Iterator[Problem]:
    """The trackers of a manifest whose package is not installed, each with the command that installs it."""
    for name in manifest.runtime.trackers:
        found = importlib.util.find_spec(name)
        # A folder of that name, such as the one that Weights & Biases writes its runs to, is found too, and is no package.
        if found is None or found.origin is None:
            what = f"the tracker {name} needs a package of that name, which is not installed"
            yield Problem(f"{manifest.path}: runtime.trackers", what, f"{INSTALL[name]}, or leave it out")
