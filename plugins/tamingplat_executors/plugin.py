"""What this plugin offers. Imports no torch."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_executors.config import AccelerateConfig, LocalConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """The three executors."""
    return [
        Component(
            kind="executor",
            name="inline",
            factory="tamingplat_executors.inline:InlineExecutor",
            summary="Runs the stages one after the other in the process that was started.",
        ),
        Component(
            kind="executor",
            name="local",
            factory="tamingplat_executors.local:LocalExecutor",
            config=LocalConfig,
            summary="Runs stages that do not need each other side by side, each in a process with a device of its own.",
        ),
        Component(
            kind="executor",
            name="accelerate",
            factory="tamingplat_executors.distributed:AccelerateExecutor",
            config=AccelerateConfig,
            summary="Runs the stages one after the other, and each training over several processes under torchrun.",
        ),
    ]
