"""Getting a shared model: check everything, compare it with what is installed, write it to a store under names.

A shared model is a stranger's. Files are read as safetensors and JSON alone, only those that the description names and only
where they are what it says; settings go through the component's own checks; nothing of it is executed.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamingplat.engine import load_tensors
from tamingplat.interfaces import DataError, Problem, ProblemsError, UnavailableError
from tamingplat.interfaces.models import CheckpointModels, CheckpointPrior, CheckpointTokenizer
from tamingplat.manifest import portable_settings
from tamingplat.registry import Registry, UnknownComponentError
from tamingplat.stages.build import Builder
from tamingplat.stages.checkpoint_comparison import CheckpointComparison, PreparedModel
from tamingplat.stages.imported_artifacts import ImportedArtifact, check_names, write_models
from tamingplat.stages.sharing.description import (
    DESCRIPTION,
    LARGEST_DESCRIPTION,
    ComponentEntry,
    PriorEntry,
    Role,
    SharedModel,
    TokenizerEntry,
    read_description,
    weights_file,
)
from tamingplat.stages.sharing.gather import EXPENDABLE
from tamingplat.stages.sharing.hub import Hub
from tamingplat.stages.sharing.origin import SHARED_FORMAT
from tamingplat.stages.sharing.target import Target
from tamingplat.store import Store, fingerprint

GIBIBYTE = 2**30


@dataclass(frozen=True)
class PullRequest:
    """What is to be got.

    Attributes:
        source: Where it lies.
        name: What the tokenizer or the prior is to be called; a prior's tokenizers have it with ``-tokenizer`` and
            ``-condition`` behind it.
        replace: Whether names that stand for other artifacts are taken from them.
        largest: Bytes that all weights together may have.
    """

    source: Target
    name: str
    replace: bool = False
    largest: int = 16 * GIBIBYTE


@dataclass(frozen=True)
class PullReport:
    """What a pull did.

    Attributes:
        artifacts: What is now in the store, what others need first.
        description: What the model said of itself.
        notes: What a person should know.
    """

    artifacts: tuple[ImportedArtifact, ...]
    description: SharedModel
    notes: tuple[str, ...]


def pull(request: PullRequest, registry: Registry, store: Store, *, hub: Callable[[], Hub] = Hub) -> PullReport:
    """Make artifacts of a shared model and name them. Pulling twice changes nothing; what is wrong leaves nothing behind.

    Raises:
        TamingplatError: A component is not installed or has another revision, a name is taken, or the hub refuses.
        DataError: The description or a file is damaged, was edited, is too large, or does not fit.
        UnavailableError: The hub cannot be reached.
    """
    store.check_name(request.name)
    source = request.source
    if source.folder is not None:
        address = str(source.folder)
        if not source.folder.is_dir():
            raise DataError(f"{address}: there is no such folder; a model of the hub is hf://owner/name")
        description = read_description(source.folder, address)
        _check_size(description, request, address)
        return _Puller(request, registry, store, source.folder, address, source.folder.name).pull(description)
    with tempfile.TemporaryDirectory(prefix="tamingplat-pull-") as temporary:
        folder = Path(temporary)
        client = hub()
        snapshot = client.snapshot(source)
        address = f"hf://{source.repository}@{snapshot.commit}"
        if snapshot.sizes.get(DESCRIPTION, 0) > LARGEST_DESCRIPTION:
            raise DataError(f"{address}: {DESCRIPTION} has {snapshot.sizes[DESCRIPTION]} bytes, which no description has")
        client.download(source, snapshot.commit, [DESCRIPTION], folder)
        description = read_description(folder, address)
        _check_size(description, request, address)
        if problems := list(_unlike(description, snapshot.sizes, address)):
            raise ProblemsError(problems)
        client.download(source, snapshot.commit, sorted(description.files), folder)
        return _Puller(request, registry, store, folder, address, address).pull(description)


def _check_size(description: SharedModel, request: PullRequest, address: str) -> None:
    if description.size > request.largest:
        raise DataError(
            f"{address}: the weights have {description.size / GIBIBYTE:.1f} GiB, and the limit is "
            f"{request.largest / GIBIBYTE:g}; raise it with --max-size"
        )


def _unlike(description: SharedModel, sizes: Mapping[str, int], address: str) -> Iterator[Problem]:
    """Files of a repository that are missing or have another size than the description says, before any is fetched."""
    for name, file in description.files.items():
        if name not in sizes:
            yield Problem(f"{address}/{name}", "the file is missing")
        elif sizes[name] != file.size:
            yield Problem(f"{address}/{name}", f"the file has {sizes[name]} bytes where {file.size} were written")


@dataclass
class _Puller:
    request: PullRequest
    registry: Registry
    store: Store
    folder: Path
    address: str
    origin: str

    def pull(self, description: SharedModel) -> PullReport:
        self._verify_files(description)
        notes = list(self._check_components(description))
        models = self._models(description)
        by_role: dict[Role, Any] = {
            "tokenizer": models.tokenizer,
            "condition": models.condition_tokenizer,
            "prior": models.prior,
        }
        names = [model.file_name(name) for role in description.models for model in [by_role[role]] for name in model.tensors]
        where = Path(self.address)
        builder = Builder(self.registry, self.store.fingerprint)
        comparison = CheckpointComparison(where, where / DESCRIPTION, names, self.registry, builder)
        prepared = comparison.prepare(models, self.request.name)
        roles = {item.stage.key: role for role in description.models for item in prepared if item.model is by_role[role]}
        for item in prepared:
            notes += self._compare(item, description.models[roles[item.stage.key]])
        check_names(prepared, self.store, replace=self.request.replace)

        results = description.results and description.results.model_dump(mode="json")

        def about(item: PreparedModel) -> Mapping[str, Any]:
            entry = description.models[roles[item.stage.key]]
            source = {
                "format": SHARED_FORMAT,
                "from": self.origin,
                "key": entry.key,
                "tamingplat": description.tamingplat,
                "license": description.license,
                "origin": entry.origin.model_dump(mode="json"),
                "results": results if entry is description.main else None,
            }
            return {"label": f"pull {entry.component} from {self.origin}", "source": source}

        artifacts = write_models(prepared, self.store, about=about, replace=self.request.replace)
        return PullReport(artifacts, description, tuple(dict.fromkeys(notes)))

    def _verify_files(self, description: SharedModel) -> None:
        problems = [
            Problem(f"{self.address}/{name}", what, "get it again")
            for name, file in description.files.items()
            if (what := self._fault(name, file.size, file.sha256))
        ]
        if problems:
            raise ProblemsError(problems)

    def _fault(self, name: str, size: int, sha256: str) -> str:
        path = self.folder / name
        try:
            # What is no plain file is not opened: a link can lead anywhere, and a pipe has no end.
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                return "the file is a link, and what it leads to is not looked at"
            if not stat.S_ISREG(found.st_mode):
                return "this is no file"
            if found.st_size != size:
                return f"the file has {found.st_size} bytes where {size} were written"
            if fingerprint(path, None) != sha256:
                return "the content of the file is not what was written"
        except FileNotFoundError:
            return "the file is missing"
        except OSError as error:
            return f"the file cannot be read: {error.strerror}"
        return ""

    def _check_components(self, description: SharedModel) -> Iterator[str]:
        """Whether everything is installed, in the same revision where that decides what the model computes; yields notes."""
        problems: dict[str, Problem] = {}
        notes = []
        for entry in (component for model in description.models.values() for component in model.components):
            origin = f"plugin {entry.plugin}, {entry.distribution} {entry.version}"
            try:
                present = self.registry.registered(entry.kind, entry.name)
            except UnknownComponentError as error:
                what = f"{entry.reference} ({origin}) is needed and cannot be used here: {error}"
                problems.setdefault(entry.reference, Problem(self.address, what, _install(entry)))
                continue
            if present.component.revision == entry.revision:
                continue
            what = f"it was made with revision {entry.revision} of {entry.reference} ({origin}), and revision "
            what += f"{present.component.revision} ({present.distribution} {present.version}) is installed"
            if entry.kind in EXPENDABLE:
                notes.append(f"{what}; that is of its training alone")
            else:
                problems.setdefault(
                    entry.reference, Problem(self.address, f"{what}, which gives other results", _install(entry))
                )
        if problems:
            if any("cannot be used here" in problem.what for problem in problems.values()):
                raise UnavailableError("\n".join(str(problem) for problem in problems.values()))
            raise ProblemsError(problems.values())
        yield from notes

    def _models(self, description: SharedModel) -> CheckpointModels:
        tokenizers: dict[Role, CheckpointTokenizer] = {}
        prior = condition = None
        for role, entry in description.models.items():
            if isinstance(entry, TokenizerEntry):
                tokenizers[role] = CheckpointTokenizer(
                    image_size=entry.image_size, channels=entry.channels, **self._settings(role, entry)
                )
            else:
                prior = self._prior(role, entry)
                if entry.condition_tokenizer is not None:
                    condition = entry.condition_tokenizer
        return CheckpointModels(
            tokenizer=tokenizers["tokenizer"],
            prior=prior,
            condition_tokenizer=None if condition is None else tokenizers[condition],
        )

    def _prior(self, role: Role, entry: PriorEntry) -> CheckpointPrior:
        return CheckpointPrior(
            space=entry.space,
            layout=entry.condition_layout,
            conditioner=entry.conditioner,
            ordering=entry.ordering,
            **self._settings(role, entry),
        )

    def _settings(self, role: Role, entry: TokenizerEntry | PriorEntry) -> dict[str, Any]:
        where = f"{self.address}/{DESCRIPTION}"
        component = self.registry.find(entry.kind, entry.component)
        portable = portable_settings(self.registry, component, entry.config, expendable=EXPENDABLE, where=where)
        if portable.left_out:
            raise DataError(f"{where}: its settings name files of this machine ({', '.join(portable.left_out)})")
        try:
            tensors = load_tensors(self.folder / weights_file(role))
        except DataError as error:
            raise DataError(f"{self.address}/{weights_file(role)}: is no whole safetensors file ({error.__cause__})") from error
        return {
            "component": component.name,
            "config": portable.config,
            "tensors": tensors,
            "prefix": f"{weights_file(role)}: ",
        }

    def _compare(self, item: PreparedModel, entry: TokenizerEntry | PriorEntry) -> Iterator[str]:
        if item.digest != entry.digest:
            raise DataError(f"{self.address}: the tensors of the {entry.kind} are not those that were pushed; get it again")
        if item.stage.key != entry.key:
            yield (
                f"{entry.kind}:{entry.component} has settings here that it did not have where it was pushed, or lacks some, "
                f"so that its key is {item.stage.key[:12]} and not {entry.key[:12]}"
            )


def _install(entry: ComponentEntry) -> str:
    return f"install it with: pip install '{entry.distribution}=={entry.version}'"
