"""What may stand in a manifest, as pydantic models. What names mean is looked up elsewhere."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from tamingplat.interfaces import KINDS, Config, Kind, Runtime
from tamingplat.manifest.expected import ExpectedData

TOKENIZER_KINDS: tuple[Kind, ...] = ("dataset", "tokenizer")
"""What one component of each makes a cell of a manifest without priors."""

PRIOR_KINDS: tuple[Kind, ...] = ("prior", "ordering", "conditioner", "sampler")
"""What a matrix names together, or not at all."""

MATRIX_KINDS: tuple[Kind, ...] = (*TOKENIZER_KINDS, *PRIOR_KINDS)
"""What one component of each makes a cell."""

SEED_FIELDS = ("seed", "tokenizer_seed")

DEFAULT_SAMPLES = 2000
"""Images that are sampled per cell unless a manifest says how many."""

TOKENIZER_METRICS = ("reconstruction", "codebook")
"""What is measured of tokenizers alone unless a manifest says what."""

_NO_BLOCKS = ("checkpoint_format",)
"""Kinds that no run has a use for."""

SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What the names of manifests and blocks look like."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]
Name = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0)]


def slug_problem(name: str) -> str:
    """Why a name cannot be part of a file name and of a label; empty where it can."""
    if re.fullmatch(SLUG, name) and len(name) <= 100:
        return ""
    return "must be at most 100 letters, digits, '.', '_' and '-', and begin with a letter or a digit"


class Head(Config):
    """The fields of a manifest that stand outside its tables."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of the manifest's own format.")
    name: str = Field(description="Name of the comparison, as part of file names.")
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="Seeds of prior training and sampling.")
    tokenizer_seeds: tuple[Seed, ...] = Field(
        (0,), min_length=1, description="Seeds of tokenizer training, crossed with seeds."
    )
    compare_with: Name | tuple[Name, ...] = Field((), description="Tables of published figures, relative to the manifest.")

    @field_validator("name")
    @classmethod
    def _file_name(cls, name: str) -> str:
        problem = slug_problem(name)
        if problem:
            raise ValueError(problem)
        return name

    @field_validator("seeds", "tokenizer_seeds")
    @classmethod
    def _unique(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        repeated = repeated_values(seeds)
        if repeated:
            raise ValueError(f"names {', '.join(map(str, repeated))} more than once")
        return seeds


class Block(Config):
    """A named block, ``[kind.NAME]``: a component with settings."""

    use: Name | None = Field(None, description="The component; the block's own name by default.")
    preset: Name | None = Field(None, description="Settings of the registry to start from.")
    config: dict[str, Any] = Field(default_factory=dict, description="Settings of the component, over those of the preset.")


class DatasetBlock(Block):
    """A block of a dataset, which can say what the data will be before they are here."""

    expected: ExpectedData | None = Field(
        None, description="What the data are, to plan with where they are not on this machine."
    )


class TuningSettings(Config):
    """The table ``tuning`` of a block: how much was tried before it got its settings. It changes no result and no key."""

    settings_tried: int = Field(
        ge=1,
        description="How many settings were tried, the block's own included, before these were taken. Further values of an "
        "axis over the block come on top by themselves.",
    )
    note: str = Field("", description="What was tried, and on what data it was chosen.")


class LearningBlock(Block):
    """A block of a component that a stage can train."""

    train: dict[str, Any] = Field(default_factory=dict, description="Settings of its training, over the component's own.")


class TrainedBlock(LearningBlock):
    """A block of a component that is trained, or imported instead."""

    tuning: TuningSettings | None = Field(
        None, description="How much was tried before it got its settings: shown beside its results, and in no content key."
    )
    artifact: Name | None = Field(None, description="An imported artifact to use instead of training one.")


class TokenizerBlock(TrainedBlock):
    """A block of a tokenizer, which also says how it encodes a dataset."""

    views: int = Field(
        1, ge=1, description="Versions of each training image that are encoded; all but the first are augmented."
    )
    encode_batch_size: Annotated[int, Runtime()] = Field(64, ge=1, description="Images that are encoded together.")
    tile: Annotated[int | None, Runtime()] = Field(
        None,
        ge=16,
        description="Side in pixels of the squares in which larger images are encoded and decoded, where memory is scarce; "
        "none: whole images. Normalisation sees the whole image all the same, so that only rounding changes.",
    )


class PriorBlock(TrainedBlock):
    """A block of a prior, which can be one of a window over larger images."""

    window: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        None,
        description="Rows and columns of codes that the prior models, where images have more: it is trained on windows of the "
        "encoded images at random places, measured on those that tile them, and sampled by sliding-window or wavefront. None "
        "models whole images.",
    )


BLOCKS: Mapping[Kind, type[Block]] = MappingProxyType(
    {
        **{kind: Block for kind in KINDS if kind not in _NO_BLOCKS},
        "dataset": DatasetBlock,
        "tokenizer": TokenizerBlock,
        "classifier": LearningBlock,
        "prior": PriorBlock,
    }
)
"""What may stand in a block of each kind."""


class CellPattern(Config):
    """Which cells an entry of ``exclude`` leaves out: those that fit every field that it has."""

    dataset: Name | tuple[Name, ...] = Field((), description="One dataset or several.")
    tokenizer: Name | tuple[Name, ...] = Field((), description="One tokenizer or several.")
    prior: Name | tuple[Name, ...] = Field((), description="One prior or several.")
    ordering: Name | tuple[Name, ...] = Field((), description="One ordering or several.")
    conditioner: Name | tuple[Name, ...] = Field((), description="One conditioner or several.")
    sampler: Name | tuple[Name, ...] = Field((), description="One sampler or several.")
    seed: Seed | tuple[Seed, ...] = Field((), description="One seed or several.")
    tokenizer_seed: Seed | tuple[Seed, ...] = Field((), description="One tokenizer seed or several.")


