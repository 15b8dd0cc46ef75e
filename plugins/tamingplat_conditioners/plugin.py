"""Entry point of the conditioners."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_conditioners.config import ClassConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """No condition, and the class."""
    return [
        Component(
            kind="conditioner",
            name="none",
            factory="tamingplat_conditioners.none:NoCondition",
            summary="No condition; the prior begins with its own start token.",
        ),
        Component(
            kind="conditioner",
            name="class",
            factory="tamingplat_conditioners.classes:ClassCondition",
            config=ClassConfig,
            summary="The image's class as one token before the codes.",
            paper="https://arxiv.org/abs/2012.09841",
        ),
    ]
