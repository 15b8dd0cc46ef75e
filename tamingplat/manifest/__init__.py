"""From a TOML file to resolved cells: the schema of manifests, and everything that is wrong with one at once."""

from tamingplat.manifest.artifacts import AbsentArtifactError, Artifacts, NamedArtifact
from tamingplat.manifest.catalogue import Catalogue
from tamingplat.manifest.expected import ExpectedData
from tamingplat.manifest.json_schema import manifest_schema
from tamingplat.manifest.keys import component_identity, settings_identity, training_identity
from tamingplat.manifest.load import load_manifest
from tamingplat.manifest.portable import PortableSettings, portable_settings
from tamingplat.manifest.resolved import Cell, Manifest, ResolvedComponent, TokenizerCell, write_resolved
from tamingplat.manifest.schema import MATRIX_KINDS, EvaluateSettings, RuntimeSettings
from tamingplat.manifest.single import resolve_component
from tamingplat.manifest.trackers import tracker_problems

__all__ = [
    "MATRIX_KINDS",
    "AbsentArtifactError",
    "Artifacts",
    "Catalogue",
    "Cell",
    "EvaluateSettings",
    "ExpectedData",
    "Manifest",
    "NamedArtifact",
    "PortableSettings",
    "ResolvedComponent",
    "RuntimeSettings",
    "TokenizerCell",
    "component_identity",
    "load_manifest",
    "manifest_schema",
    "portable_settings",
    "resolve_component",
    "settings_identity",
    "tracker_problems",
    "training_identity",
    "write_resolved",
]
