"""From a TOML file to resolved cells: the schema of manifests, and everything that is wrong with one at once."""

from tamingplat.manifest.catalogue import Catalogue
from tamingplat.manifest.keys import component_identity, settings_identity, training_identity
from tamingplat.manifest.load import load_manifest
from tamingplat.manifest.resolved import Cell, Manifest, ResolvedComponent, write_resolved
from tamingplat.manifest.schema import MATRIX_KINDS, EvaluateSettings, RuntimeSettings

__all__ = [
    "MATRIX_KINDS",
    "Catalogue",
    "Cell",
    "EvaluateSettings",
    "Manifest",
    "ResolvedComponent",
    "RuntimeSettings",
    "component_identity",
    "load_manifest",
    "settings_identity",
    "training_identity",
    "write_resolved",
]
