"""``tamingplat doctor``: what is wrong with an installation, and which networks have their weights."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tamingplat.cli import main
from tamingplat.cli.doctor import examine
from tamingplat.interfaces import Component, Config, NoConfig, Ref, Selection, hookimpl
from tamingplat.registry import InstalledPlugin, Registry, load_registry

NETWORKS = """\
from tamingplat.interfaces.models import FeatureExtractor, Perceptual

class _Network(Perceptual):
    default_weight = 1.0
    def distance(self, images, others):
        return images

class Present(_Network):
    def missing(self):
        print("a network that talks")
        return None

class Missing(_Network):
    def missing(self):
        return "put weights.pth into /nowhere"

class Failing(_Network):
    def missing(self):
        raise RuntimeError("cannot look")

class Leaning(FeatureExtractor):
    dimensions = 3
    def __init__(self, config, parts):
        super().__init__(config, parts)
        self.network = parts["network"]
    def missing(self):
        return self.network.missing()
    def features(self, images):
        return images
"""


class Leaning(Config):
    network: Annotated[Selection, Ref("perceptual")] = Field(Selection(use="missing"), description="A network.")


class Demanding(Config):
    weights: str = Field(description="Weights.")


def _network(name: str, class_name: str, config: type[Config] = NoConfig) -> Component:
    kind: Any = "feature_extractor" if class_name == "Leaning" else "perceptual"
    factory = f"doctor_networks:{class_name}"
    return Component(kind=kind, name=name, factory=factory, summary="A network", config=config)


Load = Callable[..., Registry]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    (tmp_path / "doctor_networks.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    packaged = tmp_path / "packaged.toml"

    def run(components: Sequence[Component] = (), text: str = "", *more: InstalledPlugin) -> Registry:
        packaged.write_text(f"schema = 1\n{text}")
        module = types.ModuleType("in_memory")

        def tamingplat_components() -> list[Component]:
            return list(components)

        module.tamingplat_components = hookimpl(tamingplat_components)
        plugin = InstalledPlugin("one", "one-dist", "1", "one.plugin", lambda: module)
        return load_registry(plugins=[plugin, *more], packaged=packaged, directory=tmp_path, environ={})

    return run


def test_networks_are_asked_for_their_weights(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    report = examine(
        load(
            [
                _network("present", "Present"),
                _network("missing", "Missing"),
                _network("failing", "Failing"),
                _network("gone", "Gone"),
                _network("demanding", "Present", Demanding),
                _network("leaning", "Leaning", Leaning),
            ]
        )
    )
    weights = {row["component"]: (row["present"], row["remedy"]) for row in report["weights"]}
    assert weights["perceptual:present"] == (True, "")
    assert weights["perceptual:missing"] == (False, "put weights.pth into /nowhere")
    assert weights["feature_extractor:leaning"] == (False, "put weights.pth into /nowhere")
    assert weights["perceptual:demanding"] == (False, "not examined: it has settings without a default")
    assert "has no Gone" in weights["perceptual:gone"][1]
    assert weights["perceptual:failing"] == (False, "it could not be examined: RuntimeError: cannot look")
    # A file that is missing is no fault of the installation; a network that fails is.
    told = [problem for problem in report["problems"] if "one-dist" in problem]
    assert told == ["perceptual:failing (plugin one, one-dist 1): RuntimeError: cannot look"]
    assert capsys.readouterr().out == ""


def test_what_is_wrong_with_plugins_is_told(load: Load) -> None:
    broken = InstalledPlugin("two", "two-dist", "2", "two.plugin", lambda: 1 // 0)
    text = (
        '[plugin.three]\ndistribution = "pluggy"\n'
        '[plugin.four]\ndistribution = "a-distribution-that-nobody-has"\n'
        '[conflict]\n"perceptual:present" = "three"\n'
    )
    problems = examine(load([_network("present", "Present")], text, broken))["problems"]
    assert any(problem.startswith("plugin two (two-dist 2): ") and "ZeroDivisionError" in problem for problem in problems)
    assert any(problem.startswith("perceptual:present cannot be used: ") for problem in problems)
    assert any(problem.startswith("not installed: three; pluggy ") for problem in problems)
    assert not any("that-nobody-has" in problem for problem in problems)


def test_an_entry_point_that_the_checkout_has_and_the_installation_lacks_is_told(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamingplat.registry.installed_plugins", lambda: ())
    problems = examine(load())["problems"]
    (told,) = [problem for problem in problems if problem.startswith("not installed: ")]
    assert "tamingplat_conditioners" in told and "tamingplat_vq" in told
    assert "pip install" in told


def test_the_machine_and_the_packages_are_told(load: Load) -> None:
    report = examine(load())
    assert set(report) == {"machine", "packages", "devices", "weights", "notices", "problems"}
    assert set(report["machine"]) == {"python", "platform", "cores"}
    assert report["machine"]["python"].startswith(".".join(map(str, sys.version_info[:3])))
    packages = {row["name"]: row for row in report["packages"]}
    assert packages["torch"]["version"] and packages["torch"]["needs"].startswith(">=")
    assert "pytest" not in packages


def test_a_package_that_is_missing_is_a_problem(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["nobody-has-this>=2", "pytest>=8; extra == 'test'"])
    report = examine(load())
    assert report["packages"] == [{"name": "nobody-has-this", "version": None, "needs": ">=2"}]
    assert report["problems"][0] == "the package nobody-has-this is not installed: pip install 'nobody-has-this>=2'"


@pytest.mark.parametrize("broken", [False, True])
def test_the_exit_status_says_whether_something_is_wrong(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: bool
) -> None:
    more = [InstalledPlugin("two", "two-dist", "2", "two.plugin", lambda: 1 // 0)] if broken else []
    registry = load([_network("present", "Present")], "", *more)
    names = ["one", "two", *_shipped()]
    installed = [InstalledPlugin(name, "any", "1", "any", lambda: None) for name in names]
    monkeypatch.setattr("tamingplat.registry.load_registry", lambda: registry)
    monkeypatch.setattr("tamingplat.registry.installed_plugins", lambda: installed)
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert exit_.value.code == int(broken)
    assert len(report["problems"]) == int(broken)
    with pytest.raises(SystemExit) as exit_:
        main(["doctor"])
    out = capsys.readouterr().out
    assert exit_.value.code == int(broken)
    assert ("nothing is wrong" in out) != broken
    assert "perceptual:present  present" in out


def _shipped() -> list[str]:
    import tomllib

    from tamingplat.registry import checkout_root

    root = checkout_root()
    assert root is not None
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["entry-points"]["tamingplat.plugins"])
