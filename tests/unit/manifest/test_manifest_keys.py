"""What is in a content key, and what is not: field by field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tamingplat.interfaces import (
    Component,
    Config,
    FilePath,
    Ref,
    Runtime,
    Selection,
    TrainingSettings,
    field_markers,
)
from tamingplat.manifest import (
    EvaluateSettings,
    Manifest,
    ResolvedComponent,
    RuntimeSettings,
    component_identity,
    settings_identity,
    training_identity,
)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel, frozen=True, extra="forbid"):
    weight: float = Field(1.0, description="Weight.")
    mask: FilePath = Field(Path("/masks/a"), description="File.")
    chunk: Annotated[int, Runtime()] = Field(8, description="Chunk.")


class Everything(Config):
    width: int = Field(3, description="A number.")
    colour: Colour = Field(Colour.RED, description="A choice.")
    names: frozenset[str] = Field(frozenset({"a", "b", "c"}), description="A set.")
    weights: FilePath | None = Field(Path("/weights/a"), description="A file.")
    further: dict[str, FilePath] = Field({"x": Path("/further/a")}, description="Files.")
    several: tuple[FilePath, ...] = Field((Path("/several/a"),), description="Files.")
    inner: Inner = Field(Inner(), description="Settings inside.")
    inners: tuple[Inner, ...] = Field((Inner(),), description="Settings inside.")
    note: Path = Field(Path("/a/name"), description="A path that counts by its name.")
    part: Annotated[Selection | None, Ref("perceptual")] = Field(Selection(use="one"), description="A part.")
    parts: tuple[Annotated[Selection, Ref("perceptual")], ...] = Field((Selection(use="one"),), description="Parts.")
    workers: Annotated[int, Runtime()] = Field(0, description="Processes.")
    cache: Annotated[FilePath | None, Runtime()] = Field(Path("/cache/a"), description="A folder.")


CHANGES: Mapping[str, Any] = MappingProxyType(
    {
        "width": 4,
        "colour": Colour.BLUE,
        "names": frozenset({"a", "b"}),
        "weights": None,
        "further": {"y": Path("/further/a")},
        "several": (),
        "inner": Inner(weight=2.0),
        "inners": (Inner(), Inner()),
        "note": Path("/another/name"),
        "part": None,
        "parts": (),
        "workers": 1,
        "cache": Path("/cache/b"),
    }
)
"""Another value of every field."""


def _resolved(config: Config, parts: dict[str, ResolvedComponent] | None = None, **component: Any) -> ResolvedComponent:
    made = Component(
        **{"kind": "metric", "name": "all", "factory": "a:B", "summary": "A.", "config": type(config), **component}
    )
    return ResolvedComponent("label", made, config, parts or {}, None)


def _part(width: int = 1, **component: Any) -> ResolvedComponent:
    return _resolved(Everything(width=width, part=None, parts=()), kind="perceptual", name="one", **component)


def _hash(path: Path) -> str:
    """Content by the last part of the name: two folders hold the same files."""
    return f"content of {path.name}"


def _identity(config: Config, part: ResolvedComponent | None = None, **component: Any) -> dict[str, Any]:
    chosen = part or _part()
    return component_identity(_resolved(config, {"part": chosen, "parts.0": chosen}, **component), _hash)


def test_an_identity_spells_everything_out_and_is_ready_for_json() -> None:
    identity = _identity(Everything(), revision=7)
    inner = {"weight": 1.0, "mask": "content of a"}
    part = _identity(Everything(width=1, part=None, parts=()), kind="perceptual", name="one")
    assert identity == {
        "kind": "metric",
        "name": "all",
        "revision": 7,
        "config": {
            "width": 3,
            "colour": "red",
            "names": ["a", "b", "c"],
            "weights": "content of a",
            "further": {"x": "content of a"},
            "several": ["content of a"],
            "inner": inner,
            "inners": [inner],
            "note": "/a/name",
            "part": part,
            "parts": [part],
        },
    }
    assert json.loads(json.dumps(identity)) == identity


@pytest.mark.parametrize("field", Everything.model_fields)
def test_a_field_is_in_the_identity_unless_it_only_changes_rounding(field: str) -> None:
    changed = Everything().model_copy(update={field: CHANGES[field]})
    assert getattr(changed, field) != getattr(Everything(), field)
    rounding = any(isinstance(marker, Runtime) for marker in field_markers(Everything)[field])
    assert (_identity(changed) == _identity(Everything())) is rounding


@pytest.mark.parametrize("field", ["weights", "further", "several", "inner", "inners"])
def test_a_file_counts_by_its_content_wherever_it_stands(field: str) -> None:
    def at(path: str) -> dict[str, Any]:
        place = Path(path)
        values = {"weights": place, "further": {"x": place}, "several": (place,), "inner": Inner(mask=place)}
        return _identity(Everything().model_copy(update={**values, "inners": (Inner(mask=place),)}))

    assert at("/here/a")["config"][field] == at("/moved/there/a")["config"][field]
    assert at("/here/a")["config"][field] != at("/here/b")["config"][field]


def test_a_field_inside_another_that_only_changes_rounding_is_left_out() -> None:
    changed = Everything(inner=Inner(chunk=9), inners=(Inner(chunk=10),))
    assert _identity(changed) == _identity(Everything())


def test_a_part_counts_by_what_it_is_and_not_by_how_it_is_called() -> None:
    renamed = Everything(part=Selection(use="my-block"), parts=(Selection(use="other", config={"width": 1}),))
    assert _identity(renamed) == _identity(Everything())
    assert _identity(Everything(), _part(width=2)) != _identity(Everything())
    assert _identity(Everything(), _part(revision=2)) != _identity(Everything())


def test_kind_name_and_revision_count_and_summary_and_factory_do_not() -> None:
    for change in ({"kind": "dataset"}, {"name": "other"}, {"revision": 2}):
        assert _identity(Everything(), **change) != _identity(Everything())
    assert _identity(Everything(), summary="Another.", factory="c:D", paper="p", family="f") == _identity(Everything())


TRAINING: Mapping[str, Any] = MappingProxyType(
    {
        "steps": 1001,
        "batch_size": 64,
        "learning_rate": 1e-3,
        "optimizer": "adam",
        "betas": (0.9, 0.99),
        "weight_decay": 0.0,
        "schedule": "cosine",
        "warmup_steps": 5,
        "final_learning_rate_fraction": 0.1,
        "gradient_clip": 1.0,
        "ema_decay": 0.9,
        "precision": "bfloat16",
        "accumulation_steps": 2,
        "validate_every": 10,
        "validation_images": 10,
        "checkpoint_every": 10,
        "log_every": 1,
        "workers": 1,
        "compile": True,
    }
)


@pytest.mark.parametrize("field", TrainingSettings.model_fields)
def test_a_training_setting_counts_unless_it_only_changes_rounding(field: str) -> None:
    changed = TrainingSettings(**{field: TRAINING[field]})
    rounding = any(isinstance(marker, Runtime) for marker in field_markers(TrainingSettings)[field])
    assert (training_identity(changed) == training_identity(TrainingSettings())) is rounding
    assert (field in training_identity(changed)) is not rounding


def test_nothing_of_the_runtime_counts_and_all_of_evaluation_but_its_batch_size_does() -> None:
    assert settings_identity(RuntimeSettings(), _hash) == {}
    assert set(settings_identity(EvaluateSettings(), _hash)) == {"metrics", "samples", "reference", "split"}


def test_the_identity_of_a_loaded_component_follows_its_files(load: Callable[..., Manifest], folder: Path) -> None:
    def hashed(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def identity(weights: str) -> dict[str, Any]:
        text = f"[perceptual.deep]\nuse = 'vgg'\nconfig.weights = '{weights}'\n[tokenizer.vq]\nuse = 'vqgan'\n"
        text += "config.perceptual = 'deep'\n[matrix]\ndataset = ['noise']\ntokenizer = ['vq']\nprior = ['gpt']\n"
        text += "ordering = ['raster']\n"
        return component_identity(load(text).cells[0].tokenizer, hashed)

    before = identity("weights.bin")
    assert before["config"]["perceptual"]["config"]["weights"] == hashlib.sha256(b"weights").hexdigest()
    (folder / "weights.bin").rename(folder / "images" / "moved.bin")
    assert identity("images/moved.bin") == before
    (folder / "images" / "moved.bin").write_bytes(b"others")
    assert identity("images/moved.bin") != before