class CellChoice(Config):
    """A single cell that an entry of ``include`` adds. What it leaves out is the matrix's one value, or every seed."""

    dataset: Name | None = Field(None, description="A dataset.")
    tokenizer: Name | None = Field(None, description="A tokenizer.")
    prior: Name | None = Field(None, description="A prior.")
    ordering: Name | None = Field(None, description="An ordering.")
    conditioner: Name | None = Field(None, description="A conditioner.")
    sampler: Name | None = Field(None, description="A sampler.")
    seed: Seed | None = Field(None, description="A seed; all of them by default.")
    tokenizer_seed: Seed | None = Field(None, description="A tokenizer seed; all of them by default.")


def _prior_kinds_together(schema: dict[str, Any]) -> None:
    """Say in JSON Schema which lists are named together; they have no default that could be written."""
    schema["dependentRequired"] = {kind: ["ordering"] if kind == "prior" else ["prior"] for kind in PRIOR_KINDS}
    for kind in ("prior", "ordering"):
        del schema["properties"][kind]["default"]


class Matrix(Config):
    """What is combined with what. Every name is a block's or, for what needs no settings, a component's.

    Without a prior there are no orderings, conditioners and samplers either, and tokenizers are compared alone.
    """

    model_config = ConfigDict(json_schema_extra=_prior_kinds_together)

    dataset: tuple[Name, ...] = Field(min_length=1, description="Datasets.")
    tokenizer: tuple[Name, ...] = Field(min_length=1, description="Tokenizers.")
    prior: tuple[Name, ...] = Field(
        (),
        min_length=1,
        validate_default=False,
        description="Priors. Left out together with ordering, conditioner and sampler, tokenizers are compared alone.",
    )
    ordering: tuple[Name, ...] = Field(
        (), min_length=1, validate_default=False, description="Orders in which codes are visited."
    )
    conditioner: tuple[Name, ...] = Field(("none",), min_length=1, description="Conditioners.")
    sampler: tuple[Name, ...] = Field(("ancestral",), min_length=1, description="Samplers.")
    exclude: tuple[CellPattern, ...] = Field((), description="Cells to leave out.")
    include: tuple[CellChoice, ...] = Field((), description="Single cells to add.")


class EvaluateSettings(Config):
    """The table ``[evaluate]``: how every cell is measured."""

    metrics: tuple[Name, ...] = Field(
        ("nll", "reconstruction", "codebook"),
        description="Metric blocks or components; without priors, reconstruction and codebook unless given.",
    )
    samples: int | None = Field(
        None,
        ge=1,
        description="Images that are sampled per cell, 2000 unless given. Without priors: images of the split that each "
        "tokenizer reconstructs, the whole split unless given.",
    )
    reference: Name = Field("train", description="Split that samples and reconstructions are compared with.")
    split: Name = Field("validation", description="Split that likelihoods and reconstructions are measured on.")
    batch_size: Annotated[int, Runtime()] = Field(64, ge=1, description="Images that are sampled or measured together.")

    def completed(self, *, priors: bool) -> EvaluateSettings:
        """With what is not given as it is for a manifest with or without priors."""
        given = self.model_fields_set
        metrics = self.metrics if priors or "metrics" in given else TOKENIZER_METRICS
        samples = DEFAULT_SAMPLES if priors and self.samples is None else self.samples
        return self.model_copy(update={"metrics": metrics, "samples": samples})

    @property
    def sampled(self) -> int:
        """Images that are sampled per cell, of a manifest that has priors."""
        assert self.samples is not None, "a manifest with priors always says how many"
        return self.samples

    def reconstructed(self, size: int) -> int:
        """How many of a split's ``size`` images are reconstructed."""
        return size if self.samples is None else min(self.samples, size)


class RuntimeSettings(Config):
    """The table ``[runtime]``: where and how stages run. Nothing in it changes what a result means."""

    executor: Annotated[Name, Runtime()] = Field("inline", description="An executor block or component.")
    device: Annotated[str, Runtime()] = Field(
        "auto", description="auto, cpu, cuda, cuda:N or mps; auto takes an accelerator where there is one."
    )
    threads: Annotated[int, Runtime()] = Field(0, ge=0, description="Threads of computation on the CPU; 0 takes every core.")

    trackers: Annotated[tuple[TrackerName, ...], Runtime()] = Field(
        (), description="Trackers that are told curves, sample grids and the resolved manifest; none unless named."
    )
    tracker_directory: Annotated[Path | None, Runtime()] = Field(
        None,
        description="Where trackers write files, relative to the manifest; none is the folder trackers of the store. MLflow's "
        "own MLFLOW_TRACKING_URI comes before it, and Trackio writes to its TRACKIO_DIR.",
    )

    @field_validator("trackers")
    @classmethod
    def _each_once(cls, trackers: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        repeated = repeated_values(trackers)
        if repeated:
            raise ValueError(f"names {', '.join(map(str, repeated))} more than once")
        return trackers

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not _DEVICE.fullmatch(device):
            raise ValueError(f'must be "auto", "cpu", "cuda", "cuda:N" or "mps", not "{device}"')
        return device


TABLES: Mapping[str, type[Config]] = MappingProxyType(
    {"matrix": Matrix, "evaluate": EvaluateSettings, "runtime": RuntimeSettings}
)
"""The tables of a manifest that have fields of their own."""


def repeated_values(values: Sequence[Hashable]) -> list[Hashable]:
    """The values that occur more than once, each once."""
    return list(dict.fromkeys(value for place, value in enumerate(values) if value in values[:place]))
