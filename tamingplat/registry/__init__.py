"""What is installed: plugins by their entry points, ``registry.toml`` laid over them, and the catalogue of both.

Neither importing this package nor making a catalogue imports torch.
"""

from tamingplat.registry.build import load_registry
from tamingplat.registry.catalogue import KnownPlugin, Registered, Registry, UnknownComponentError
from tamingplat.registry.discovery import (
    InstalledPlugin,
    checkout_root,
    editable_root,
    how_to_install,
    installed_plugins,
    installed_version,
)
from tamingplat.registry.fields import describe_fields
from tamingplat.registry.loading import BrokenPlugin
from tamingplat.registry.policy import Preset
from tamingplat.registry.schema import ComponentKey, Status, parse_kind, parse_reference
from tamingplat.registry.suggestions import did_you_mean, near_matches
from tamingplat.registry.toml_lines import KeyPath, key_lines, line_of

__all__ = [
    "BrokenPlugin",
    "ComponentKey",
    "InstalledPlugin",
    "KeyPath",
    "KnownPlugin",
    "Preset",
    "Registered",
    "Registry",
    "Status",
    "UnknownComponentError",
    "checkout_root",
    "describe_fields",
    "did_you_mean",
    "editable_root",
    "how_to_install",
    "installed_plugins",
    "installed_version",
    "key_lines",
    "line_of",
    "load_registry",
    "near_matches",
    "parse_kind",
    "parse_reference",
]
