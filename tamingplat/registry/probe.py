"""Listing plugins in a process of its own, to see what that imports, prints, and takes, and whether it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEAVY = ("torch", "torchvision", "tensorflow", "jax", "datasets", "accelerate", "transformers", "matplotlib", "lpips")
"""Packages that take a second or more to import, and that no listing may import."""

_START = 10.0


@dataclass(frozen=True)
class Probed:
    """What listing a plugin did.

    Attributes:
        target: ``module`` or ``module:object`` of its entry point.
        error: Why it failed; empty where it did not.
        remedy: What to do about that.
        about: As of a ``BrokenPlugin``.
        heavy: The packages of ``HEAVY`` that it imported.
        printed: How that begins which it wrote to standard output.
        seconds: How long importing it took.
        hung: Whether it was stopped because it did not end.
        components: What it offers, as ``kind:name``.
    """

    target: str
    error: str = ""
    remedy: str = ""
    about: str = ""
    heavy: tuple[str, ...] = ()
    printed: str = ""
    seconds: float = 0.0
    hung: bool = False
    components: tuple[str, ...] = ()


def probe(targets: Sequence[str], *, seconds: float = 20.0, path: Sequence[str] = ()) -> dict[str, Probed]:
    """List plugins one after the other in one process, and look at each; what an earlier one imported counts for it alone.

    Args:
        targets: ``module`` or ``module:object`` of entry points.
        seconds: After so long, per plugin, the process is stopped. Those that come after the one that hung are listed in
            another one.
        path: Folders that come first on the path on which modules are looked for.
    """
    found: dict[str, Probed] = {}
    left = list(dict.fromkeys(targets))
    while left:
        reached = _run(left, seconds, path)
        found |= reached
        assert reached, "at least the first one is told of"
        rest = [target for target in left if target not in reached]
        heavy = next((place for place, target in enumerate(left) if target in reached and reached[target].heavy), None)
        if heavy is not None:
            # Those that follow would find loaded what they might import as well.
            rest = left[heavy + 1 :]
            found = {target: one for target, one in found.items() if target not in rest}
        left = rest
    return {target: found[target] for target in dict.fromkeys(targets)}


def search_path(path: Sequence[str]) -> Mapping[str, str]:
    """The environment of a process that looks for modules in ``path`` first, and then where this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *filter(None, sys.path)]), "PYTHONDONTWRITEBYTECODE": "1"}


def _run(targets: Sequence[str], seconds: float, path: Sequence[str]) -> dict[str, Probed]:
    command = [
        sys.executable,
        "-m",
        "tamingplat.registry.probe_process",
        json.dumps({"targets": targets, "heavy": HEAVY, "seconds": seconds}),
    ]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, env=search_path(path)
        )
        hung = False
        try:
            # Starting Python and reading our own modules takes part of it.
            out, _ = process.communicate(timeout=seconds * len(targets) + _START)
        except subprocess.TimeoutExpired:
            hung = True
            process.kill()
            out, _ = process.communicate()
        errors.seek(0)
        said = errors.read().strip()
    found = {}
    for line in out.splitlines():
        told = json.loads(line)
        found[told["target"]] = Probed(**{**told, "heavy": tuple(told["heavy"]), "components": tuple(told["components"])})
    stopped = next((target for target in targets if target not in found), None)
    if stopped is not None:
        last = said.splitlines()[-1] if said else "it said nothing"
        if hung:
            reason, remedy = f"listing it had not ended after {seconds:g} seconds", "look at what its module does when imported"
        else:
            reason = f"listing it ended the process with status {process.returncode}: {last}"
            remedy = "look for calls that end the process, and for compiled code that crashes"
        found[stopped] = Probed(stopped, reason, remedy, "time" if hung else "", hung=hung)
    return found
