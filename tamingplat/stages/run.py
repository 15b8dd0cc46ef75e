"""Running one stage: lock, work, commit. The same in this process, in another, and over several."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from tamingplat.engine import Progress, Tracking, device_name, make_accelerator, make_tracking
from tamingplat.manifest import Manifest, RuntimeSettings
from tamingplat.stages.failures import forget_failure, record_failure
from tamingplat.stages.model_record import MODEL
from tamingplat.stages.plan import Plan
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.store import Store

PROGRESS = "progress.json"


def progress_path(store: Store, key: str) -> Path:
    """Where a running stage writes how far it is."""
    return store.root / "work" / key / PROGRESS


def _reporter(path: Path, *, every: float = 0.5) -> Callable[[Progress], None]:
    """Writes progress to a file, at most every half second, so that any process can show it."""
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < every and progress.step < progress.steps:
            return
        last = now
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        beside.replace(path)

    return report


def run_stage(plan: Plan, stage: Stage, store: Store, accelerator: Accelerator) -> None:
    """Make the artifact of a stage whose inputs are in the store; nothing happens where it exists.

    Where another process is making it, this one waits for that.

    Raises:
        Exception: Whatever the stage raised; it is recorded first, for the table of results.
    """
    is_main = accelerator.is_main_process
    if not is_main:
        _run_beside(plan, stage, store, accelerator)
        return
    with store.lock(stage.kind, stage.key, wait=True) as draft:
        if store.find(stage.kind, stage.key) is not None:
            _share_paths(accelerator, None)
            return
        _share_paths(accelerator, (draft.directory, draft.work))
        try:
            context = _context(plan, store, accelerator, draft.directory, draft.work)
            record = stage.run(context)
            model = stage.model_record
            draft.commit(
                {
                    "label": stage.label,
                    "identity": stage.identity(),
                    **({} if model is None else {MODEL: model}),
                    "result": record,
                },
                device=device_name(accelerator.device),
                threads=torch.get_num_threads(),
                processes=accelerator.num_processes,
            )
        except Exception as error:
            record_failure(store, stage.key, stage.label, error)
            raise
        forget_failure(store, stage.key)
    accelerator.wait_for_everyone()


def _run_beside(plan: Plan, stage: Stage, store: Store, accelerator: Accelerator) -> None:
    paths = _share_paths(accelerator, None)
    if paths is not None:
        stage.run(_context(plan, store, accelerator, *paths))
        accelerator.wait_for_everyone()


def _share_paths(accelerator: Accelerator, paths: tuple[Path, Path] | None) -> tuple[Path, Path] | None:
    shared = [paths]
    if accelerator.num_processes > 1:
        broadcast_object_list(shared)
    return shared[0]


def _context(plan: Plan, store: Store, accelerator: Accelerator, directory: Path, work: Path) -> StageContext:
    def silent(progress: Progress) -> None:
        """Only the main process reports."""

    return StageContext(
        store=store,
        builder=plan.builder,
        accelerator=accelerator,
        directory=directory,
        work=work,
        report=_reporter(work / PROGRESS) if accelerator.is_main_process else silent,
        batch_size=plan.manifest.evaluate.batch_size,
        tracking=_tracking(plan.manifest, store),
    )


def _tracking(manifest: Manifest, store: Store) -> Tracking:
    """The trackers that the manifest names."""
    runtime = manifest.runtime
    if not runtime.trackers:
        return Tracking()
    own = runtime.tracker_directory
    directory = store.root / "trackers" if own is None else manifest.path.parent / own
    return make_tracking(runtime.trackers, manifest.name, directory.absolute(), manifest.resolved())


def accelerator_of(runtime: RuntimeSettings, stage: Stage) -> Accelerator:
    """Devices and processes for a stage, as the manifest asks for them.

    Raises:
        TamingplatError: The device does not exist or cannot compute in the stage's precision, or the processes cannot share
            the stage's batch; the message says what can be had.
    """
    return make_accelerator(stage.training, runtime.device)


def use_threads(threads: int) -> None:
    """Set the number of threads that torch computes with; 0 leaves its own choice."""
    if threads:
        torch.set_num_threads(threads)
