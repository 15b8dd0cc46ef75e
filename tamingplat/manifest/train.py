"""How a manifest's component is trained."""

from __future__ import annotations

from tamingplat.interfaces import Component, TrainingSettings
from tamingplat.manifest.checking import check
from tamingplat.manifest.layers import Layers
from tamingplat.manifest.problems import ProblemCollector
from tamingplat.manifest.schema import Block, LearningBlock, TrainedBlock


def training_settings(
    component: Component, block: Block, layers: Layers, problems: ProblemCollector
) -> tuple[bool, TrainingSettings | None]:
    """Whether all is well, and a component's own training settings with a block's laid over them.

    The settings are ``None`` for what is not trained, and for an imported artifact.

    Args:
        component: What is trained.
        block: What the manifest says of it.
        layers: Where the block's values stand.
        problems: Where problems are noted.
    """
    if not isinstance(block, LearningBlock):
        return True, None
    if block.train and component.training is None:
        problems.add(layers.locate(("train",)), f"{component.name} is not trained and takes no such settings", "remove it")
        return False, None
    artifact = block.artifact if isinstance(block, TrainedBlock) else None
    if block.train and artifact is not None:
        problems.add(layers.locate(("train",)), "an imported artifact is not trained", "remove it, or artifact to train one")
        return False, None
    if component.training is None or artifact is not None:
        return True, None
    checked = check(TrainingSettings, {**component.training.model_dump(), **block.train}, "train")
    for fault in checked.faults:
        layers.report(problems, fault, ("train",))
    return checked.value is not None, checked.value
