"""Whether a preset fits the component that it is for."""

from __future__ import annotations

from pydantic import ValidationError

from tamingplat.interfaces import Component, Problem
from tamingplat.registry.policy import Preset
from tamingplat.registry.suggestions import did_you_mean


def preset_problems(component: Component, preset: Preset) -> list[Problem]:
    """What of a preset does not fit the component's settings. What it leaves out is no problem: a manifest may give it."""
    try:
        component.config.model_validate(dict(preset.config))
    except ValidationError as error:
        problems = []
        for details in error.errors():
            if details["type"] == "missing":
                continue
            field = ".".join(map(str, details["loc"]))
            what, remedy = f"{details['msg']}, not {details['input']!r}", "correct the preset"
            if details["type"] == "extra_forbidden":
                what = f"unknown field of {component.reference}"
                remedy = did_you_mean(field, component.config.model_fields) or remedy
            problems.append(Problem(f"{preset.where}.config.{field}", what, remedy))
        return problems
    return []
