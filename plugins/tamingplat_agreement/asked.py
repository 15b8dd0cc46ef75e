"""Whether a metric's settings are those of what samples are made for."""

from __future__ import annotations

from tamingplat.interfaces import Config
from tamingplat.interfaces.models import PlannedSamples


def unlike_condition(samples: PlannedSamples, conditioner: str, own: Config, settings: tuple[str, ...]) -> str | None:
    """Why a metric would not see what a conditioner saw; ``None`` where it does, or where there is no such conditioner.

    Args:
        samples: What is planned.
        conditioner: The name of the conditioner's component.
        own: The metric's settings.
        settings: Those that both have and that have to be equal.
    """
    for name, config in samples.conditions:
        if name != conditioner:
            continue
        told = [
            f"{setting} = {getattr(own, setting):g}, and that of the conditioner {name} is {getattr(config, setting):g}"
            for setting in settings
            if getattr(config, setting, getattr(own, setting)) != getattr(own, setting)
        ]
        if told:
            return f"has {'; '.join(told)}: it would measure another condition; set them alike"
    return None
