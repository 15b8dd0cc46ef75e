"""How results were made, for the page: stages with their keys, the code and packages behind them, and resolved settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tamingplat.manifest import Manifest
from tamingplat.stages import Plan, ResultRow, Stage
from tamingplat.store import Artifact, Store

_SHORT = 12
_HEADLINES = ("tamingplat", "torch")


@dataclass(frozen=True)
class Environment:
    """Code and packages that results were made with.

    Attributes:
        number: What stages refer to it by.
        commit: Of the checkout, with a word where it had changes; or that none is known.
        python, platform: Versions.
        packages: Names and versions.
    """

    number: int
    commit: str
    python: str
    platform: str
    packages: tuple[tuple[str, str], ...]

    @property
    def headlines(self) -> tuple[tuple[str, str], ...]:
        """The versions that are told without being asked for."""
        return tuple((name, version) for name, version in self.packages if name in _HEADLINES)


@dataclass(frozen=True)
class MadeStage:
    """A stage of a plan.

    Attributes:
        key: The start of its content key.
        whole_key: All of it.
        kind, label: What it is.
        created: When it was finished, UTC; empty where it is not.
        machine: Host, device and threads.
        environment: Number of its environment; 0 where it is not finished.
        command: The command that made it.
    """

    key: str
    whole_key: str
    kind: str
    label: str
    created: str = ""
    machine: str = ""
    environment: int = 0
    command: str = ""


@dataclass(frozen=True)
class Provenance:
    """How everything on the page was made.

    Attributes:
        environments: Each once.
        stages: By content key, in the order of the plans.
    """

    environments: tuple[Environment, ...]
    stages: Mapping[str, MadeStage]

    def behind(self, keys: Iterable[str]) -> list[MadeStage]:
        """The stages with these keys, in the order of the plans."""
        wanted = set(keys)
        return [stage for key, stage in self.stages.items() if key in wanted]

    def environments_of(self, stages: Iterable[MadeStage]) -> list[Environment]:
        """The code and packages that stages were made with."""
        numbers = {stage.environment for stage in stages}
        return [one for one in self.environments if one.number in numbers]


def read_provenance(plans: Sequence[Plan], store: Store) -> Provenance:
    """What the store recorded of every stage of the plans."""
    environments: dict[str, Environment] = {}
    stages: dict[str, MadeStage] = {}
    for stage in (stage for plan in plans for stage in plan.stages.values()):
        if stage.key not in stages:
            artifact = store.find(stage.kind, stage.key)
            stages[stage.key] = _made(stage, artifact, environments)
    return Provenance(tuple(environments.values()), stages)


def _made(stage: Stage, artifact: Artifact | None, environments: dict[str, Environment]) -> MadeStage:
    key = "not known yet" if stage.provisional else stage.key
    if artifact is None:
        return MadeStage(key[:_SHORT], key, stage.kind, stage.label)
    recorded = artifact.provenance
    told = {name: recorded.get(name) for name in ("git", "packages", "python", "platform")}
    identity = json.dumps(told, sort_keys=True)
    if identity not in environments:
        environments[identity] = Environment(
            len(environments) + 1,
            _commit(told["git"]),
            str(told["python"] or "not known"),
            str(told["platform"] or "not known"),
            tuple((told["packages"] or {}).items()),
        )
    return MadeStage(
        key[:_SHORT],
        key,
        stage.kind,
        stage.label,
        str(artifact.record["created"]),
        _machine(recorded),
        environments[identity].number,
        " ".join(recorded.get("command") or ()),
    )


def _commit(git: Any) -> str:
    if not isinstance(git, Mapping):
        return "not from a checkout"
    return f"{git.get('commit')}{' with local changes' if git.get('dirty') else ''}"


def _machine(recorded: Mapping[str, Any]) -> str:
    threads, processes = recorded.get("threads"), recorded.get("processes")
    parts = [str(recorded.get("host") or ""), str(recorded.get("device") or "")]
    parts.append("" if threads is None else f"{threads} thread{'' if threads == 1 else 's'}")
    parts.append(f"{processes} processes" if isinstance(processes, int) and processes > 1 else "")
    return ", ".join(part for part in parts if part)


def stage_keys(row: ResultRow, stages: Mapping[str, Stage]) -> list[str]:
    """The content keys of everything that a row rests on, inputs included, among the stages of all plans."""
    pending = [*row.artifacts.values(), *row.sources.values()]
    keys: dict[str, None] = {}
    while pending:
        key = pending.pop()
        if key not in keys and key in stages:
            keys[key] = None
            pending += [stage.key for stage in stages[key].inputs]
    return list(keys)


def settings_text(settings: object, manifest: Manifest) -> str:
    """Resolved settings as JSON, files named from the manifest's folder."""
    return json.dumps(_relative(settings, str(manifest.path.parent.absolute())), indent=2, ensure_ascii=False)


def _relative(value: object, folder: str) -> object:
    if isinstance(value, Mapping):
        return {key: _relative(one, folder) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_relative(one, folder) for one in value]
    if isinstance(value, str) and value.startswith(f"{folder}/"):
        return value.removeprefix(f"{folder}/")
    return value
