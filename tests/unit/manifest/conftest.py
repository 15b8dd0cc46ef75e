"""A small catalogue for tests of manifests: components with every sort of setting, and no plugin behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator

from tamingplat.interfaces import (
    Component,
    Config,
    FilePath,
    Kind,
    ProblemsError,
    Ref,
    Runtime,
    Selection,
    TamingplatError,
    TrainingSettings,
)
from tamingplat.manifest import Manifest, load_manifest
from tamingplat.registry import did_you_mean


class FolderConfig(Config):
    root: FilePath = Field(description="Folder of images.")
    masks: dict[str, FilePath] = Field(default_factory=dict, description="Further folders.")
    size: int = Field(32, ge=8, le=4096, description="Side of an image.")
    workers: Annotated[int, Runtime()] = Field(0, ge=0, description="Processes that read.")


class PerceptualConfig(Config):
    layers: tuple[int, ...] = Field((1, 2), min_length=1, description="Layers that are compared.")
    weights: FilePath | None = Field(None, description="A file of weights.")


class LossConfig(BaseModel, frozen=True, extra="forbid"):
    weight: float = Field(1.0, ge=0, description="Weight.")
    kind: Literal["hinge", "plain"] = Field("hinge", description="Form.")
    chunk: Annotated[int, Runtime()] = Field(8, description="Images at once.")


class QuantizerConfig(Config):
    codebook_size: int = Field(256, ge=2, description="Number of codes.")
    downsampling: int = Field(2, ge=0, le=5, description="Halvings.")
    perceptual: Annotated[Selection | None, Ref("perceptual")] = Field(Selection(use="vgg"), description="Network of the loss.")
    loss: LossConfig = Field(LossConfig(), description="Adversarial loss.")
    strides: tuple[int, int] = Field((2, 2), description="Strides.")
    compile: Annotated[bool, Runtime()] = Field(False, description="Compile.")

    @field_validator("codebook_size")
    @classmethod
    def _even(cls, size: int) -> int:
        if size % 2:
            raise ValueError(f"must be even, not {size}")
        return size

    @model_validator(mode="after")
    def _fits(self) -> QuantizerConfig:
        if self.codebook_size > 1000 and self.downsampling == 0:
            raise ValueError("a codebook above 1000 needs downsampling")
        return self


class TransformerConfig(Config):
    layers: int = Field(2, ge=1, description="Blocks.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout.")
    width: int | None = Field(64, ge=1, description="Width.")


class SamplerConfig(Config):
    temperature: float = Field(1.0, gt=0, description="Temperature.")
    top_k: int | None = Field(None, ge=1, description="Codes that are kept.")


class RejectionConfig(Config):
    inner: Annotated[Selection, Ref("sampler")] = Field(description="What is sampled from.")
    judges: tuple[Annotated[Selection, Ref("perceptual")], ...] = Field((), description="Who judges.")


class CombinedConfig(Config):
    by_name: dict[str, Annotated[Selection, Ref("conditioner")]] = Field(default_factory=dict, description="Conditions.")


class LoopConfig(Config):
    inner: Annotated[Selection, Ref("sampler")] = Field(Selection(use="loop"), description="Itself.")


TRAINED = TrainingSettings(steps=100, batch_size=16, gradient_clip=1.0)


def toy_components() -> list[Component]:
    """The components, of every kind that a cell needs."""

    def made(kind: Kind, name: str, config: type[Config] | None = None, training: TrainingSettings | None = None) -> Component:
        settings: dict[str, Any] = {} if config is None else {"config": config}
        return Component(kind=kind, name=name, factory="toy:Toy", summary="A toy.", training=training, **settings)

    return [
        made("dataset", "folder", FolderConfig),
        made("dataset", "noise"),
        made("tokenizer", "vqgan", QuantizerConfig, TRAINED),
        made("tokenizer", "kmeans"),
        made("prior", "gpt", TransformerConfig, TRAINED),
        made("prior", "snail", TransformerConfig, TRAINED),
        *(made("ordering", name) for name in ("raster", "spiral-out", "spiral-in")),
        made("conditioner", "none"),
        made("conditioner", "class"),
        made("conditioner", "combined", CombinedConfig),
        made("sampler", "ancestral", SamplerConfig),
        made("sampler", "rejection", RejectionConfig),
        made("sampler", "loop", LoopConfig),
        *(made("metric", name) for name in ("nll", "reconstruction", "codebook")),
        made("perceptual", "vgg", PerceptualConfig),
        made("perceptual", "alex", PerceptualConfig),
        made("executor", "inline"),
        made("executor", "local"),
    ]


class ToyCatalogue:
    """What manifests ask of a registry, over the toy components, with an alias and presets."""

    def __init__(self) -> None:
        self.components = {(component.kind, component.name): component for component in toy_components()}
        self.aliases = {("ordering", "row-major"): "raster"}
        self.presets: dict[tuple[str, str, str], dict[str, Any]] = {
            ("tokenizer", "vqgan", "large"): {"codebook_size": 1024, "loss": {"weight": 0.5, "kind": "plain"}},
            ("tokenizer", "vqgan", "lopsided"): {"strides": [1]},
        }

    def find(self, kind: str, name: str) -> Component:
        for (of_kind, of_name), component in self.components.items():
            if (of_kind, of_name) == (kind, self.aliases.get((kind, name), name)):
                return component
        names = [of_name for of_kind, of_name in self.components if of_kind == kind]
        remedy = did_you_mean(name, names) or f"there are {', '.join(names)}"
        raise TamingplatError(f"there is no {kind}:{name}; {remedy}")

    def preset(self, kind: str, name: str, preset: str) -> dict[str, Any]:
        try:
            return self.presets[kind, name, preset]
        except KeyError:
            raise TamingplatError(f"{kind}:{name} has no preset '{preset}'") from None


HEAD = """\
schema = 1
name = "toy"
"""

MATRIX = """\
[matrix]
dataset = ["noise"]
tokenizer = ["kmeans"]
prior = ["gpt"]
ordering = ["raster"]
"""


@pytest.fixture
def catalogue() -> ToyCatalogue:
    return ToyCatalogue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, in which the manifest ``m.toml`` lies beside a folder and a file that it can name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "weights.bin").write_bytes(b"weights")
    return tmp_path


@pytest.fixture
def load(folder: Path, catalogue: ToyCatalogue) -> Callable[..., Manifest]:
    """Loads a manifest: a head of two lines, a text from line 3 on, and the smallest matrix where the text has none."""

    def run(text: str = "", *overrides: str) -> Manifest:
        Path("m.toml").write_text(HEAD + text + ("" if "[matrix]" in text else MATRIX))
        return load_manifest(Path("m.toml"), catalogue, overrides)

    return run


@pytest.fixture
def problems(load: Callable[..., Manifest]) -> Callable[..., list[str]]:
    """What is wrong with a manifest, line by line."""

    def run(text: str = "", *overrides: str) -> list[str]:
        with pytest.raises(ProblemsError) as raised:
            load(text, *overrides)
        assert str(raised.value).splitlines() == [str(problem) for problem in raised.value.problems]
        return str(raised.value).splitlines()

    return run
