"""What ``plugins show`` says of a component: every setting in words, and the plugin's own picture."""

from __future__ import annotations

import json
import types
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from tamingplat.interfaces import Component, Config, FilePath, Ref, Runtime, Selection, TrainingSettings, hookimpl
from tamingplat.registry import InstalledPlugin, Registry, load_registry


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    start: int = Field(0, ge=0, description="First step.")


class Settings(Config):
    layers: int = Field(3, ge=1, le=48, description="Blocks.")
    rate: float = Field(gt=0, lt=1, description="Rate.")
    schedule: Literal["constant", "cosine"] = Field("constant", description="Schedule.")
    clip: Annotated[float, Field(gt=0)] | None = Field(None, description="Clip.")
    widths: tuple[Annotated[int, Field(ge=8, multiple_of=8)], ...] = Field((8, 16), min_length=1, description="Widths.")
    betas: tuple[float, float] = Field((0.5, 0.9), description="Betas.")
    maybe: list[int | str] = Field(default_factory=lambda: [1], description="Either.")
    weights: FilePath | None = Field(None, description="Weights.")
    workers: Annotated[int, Runtime()] = Field(0, description="Workers.")
    network: Annotated[Selection, Ref("perceptual")] = Field("st-alex", description="Network.")  # type: ignore[assignment]
    colour: Colour = Field(Colour.RED, description="Colour.")
    extra: dict[str, Any] = Field(default_factory=dict, description="Extra.")
    tag: str = Field("a", pattern="^[a-z]$", description="Tag.")
    inner: Inner = Field(default_factory=Inner, description="Inner.")


def _draw() -> str:
    return "0 1\n2 3"


def _fail() -> str:
    raise RuntimeError("no ink")


def _registry(tmp_path: Path, illustration: str = "") -> Registry:
    module = types.ModuleType("in_memory")

    def tamingplat_components() -> list[Component]:
        return [
            Component(
                kind="prior",
                name="a",
                factory="a:B",
                summary="A prior",
                config=Settings,
                revision=3,
                paper="https://arxiv.org/abs/2012.09841",
                family="letters",
                training=TrainingSettings(steps=7, betas=(0.5, 0.9)),
                illustration=illustration,
            )
        ]

    module.tamingplat_components = hookimpl(tamingplat_components)
    packaged = tmp_path / "packaged.toml"
    packaged.write_text(
        'schema = 1\n[alias]\n"prior:b" = "prior:a"\n'
        '[preset."prior:b".small]\nconfig = { layers = 1 }\ndescription = "Small."\n'
        '[plugin.one]\nstatus = "stable"\n'
    )
    plugin = InstalledPlugin("one", "one-dist", "2.0", "one.plugin", lambda: module)
    return load_registry(plugins=[plugin], packaged=packaged, directory=tmp_path, environ={})


@pytest.fixture
def described(tmp_path: Path) -> dict[str, Any]:
    registry = _registry(tmp_path)
    return registry.describe(registry.find("prior", "a"))


def test_a_component_is_described_in_full_and_in_json(described: dict[str, Any]) -> None:
    assert json.loads(json.dumps(described)) == described
    expected = {
        "kind": "prior",
        "name": "a",
        "summary": "A prior",
        "plugin": "one",
        "distribution": "one-dist",
        "version": "2.0",
        "status": "stable",
        "revision": 3,
        "paper": "https://arxiv.org/abs/2012.09841",
        "family": "letters",
        "factory": "a:B",
        "aliases": ["b"],
        "presets": [{"name": "small", "description": "Small.", "config": {"layers": 1}}],
        "illustration": "",
        "problems": [],
    }
    assert {key: described[key] for key in expected} == expected
    assert set(described) == {*expected, "fields", "training"}
    assert described["training"]["steps"] == 7
    assert described["training"]["betas"] == [0.5, 0.9]


@pytest.mark.parametrize(
    ("name", "type_", "default", "constraints", "marker"),
    [
        ("layers", "integer", 3, [">= 1", "<= 48"], ""),
        ("rate", "number", None, ["> 0", "< 1"], ""),
        ("schedule", '"constant" | "cosine"', "constant", [], ""),
        ("clip", "number | none", None, ["number > 0"], ""),
        ("widths", "list of integer", [8, 16], ["length >= 1", "integer >= 8", "integer multiple of 8"], ""),
        ("betas", "[number, number]", [0.5, 0.9], [], ""),
        ("maybe", "list of (integer | text)", [1], [], ""),
        ("weights", "path | none", None, [], "file"),
        ("workers", "integer", 0, [], "runtime"),
        ("network", "component", "st-alex", [], "ref:perceptual"),
        ("colour", '"red" | "blue"', "red", [], ""),
        ("extra", "table of anything", {}, [], ""),
        ("tag", "text", "a", ["matches ^[a-z]$"], ""),
        ("inner", "table", {"start": 0}, [], ""),
        ("inner.start", "integer", 0, [">= 0"], ""),
    ],
)
def test_every_field_is_told_in_words(
    described: dict[str, Any], name: str, type_: str, default: Any, constraints: list[str], marker: str
) -> None:
    (field,) = [field for field in described["fields"] if field["name"] == name]
    assert field["type"] == type_
    assert field["default"] == default
    assert field["constraints"] == constraints
    assert field["marker"] == marker
    assert field["required"] == (name == "rate")
    assert field["description"].rstrip(".").lower() in (name, "either", "blocks", "first step")


def test_no_field_is_missing(described: dict[str, Any]) -> None:
    assert [field["name"] for field in described["fields"]] == [*Settings.model_fields, "inner.start"]


@pytest.mark.parametrize(
    ("body", "picture", "problem"),
    [
        ("def draw():\n    return '0 1\\n2 3'\n", "0 1\n2 3", None),
        ("def draw():\n    raise RuntimeError('no ink')\n", "", "failed: RuntimeError: no ink"),
        ("def draw():\n    return 3\n", "", "returned an object of type int, not a text"),
        ("def paint():\n    return ''\n", "", "has no draw"),
        ("raise SystemExit(1)\n", "", "failed: SystemExit: 1"),
    ],
)
def test_a_picture_that_fails_is_a_problem_and_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, picture: str, problem: str | None
) -> None:
    name = f"registry_picture_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    registry = _registry(tmp_path, f"{name}:draw")
    described = registry.describe(registry.find("prior", "a"))
    assert described["illustration"] == picture
    assert [field["name"] for field in described["fields"]][:1] == ["layers"]
    if problem is None:
        assert described["problems"] == []
    else:
        (told,) = described["problems"]
        assert told.startswith("prior:a (plugin one, one-dist 2.0): ")
        assert problem in told
