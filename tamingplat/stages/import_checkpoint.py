"""From a checkpoint to artifacts of a store: read, translate, compare with the components, write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tamingplat.engine import read_checkpoint
from tamingplat.interfaces import DataError, Problem, ProblemsError
from tamingplat.interfaces.models import CheckpointFormat, CheckpointRequest
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.checkpoint_comparison import CheckpointComparison, PreparedModel
from tamingplat.stages.imported_artifacts import ImportedArtifact, check_names, write_models
from tamingplat.store import Store, fingerprint


@dataclass(frozen=True)
class ImportRequest:
    """What is to be imported.

    Attributes:
        format: Name of the checkpoint format.
        checkpoint: The file.
        configuration: Its configuration, a YAML or JSON file.
        name: What the tokenizer or the prior is to be called; a prior's own tokenizers have it with ``-tokenizer`` and
            ``-condition`` behind it.
        codes: Shape of the code grid, where the configuration does not say it.
        condition_length: P, where the configuration does not say it.
        replace: Whether names that stand for other artifacts are taken from them.
    """

    format: str
    checkpoint: Path
    configuration: Path
    name: str
    codes: tuple[int, ...] | None = None
    condition_length: int | None = None
    replace: bool = False


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        artifacts: What is now in the store, what others need first.
        dropped: Names of the file that are of no use, by the reason.
        beside: What lay beside the state dict and was not looked at.
        notes: What of the configuration was left aside.
    """

    artifacts: tuple[ImportedArtifact, ...]
    dropped: Mapping[str, tuple[str, ...]]
    beside: Mapping[str, str]
    notes: tuple[str, ...]


def import_checkpoint(request: ImportRequest, registry: Registry, store: Store) -> ImportReport:
    """Make artifacts of a checkpoint and name them. Importing twice changes nothing; what is wrong leaves nothing behind.

    Raises:
        TamingplatError: The format, the file or the configuration cannot be used, the tensors do not fit the components, or a
            name is taken; everything that is wrong of a sort at once.
    """
    form = load_format(request.format, registry)
    file = read_checkpoint(request.checkpoint)
    asked = CheckpointRequest(
        tensors=file.tensors,
        configuration=_read_configuration(request.configuration),
        codes=request.codes,
        condition_length=request.condition_length,
    )
    try:
        models = form.read(asked)
    except ProblemsError as error:
        where = str(request.configuration)
        raise ProblemsError(
            Problem(f"{where}: {problem.where}" if problem.where else where, problem.what, problem.remedy)
            for problem in error.problems
        ) from error
    builder = Builder(registry, store.fingerprint)
    comparison = CheckpointComparison(request.checkpoint, request.configuration, tuple(file.tensors), registry, builder)
    prepared = comparison.prepare(models, request.name)
    check_names(prepared, store, replace=request.replace)
    source = {
        "format": request.format,
        "file": request.checkpoint.name,
        "sha256": fingerprint(request.checkpoint, None),
        "container": file.container,
        "configuration": request.configuration.name,
        "beside": dict(file.beside),
        "dropped": dict(models.dropped),
        "notes": list(models.notes),
        "information": dict(models.information),
    }

    def about(item: PreparedModel) -> Mapping[str, Any]:
        return {"label": f"import {item.record['component']} from {request.checkpoint.name}", "source": source}

    artifacts = write_models(prepared, store, about=about, replace=request.replace)
    reasons: dict[str, list[str]] = {}
    for name, reason in models.dropped.items():
        reasons.setdefault(reason, []).append(name)
    dropped = {reason: tuple(names) for reason, names in reasons.items()}
    return ImportReport(artifacts, dropped, file.beside, tuple(dict.fromkeys(models.notes)))


def load_format(name: str, registry: Registry) -> CheckpointFormat:
    """A checkpoint format by its name.

    Raises:
        TamingplatError: There is none, with the nearest.
    """
    component = registry.find("checkpoint_format", name)
    made: CheckpointFormat = registry.load_class(component)(component.config(), {})
    return made


def _read_configuration(path: Path) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the configuration cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: the configuration is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, Mapping):
        raise DataError(f"{path}: the configuration is no table with a table 'model' in it")
    return value
