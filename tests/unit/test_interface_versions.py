"""Which versions of the interfaces a plugin supports, what changed between them, and that old plugins go on working."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tamingplat.interfaces import INTERFACE_VERSION, Component, hookimpl
from tamingplat.interfaces.models import INTERFACES
from tamingplat.interfaces.versions import CHANGES, mismatch
from tamingplat.testing import run_promises

# What a plugin has to implement since the version of the interfaces that is the key. More than this breaks plugins: raise the
# version, and say in CHANGES and in the changelog what changed. Methods with a default change nothing here.
REQUIRED = {
    1: {
        "dataset": {"info", "read"},
        "tokenizer": {"code_space", "decode", "encode", "forward"},
        "prior": {"forward", "logits", "nll"},
        "ordering": {"plan"},
        "conditioner": {"encode", "layout", "null"},
        "sampler": {"sample"},
        "metric": {"run"},
        "feature_extractor": {"dimensions", "features", "missing"},
        "perceptual": {"default_weight", "distance", "missing"},
        "classifier": {"label_names", "log_probabilities", "missing"},
        "executor": {"run"},
        "checkpoint_format": {"read", "write"},
    }
}


@pytest.mark.parametrize("interface", [1, (1, 1), (1, 2), (1, 9)])
def test_versions_that_fit(interface: Any) -> None:
    assert mismatch(interface, current=1, changes={}) is None


@pytest.mark.parametrize(
    ("interface", "what", "remedy"),
    [
        (2, "is written for version 2 of the interfaces, and this tamingplat has version 4; what changed in version 3: "
            "plan takes a seed.; in version 4: encode is gone. So is decode.", "upgrade the plugin"),
        ((1, 3), "is written for versions 1 to 3 of the interfaces, and this tamingplat has version 4; what changed in version",
            "state the newer version too"),
        ((5, 6), "is written for versions 5 to 6 of the interfaces, and this tamingplat has version 4", "upgrade tamingplat"),
        ("4", "states interface = '4', which is neither a version nor a range", "interface=(1, 2)"),
        ((3, 2), "states interface = (3, 2)", "the oldest and the newest"),
        ((1, 2, 3), "states interface = (1, 2, 3)", "the oldest and the newest"),
        (True, "states interface = True", "let it state one version"),
    ],
)  # fmt: skip
def test_versions_that_do_not_fit_are_told_with_what_changed(interface: Any, what: str, remedy: str) -> None:
    changes = {1: ("The first version.",), 3: ("plan takes a seed.",), 4: ("encode is gone.", "So is decode.")}
    wrong = mismatch(interface, current=4, changes=changes)
    assert wrong is not None
    assert wrong.what.startswith(what) and remedy in wrong.remedy


def test_the_changelog_says_what_each_version_changed() -> None:
    text = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    sections = re.findall(r"### For plugin authors\n(.*?)(?=\n##|\Z)", text, re.DOTALL)
    said = dict(re.findall(r"^- Interface version (\d+): (.*?)(?=\n- |\n*\Z)", "\n".join(sections), re.DOTALL | re.MULTILINE))
    assert {int(version): " ".join(changes.split()) for version, changes in said.items()} == {
        version: " ".join(changes) for version, changes in CHANGES.items()
    }
    assert max(CHANGES) == INTERFACE_VERSION


def test_a_plugin_of_this_version_has_to_implement_no_more_than_it_had_to() -> None:
    required = {kind: set(interface.__abstractmethods__) for kind, interface in INTERFACES.items()}
    assert required == REQUIRED[INTERFACE_VERSION]


OLDEST = """
import torch
from torch import nn
from torch.nn import functional as F
from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import Prior, PriorState, Tokenizer


class Halves(Tokenizer):
    def __init__(self, config, parts, *, image_size, channels):
        super().__init__(config, parts, image_size=image_size, channels=channels)
        self.channels = channels
        self.scale = nn.Parameter(torch.ones(()))

    def code_space(self, image_size):
        return CodeSpace(((image_size[0] // 2, image_size[1] // 2),), 4)

    def encode(self, images):
        return ((F.avg_pool2d(images, 2).mean(1).flatten(1) + 1) * 2).long().clamp(0, 3)

    def decode(self, codes, image_size):
        shades = (codes.float() / 1.5 - 1).view(len(codes), 1, image_size[0] // 2, image_size[1] // 2) * self.scale
        return F.interpolate(shades, image_size).expand(-1, self.channels, -1, -1)

    def forward(self, batch, *, step, phase, generator):
        images = batch["image"]
        return {"total": F.mse_loss(self.decode(self.encode(images), images.shape[2:]), images)}


class Nothing(PriorState):
    def select(self, rows):
        return self

    @classmethod
    def cat(cls, states):
        return states[0]


class Table(Prior):
    def __init__(self, space, layout, config, parts):
        super().__init__(space, layout, config, parts)
        self.table = nn.Parameter(torch.zeros(space.length, space.vocab_size))

    def nll(self, codes, condition, plan):
        return F.cross_entropy(self.table.expand(len(codes), -1, -1).transpose(1, 2), codes, reduction="none")

    def logits(self, codes, visited, targets, condition, *, lengths=None, state=None, sizes=None):
        return self.table[targets], Nothing()

    def forward(self, batch, *, step, phase, generator):
        return {"total": self.nll(batch.codes, batch.condition, batch.plan).mean()}
"""


@pytest.fixture
def oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A plugin of the first version that implements what it has to, and nothing that was added later."""
    (tmp_path / "oldest_models.py").write_text(OLDEST)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "oldest_models", raising=False)
    plugin = types.ModuleType("oldest_plugin")

    @hookimpl
    def tamingplat_components() -> list[Component]:
        return [
            Component(kind="tokenizer", name="halves", factory="oldest_models:Halves", summary="Halves", interface=1),
            Component(kind="prior", name="table", factory="oldest_models:Table", summary="Table", interface=(1, 1)),
        ]

    plugin.tamingplat_components = tamingplat_components  # type: ignore[attr-defined]
    return plugin


@pytest.mark.parametrize("reference", ["tokenizer:halves", "prior:table"])
def test_a_plugin_of_the_oldest_interface_keeps_every_promise(oldest: types.ModuleType, reference: str) -> None:
    verdicts = run_promises(reference, plugin=oldest, image_size=(8, 12) if reference.startswith("tok") else None)
    assert [verdict for verdict in verdicts if verdict.status == "broken"] == []
    assert sum(verdict.status == "kept" for verdict in verdicts) > 20
