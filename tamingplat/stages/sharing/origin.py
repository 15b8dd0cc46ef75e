"""How a model was made, as others may know it: without the names of machines, users and folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tamingplat.stages.sharing.made import OriginEntry
from tamingplat.store import Artifact

SHARED_FORMAT = "shared"
"""The ``format`` in the source of a pulled artifact."""

_CODE = ("git", "packages", "python", "device", "threads", "processes")
_TRAINING = (
    "steps",
    "images",
    "parameters",
    "seconds",
    "cpu_seconds",
    "loading_seconds",
    "logging_seconds",
    "flops",
    "peak_memory_bytes",
    "device",
    "threads",
    "processes",
    "contended",
    "precision",
    "averaged",
    "resumptions",
)
_CHECKPOINT = ("format", "file", "sha256", "container")


def shared_source(artifact: Artifact) -> Mapping[str, Any]:
    """Where a pulled artifact came from; empty for one that was trained or imported."""
    source = artifact.details.get("source")
    if isinstance(source, Mapping) and source.get("format") == SHARED_FORMAT:
        return source
    return {}


def model_origin(artifact: Artifact) -> OriginEntry:
    """How the model of an artifact was made, wherever that was.

    Only what is listed here leaves the store: records and provenance also hold a host's name and a command line with paths.
    Files count in an identity by the hash of their content.
    """
    pulled = shared_source(artifact)
    if pulled:
        return OriginEntry.model_validate(pulled["origin"])
    details, provenance = artifact.details, artifact.provenance
    origin: dict[str, Any] = {
        "stage": artifact.stage,
        "key": artifact.key,
        "label": details["label"],
        "created": artifact.record["created"],
        "identity": details["identity"],
        "code": {name: provenance[name] for name in _CODE if name in provenance},
    }
    result = details.get("result") or {}
    training = {name: result[name] for name in _TRAINING if name in result}
    if training:
        validations = [point for point in result.get("curve", ()) if point["split"] == "validation"]
        origin["training"] = {**training, "validation_terms": validations[-1]["terms"] if validations else {}}
    if "source" in details:
        origin["checkpoint"] = {name: details["source"][name] for name in _CHECKPOINT if name in details["source"]}
    return OriginEntry.model_validate(origin)
