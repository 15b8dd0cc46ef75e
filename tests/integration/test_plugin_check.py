"""``plugins check`` on a project that is not installed: faults of every kind are named, each beside what is sound."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.interfaces import TamingplatError
from tamingplat.testing.checking import check_distribution
from tamingplat.testing.packaging import find_distribution, packaging_verdicts, project_in

Run = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = """
{top}
from tamingplat.interfaces import Component, Config, hookimpl
{settings}
@hookimpl
def {hook}():
    return {answer}
"""
COMPONENT = 'Component(kind="ordering", name="{name}", factory="checked.models:{cls}", summary="An ordering"{more})'
MODELS = """
import torch
from tamingplat.interfaces.models import Ordering, VisitPlan

class Sound(Ordering):
    def plan(self, space, batch, *, generator=None):
        return VisitPlan.repeat(torch.arange(space.length), batch)

class Backwards(Sound):
    def plan(self, space, batch, *, generator=None):
        return VisitPlan.repeat(torch.arange(space.length).flip(0), batch)
"""


def _module(
    name: str, cls: str = "Sound", *, more: str = "", top: str = "", settings: str = "", hook: str = "tamingplat_components"
) -> str:
    answer = f"[{COMPONENT.format(name=name, cls=cls, more=more)}]"
    return PLUGIN.format(top=top, settings=settings, hook=hook, answer=answer)


FAULTY = {
    "raises": _module("a", top="raise RuntimeError('at the top')"),
    "wrong_type": PLUGIN.format(top="", settings="", hook="tamingplat_components", answer="'nothing'"),
    "undescribed": _module("b", settings="class Bare(Config):\n    width: int = 1\n", more=", config=Bare"),
    "unknown_hook": _module("c", hook="tamingplat_component"),
    "needs": _module("d", top="import a_package_that_nobody_has"),
    "other_interface": _module("e", more=", interface=(7, 8)"),
    "hangs": _module("f", top="import time; time.sleep(60)"),
    "exits": _module("g", top="import os; os._exit(5)"),
}
SOUND = {
    "sound": _module("sound"),
    "taken": _module("raster", "Gone", top="print('hello')"),
    "backwards": _module("backwards", "Backwards"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in the src layout with a plugin for each fault."""
    package = tmp_path / "src" / "checked"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models.py").write_text(MODELS)
    (package / "stuck.py").write_text("import time\ntime.sleep(60)\n")
    for name, text in (FAULTY | SOUND).items():
        (package / f"{name}.py").write_text(text)
    return tmp_path


def _declare(project: Path, names: list[str], more: str = "") -> None:
    lines = [f'checked_{name} = "checked.{name}"' for name in names]
    (project / "pyproject.toml").write_text(
        '[project]\nname = "checked"\nversion = "1"\n'
        + more
        + '[project.entry-points."tamingplat.plugins"]\n'
        + "\n".join(lines)
    )


def test_a_project_that_is_not_installed(project: Path, tamingplat_here: Run) -> None:
    _declare(project, list(SOUND))
    with (project / "pyproject.toml").open("a") as file:
        file.write(
            '\n[tool.tamingplat.check."ordering:backwards".known]\ngrids-are-visited-one-after-the-other = "it is a joke"\n'
        )
    result = tamingplat_here("plugins", "check", project, "--json")
    assert result.returncode == 1, result.stderr
    verdicts = json.loads(result.stdout)
    broken = {(one["subject"], one["promise"]): one["message"] for one in verdicts if one["status"] == "broken"}
    assert set(broken) == {
        (str(project), "distribution-is-described"),
        (str(project), "readme-and-licence-are-there"),
        (str(project), "tamingplat-is-required"),
        ("plugin checked_taken", "listing-prints-nothing"),
        ("plugin checked_taken", "names-are-free"),
        ("ordering:raster", "can-be-built"),
    }
    assert "it writes 'hello' to standard output" in broken["plugin checked_taken", "listing-prints-nothing"]
    assert "ordering:raster is offered by tamingplat_orderings" in broken["plugin checked_taken", "names-are-free"]
    assert "the module checked.models has no Gone" in broken["ordering:raster", "can-be-built"]
    assert "there is no readme and no licence; add the files" in broken[str(project), "readme-and-licence-are-there"]
    statuses = {one["status"] for one in verdicts if one["subject"] == "ordering:sound"}
    assert statuses == {"kept"}
    (known,) = [one for one in verdicts if one["status"] == "known"]
    assert known["subject"] == "ordering:backwards" and known["message"].startswith("it is a joke (seen: Grids are visited")


def test_every_fault_of_listing_is_named_with_its_remedy(project: Path) -> None:
    _declare(project, list(FAULTY))
    verdicts = list(check_distribution(project_in(project), listing_seconds=0.5))
    broken = {one.subject: one for one in verdicts if one.status == "broken" and one.subject.startswith("plugin")}
    assert {name.removeprefix("plugin checked_") for name in broken} == set(FAULTY)
    for name, promise, fragment in (
        ("raises", "the-entry-point-resolves", "RuntimeError: at the top"),
        ("wrong_type", "the-entry-point-resolves", "an object of type str among the components"),
        ("undescribed", "the-entry-point-resolves", "ordering:b: fields without a description: width"),
        ("unknown_hook", "the-entry-point-resolves", "did you mean tamingplat_components?"),
        ("needs", "the-entry-point-resolves", "pip install a_package_that_nobody_has"),
        (
            "other_interface",
            "the-interface-is-supported",
            "versions 7 to 8 of the interfaces, and this tamingplat has version 1",
        ),
        ("hangs", "listing-ends", "had not ended after 0.5 seconds"),
        ("exits", "the-entry-point-resolves", "ended the process with status 5"),
    ):
        found = broken[f"plugin checked_{name}"]
        assert found.promise == promise and fragment in found.message and "; " in found.message, found


def test_a_component_that_hangs_is_stopped_and_named(project: Path) -> None:
    (project / "src" / "checked" / "late.py").write_text(_module("late").replace("checked.models", "checked.stuck"))
    _declare(project, ["late"])
    began = time.monotonic()
    *_, last = check_distribution(project_in(project), component="ordering:late", promise_seconds=2)
    assert (last.subject, last.promise, last.status) == ("ordering:late", "can-be-built", "broken")
    assert "it had not ended after 2 seconds" in last.message
    assert time.monotonic() - began < 50


def test_wrong_requests_are_told_with_status_2(project: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        (
            ("tamingplat_ordering",),
            "there is no installed plugin, no component and no folder 'tamingplat_ordering'; did you mean",
        ),
        (("ordering:rastr",), "there is no ordering:rastr; did you mean raster?"),
        ((tmp_path / "empty",), "pyproject.toml: cannot be read"),
        (("tamingplat_orderings", "--set", "a=1"), "--set is for one component: name it as kind:name"),
        (("ordering:raster", "--set", "a"), "--set takes KEY=VALUE, not 'a'"),
    ):
        result = tamingplat_here("plugins", "check", *arguments)
        assert result.returncode == 2 and message in result.stderr, result.stderr
    _declare(project, ["sound"], '[tool.tamingplat.check."ordering:sound"]\nconfg = {}\n')
    with pytest.raises(TamingplatError, match=r"unknown setting confg; did you mean config\?"):
        project_in(project)


def test_metadata_of_what_is_installed() -> None:
    assert [one for one in packaging_verdicts(find_distribution("tamingplat")) if one.status != "kept"] == []
