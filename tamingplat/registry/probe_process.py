"""The process of ``probe``: lists plugins and writes a line of JSON about each to standard output."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any, TextIO

from tamingplat.registry.discovery import InstalledPlugin
from tamingplat.registry.loading import OR_BLOCK_IT, BrokenPlugin, load_plugin


def load_object(target: str) -> object:
    """What ``module`` or ``module:object`` names."""
    module, _, attribute = target.partition(":")
    found: object = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        found = getattr(found, name)
    return found


def own_output() -> TextIO:
    """Standard output for what this process has to say; whatever else is written to it goes to standard error from now on."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return told


def main(request: str) -> None:
    """List the plugins of a request, JSON with ``targets``, ``heavy`` and ``seconds``."""
    told = own_output()
    asked = json.loads(request)
    for target in asked["targets"]:
        told.write(json.dumps(_look_at(target, asked)) + "\n")
        told.flush()


def _look_at(target: str, asked: Mapping[str, Any]) -> dict[str, object]:
    before = set(sys.modules)
    with tempfile.TemporaryFile("w+") as printed:
        # What compiled code and other processes print passes by sys.stdout.
        saved = os.dup(1)
        os.dup2(printed.fileno(), 1)
        began = time.perf_counter()
        try:
            loaded = load_plugin(
                InstalledPlugin(target, "it", "", target, lambda: load_object(target)), seconds=asked["seconds"]
            )
        finally:
            seconds = time.perf_counter() - began
            os.dup2(saved, 1)
            os.close(saved)
        printed.seek(0)
        below = printed.read(200)
    return {
        "target": target,
        "error": loaded.reason if isinstance(loaded, BrokenPlugin) else "",
        "remedy": loaded.remedy.partition(OR_BLOCK_IT)[0] if isinstance(loaded, BrokenPlugin) else "",
        "about": loaded.about if isinstance(loaded, BrokenPlugin) else "",
        "heavy": [name for name in asked["heavy"] if name in sys.modules and name not in before],
        "printed": "" if isinstance(loaded, BrokenPlugin) else " ".join([loaded.printed, *below.split()]).strip(),
        "seconds": seconds,
        "hung": isinstance(loaded, BrokenPlugin) and loaded.about == "time",
        "components": [] if isinstance(loaded, BrokenPlugin) else [component.reference for component in loaded.components],
    }


if __name__ == "__main__":
    main(sys.argv[1])
