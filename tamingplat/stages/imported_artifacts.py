"""Writing models that come from elsewhere into a store, under names: what imports and pulls have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tamingplat.engine import save_tensors
from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.stages.checkpoint_comparison import PreparedModel
from tamingplat.stages.model_record import MODEL
from tamingplat.stages.stage import Stage
from tamingplat.stages.tokenizer_stage import WEIGHTS
from tamingplat.store import Artifact, Draft, Store


@dataclass(frozen=True)
class ImportedArtifact:
    """One artifact of an import or a pull.

    Attributes:
        name: What it is called.
        stage: Its stage, with its key.
        parameters: How many numbers it learned.
        present: Whether the store had it already.
    """

    name: str
    stage: Stage
    parameters: int
    present: bool


def check_names(prepared: Sequence[PreparedModel], store: Store, *, replace: bool) -> None:
    """Whether the names of models are well formed and, unless they are to be taken, free.

    Raises:
        TamingplatError: One is malformed.
        ProblemsError: Some stand for other artifacts.
    """
    taken = []
    for item in prepared:
        store.check_name(item.name)
        if item.name in store.names() and not replace:
            present = store.named(item.name)
            if (present.stage, present.key) != (item.stage.kind, item.stage.key):
                what = f"the name {item.name!r} stands for {present.stage} {present.key[:12]}"
                taken.append(Problem(str(store.root), what, "choose another with --as, or take it with --replace"))
    if taken:
        raise ProblemsError(taken)


def write_models(
    prepared: Sequence[PreparedModel],
    store: Store,
    *,
    about: Callable[[PreparedModel], Mapping[str, Any]],
    replace: bool,
) -> tuple[ImportedArtifact, ...]:
    """Write the models that a store lacks, all or nothing, and name every one of them.

    Args:
        prepared: What is written, what others need first.
        store: Where it goes.
        about: What an artifact's record says of where a model came from: its ``label`` and its ``source``.
        replace: Whether names that stand for other artifacts are taken from them.
    """
    present: set[str] = set()
    with contextlib.ExitStack() as stack:
        drafts: list[tuple[Draft, PreparedModel]] = []
        # Always in one order, so that two imports with a model in common do not wait for each other.
        for _, item in sorted({item.stage.key: item for item in prepared}.items()):
            draft = stack.enter_context(store.lock(item.stage.kind, item.stage.key, wait=True))
            found = store.find(item.stage.kind, item.stage.key)
            if found is not None and not found.problems(hashes=True):
                present.add(item.stage.key)
                continue
            if found is not None:
                store.discard(found)
            save_tensors(item.model.tensors, draft.directory / WEIGHTS)
            drafts.append((draft, item))
        for draft, item in drafts:
            draft.commit(
                {
                    **about(item),
                    "identity": item.stage.identity(),
                    MODEL: item.record,
                    "weights": item.digest,
                    "parameters": item.parameters,
                    "result": {},
                }
            )
    artifacts = []
    for item in prepared:
        store.name(item.name, _found(store, item.stage), replace=replace)
        artifacts.append(ImportedArtifact(item.name, item.stage, item.parameters, item.stage.key in present))
    return tuple(artifacts)


def _found(store: Store, stage: Stage) -> Artifact:
    artifact = store.find(stage.kind, stage.key)
    assert artifact is not None, "it was just written, or was there"
    return artifact
