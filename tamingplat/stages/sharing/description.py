"""What a shared folder says of itself: ``tamingplat.json``, with a checksum, and every other file's beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, DataError
from tamingplat.stages.sharing.made import Entry, OriginEntry, ResultsEntry

DESCRIPTION = "tamingplat.json"
CARD = "README.md"
FORMAT = 1
"""Raised when an older tamingplat could not read, or would misread, what is written."""

LARGEST_DESCRIPTION = 16 * 2**20
"""Bytes."""

Role = Literal["tokenizer", "prior", "condition"]
"""What a model is for: ``condition`` is the tokenizer of a prior's condition, where that is another than of its codes."""

_FILE = re.compile(r"(?:tokenizer|prior|condition)\.safetensors")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]{0,199}$")]
"""A name, a version: nothing that would do more than be read where it is printed, or pasted into a shell."""


class FileEntry(Entry):
    """A file beside the description.

    Attributes:
        sha256: Of its content.
        size: Bytes.
    """

    sha256: Sha256
    size: int = Field(ge=0)


class ComponentEntry(Entry):
    """A component that a model is made of or works with, and where it comes from."""

    kind: Word
    name: Word
    revision: int = Field(ge=1)
    plugin: Word
    distribution: Word
    version: Word

    @property
    def reference(self) -> str:
        """``kind:name``."""
        return f"{self.kind}:{self.name}"


class PartEntry(Entry):
    """A part of a condition."""

    name: str = Field(max_length=200)
    vocab_size: int = Field(ge=1)
    grid: tuple[Annotated[int, Field(ge=1)], ...] | None


class _ModelEntry(Entry):
    """What tokenizers and priors have in common.

    Attributes:
        component: The name of its component.
        key: Its content key as an imported model.
        config: All of its settings, as JSON knows them; none names a file.
        left_out: Settings that named files, of what every installation has by itself: they have their defaults.
        components: Its own component first, then what it refers to and works with.
        digest: SHA-256 of its tensors, whatever file they are in.
        parameters: How many numbers it learned.
        origin: How it was made.
    """

    component: Word
    key: Sha256
    config: dict[str, Any]
    left_out: tuple[str, ...] = ()
    components: tuple[ComponentEntry, ...] = Field(min_length=1)
    digest: Sha256
    parameters: int = Field(ge=0)
    origin: OriginEntry


class TokenizerEntry(_ModelEntry):
    """A tokenizer."""

    kind: Literal["tokenizer"]
    image_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    channels: int = Field(ge=1)


class PriorEntry(_ModelEntry):
    """A prior, with the roles of the tokenizers that it goes with."""

    kind: Literal["prior"]
    grids: tuple[tuple[Annotated[int, Field(ge=1)], ...], ...] = Field(min_length=1)
    vocab_size: int = Field(ge=1)
    layout: tuple[PartEntry, ...]
    ordering: Word
    conditioner: Word | Literal[""]
    tokenizer: Literal["tokenizer"]
    condition_tokenizer: Literal["tokenizer", "condition"] | None

    @property
    def space(self) -> CodeSpace:
        """The codes."""
        return CodeSpace(self.grids, self.vocab_size)

    @property
    def condition_layout(self) -> ConditionLayout:
        """The parts of the condition."""
        return tuple(ConditionPart(part.name, part.vocab_size, part.grid) for part in self.layout)


class SharedModel(Entry):
    """The whole description.

    Attributes:
        format: Version of this layout.
        tamingplat: Version of tamingplat that wrote it.
        key: Content key of the model that it is about.
        about: That model's role; the others are what it needs.
        models: By role; each has its weights in ``ROLE.safetensors``.
        files: By name, the description and the model card not among them.
        license: What the author allows, as the hub writes it; ``None`` where nothing was said.
        results: Rows of the table and how they were made; ``None`` without any.
    """

    format: int
    tamingplat: Word
    key: Sha256
    about: Literal["tokenizer", "prior"]
    models: dict[Role, Annotated[TokenizerEntry | PriorEntry, Field(discriminator="kind")]]
    files: dict[str, FileEntry]
    license: Word | None = None
    results: ResultsEntry | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needed: set[Role] = {self.about}
        for role, model in self.models.items():
            if (role == "prior") != isinstance(model, PriorEntry):
                raise ValueError(f"the model {role} is a {model.kind}")
            if isinstance(model, PriorEntry):
                needed |= {model.tokenizer, *([model.condition_tokenizer] if model.condition_tokenizer else [])}
        if needed != set(self.models):
            raise ValueError(f"the models are {', '.join(self.models)}, and {', '.join(sorted(needed))} are needed")
        if set(self.files) != {weights_file(role) for role in self.models}:
            raise ValueError(f"the files are {', '.join(self.files)}, and the models are {', '.join(self.models)}")
        if self.models[self.about].key != self.key:
            raise ValueError("its key is not that of its model")
        return self

    @property
    def main(self) -> TokenizerEntry | PriorEntry:
        """The model that it is about."""
        return self.models[self.about]

    @property
    def size(self) -> int:
        """Bytes of all weights."""
        return sum(file.size for file in self.files.values())

    def to_text(self) -> str:
        """The text of the file, checksum included."""
        content = self.model_dump(mode="json")
        return json.dumps({**content, "checksum": _checksum(content)}, indent=2) + "\n"


def weights_file(role: Role) -> str:
    """The file of a model's weights."""
    return f"{role}.safetensors"


def read_description(folder: Path, address: str) -> SharedModel:
    """The description in a folder. Nothing else is looked at.

    Args:
        folder: Where it lies.
        address: What the folder is called in messages.

    Raises:
        DataError: There is none, it is damaged or was edited, it is of a newer format, or names files outside the folder.
    """
    where = f"{address}/{DESCRIPTION}"
    path = folder / DESCRIPTION
    try:
        if path.is_symlink() or not path.is_file():
            told = "is no plain file" if path.exists() or path.is_symlink() else "is missing; `tamingplat push` writes it"
            raise DataError(f"{where}: the description of the shared model {told}")
        if path.stat().st_size > LARGEST_DESCRIPTION:
            raise DataError(f"{where}: has {path.stat().st_size} bytes, and no description has more than {LARGEST_DESCRIPTION}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: the description is damaged: it is no JSON ({error})") from error
    return _check(content, where)


def _check(content: object, where: str) -> SharedModel:
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(content, dict) or type(version) is not int:
        raise DataError(f"{where}: this is no description of a shared model: it has no format")
    if version > FORMAT:
        raise DataError(f"{where}: is of format {version}, and this tamingplat reads up to {FORMAT}; update tamingplat")
    stated = content.pop("checksum", None)
    if stated != _checksum(content):
        raise DataError(f"{where}: the description is damaged or was edited; get it again, or push it again")
    files = content.get("files")
    for name in files if isinstance(files, Mapping) else ():
        if not _FILE.fullmatch(name):
            raise DataError(f"{where}: names the file {name!r}, which is none of a shared model's and is not looked at")
    try:
        return SharedModel.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = repr(".".join(map(str, fault["loc"])))[1:-1]  # names in the file can hold anything
        raise DataError(f"{where}: the description is wrong: {place + ': ' if place else ''}{fault['msg']}") from error


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of everything but the checksum itself. Numbers that are not finite are as Python's ``json`` writes them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
