"""What a plugin implements, and all of ours that it may import. This package imports no torch.

``tamingplat.interfaces.models`` holds the interfaces that do need torch.
"""

from tamingplat.interfaces.component import Component
from tamingplat.interfaces.config import (
    Config,
    FileContent,
    FilePath,
    NoConfig,
    Ref,
    Runtime,
    Selection,
    field_markers,
    references,
)
from tamingplat.interfaces.errors import DataError, Problem, ProblemsError, TamingplatError, UnavailableError
from tamingplat.interfaces.execution import Executor, StageOutcome, StageTask
from tamingplat.interfaces.hooks import ENTRY_POINT_GROUP, PROJECT, HookSpecs, hookimpl, hookspec
from tamingplat.interfaces.kinds import KINDS, Kind
from tamingplat.interfaces.regions import Region
from tamingplat.interfaces.seeds import derive_seed
from tamingplat.interfaces.spaces import CodeSpace, ConditionLayout, ConditionPart, DatasetInfo, MapsInfo, layout_length
from tamingplat.interfaces.training import TrainingSettings
from tamingplat.interfaces.versions import INTERFACE_VERSION, Interface
from tamingplat.interfaces.windows import Crop, Windows

__all__ = [
    "ENTRY_POINT_GROUP",
    "INTERFACE_VERSION",
    "KINDS",
    "PROJECT",
    "CodeSpace",
    "Component",
    "ConditionLayout",
    "ConditionPart",
    "Config",
    "Crop",
    "DataError",
    "DatasetInfo",
    "Executor",
    "FileContent",
    "FilePath",
    "HookSpecs",
    "Interface",
    "Kind",
    "MapsInfo",
    "NoConfig",
    "Problem",
    "ProblemsError",
    "Ref",
    "Region",
    "Runtime",
    "Selection",
    "StageOutcome",
    "StageTask",
    "TamingplatError",
    "TrainingSettings",
    "UnavailableError",
    "Windows",
    "derive_seed",
    "field_markers",
    "hookimpl",
    "hookspec",
    "layout_length",
    "references",
]
