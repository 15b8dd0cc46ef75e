"""Runs every stage of a manifest, in as many processes as it was started in: ``run_plan.py MANIFEST STORE``."""

from __future__ import annotations

import sys
from pathlib import Path

from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.stages import accelerator_of, make_plan, run_stage
from tamingplat.store import Store


def main(manifest_path: Path, store_path: Path) -> None:
    registry = load_registry()
    manifest = load_manifest(manifest_path, registry)
    store = Store(store_path)
    plan = make_plan(manifest, registry, store)
    for stage in plan.stages.values():
        run_stage(plan, stage, store, accelerator_of(manifest.runtime, stage))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
