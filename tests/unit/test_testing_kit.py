"""The conformance kit names what is broken: planted faults of every kind, known exceptions, and what cannot be examined."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, field_validator

from tamingplat.interfaces import Component, Config, TamingplatError, hookimpl
from tamingplat.testing import conformance, run_promises
from tamingplat.testing.promises import KINDS

MODELS = Path(__file__).parents[1] / "fixtures" / "kit_faults.py"

# For each class its kind, and the promises that it breaks with a part of what is said of each.
CLASSES: dict[str, tuple[str, dict[str, str]]] = {
    "Columns": ("ordering", {}),
    "Skips": (
        "ordering",
        {"every-position-is-visited-once": "exactly once", "grids-are-visited-one-after-the-other": "exactly once"},
    ),
    "Shuffles": (
        "ordering",
        {
            "every-position-is-visited-once": "made two different ones",
            "grids-are-visited-one-after-the-other": "made two different ones",
            "a-batch-of-one-has-a-plan": "the order of one image",
            "randomness-is-declared": "random is False",
            "the-vocabulary-does-not-matter": "another with more codes",
            "same-seed-same-result": "another object gives another result",
            "nothing-hidden-is-random": "torch's random state was used",
        },
    ),
    "Growls": ("ordering", {"refusals-are-sentences": "it gives ''"}),
    "Mean": ("tokenizer", {}),
    "BatchMean": (
        "tokenizer",
        {"codes-do-not-depend-on-the-batch": "codes differ where each image is encoded alone"},
    ),
    "HiddenState": (
        "tokenizer",
        {"state-survives-a-file": "State round trip", "state-is-complete": "no persistent buffer"},
    ),
    "LateNan": (
        "tokenizer",
        {"losses-are-finite": "at step 10000000: total is nan"},
    ),
    "NoisyTerms": ("tokenizer", {"validation-draws-nothing": "noise of phase main differ from call to call"}),
    "ReadsValues": ("tokenizer", {"training-is-counted-without-memory": "it raised"}),
    "Table": ("prior", {}),
    "Leaks": (
        "prior",
        {
            "nothing-leaks": "under raster order: No leakage",
            "the-chain-rule-holds": "The chain rule",
            "probabilities-sum-to-one": "and not to one",
        },
    ),
    "Sharpens": ("prior", {"the-chain-rule-holds": "logits step by step"}),
    "Draws": ("sampler", {}),
    "Forgets": (
        "sampler",
        {"every-position-is-filled": "Given codes are kept", "given-codes-come-in-any-number": "were drawn anew"},
    ),
    "Gambles": (
        "sampler",
        {
            "samples-do-not-depend-on-their-batch": "do not depend on their batch",
            "given-codes-come-in-any-number": "nothing being given",
            "same-seed-same-result": "gives another result",
            "nothing-hidden-is-random": "torch's random state was used",
        },
    ),
    "Greys": ("dataset", {}),
    "Wraps": ("dataset", {"wrong-numbers-are-errors": "read('train', -1) gives an example, and train has 3 images"}),
    "Floats": ("dataset", {"examples-are-as-info-says": "the image is float32 (1, 4, 6), not uint8 (1, 4, 6)"}),
    "Opens": ("dataset", {"works-in-a-worker-process": "Look at what it holds open"}),
    "Ratio": ("metric", {}),
    "SymmetricRatio": (
        "metric",
        {
            "equal-inputs-give-finite-values": "ratio is 1, and at_equality says 0",
            "symmetry-is-as-declared": "symmetric is True",
        },
    ),
    "Endless": (
        "metric",
        {"measurements-are-complete": "no description", "equal-inputs-give-finite-values": "log is -inf"},
    ),
    "Squares": ("perceptual", {}),
    "Detached": ("perceptual", {"gradients-flow-to-both": "the first images have no finite gradient"}),
    "Shifted": ("perceptual", {"equal-images-have-no-distance": "it is [1.0, 1.0, 1.0]"}),
    "Means": ("feature_extractor", {}),
    "Whitened": ("feature_extractor", {"features-do-not-depend-on-the-batch": "statistics of the batch"}),
    "Brightest": ("classifier", {}),
    "Unnormalised": ("classifier", {"log-probabilities-are-normalised": "probabilities sum to"}),
    "Classes": ("conditioner", {}),
    "NullIsAClass": ("conditioner", {"tokens-are-as-the-layout-says": "The null index of class is its own"}),
    "Unnamed": ("conditioner", {"columns-are-named": "it reads 'label', which columns does not name"}),
    "OneByOne": ("executor", {}),
    "Stops": ("executor", {"a-failure-stops-only-what-needs-it": "it tells the outcome of a"}),
}


class Odd(Config):
    """Settings that do not survive being written down."""

    width: int = Field(2, description="Width.")

    @field_validator("width")
    @classmethod
    def _double(cls, width: int) -> int:
        return 2 * width


def _name(cls: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in cls).strip("-")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("kit")
    (folder / "kit_faults.py").write_text(MODELS.read_text())
    module = types.ModuleType("kit_faults_plugin")

    @hookimpl
    def tamingplat_components() -> list[Component]:
        found = [
            Component(kind=kind, name=_name(cls), factory=f"kit_faults:{cls}", summary=cls)  # type: ignore[arg-type]
            for cls, (kind, _) in CLASSES.items()
        ]
        found.append(Component(kind="ordering", name="odd", factory="kit_faults:Columns", summary="Odd", config=Odd))
        found.append(Component(kind="feature_extractor", name="absent", factory="kit_faults:Absent", summary="Absent"))
        found.append(Component(kind="ordering", name="gone", factory="kit_faults:Gone", summary="Gone"))
        return found

    module.tamingplat_components = tamingplat_components  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield module
    sys.modules.pop("kit_faults", None)


@pytest.mark.parametrize("cls", CLASSES)
def test_what_is_broken_is_named_and_nothing_else(plugin: Any, cls: str) -> None:
    kind, expected = CLASSES[cls]
    verdicts = run_promises(f"{kind}:{_name(cls)}", plugin=plugin, **({"image_size": (4, 6)} if kind == "tokenizer" else {}))
    broken = {verdict.promise: verdict.message for verdict in verdicts if verdict.status == "broken"}
    assert broken.keys() == expected.keys(), broken
    statements = {promise.name: promise.statement for promise in KINDS[kind].promises}  # type: ignore[index]
    for promise, fragment in expected.items():
        assert broken[promise].startswith(f"{statements[promise]} Seen: ") and fragment in broken[promise]
    assert [verdict.promise for verdict in verdicts] == list(statements)


def test_settings_that_do_not_survive_and_classes_that_are_gone(plugin: Any) -> None:
    (broken,) = [one for one in run_promises("ordering:odd", plugin=plugin) if one.status == "broken"]
    assert broken.promise == "settings-survive-json-and-toml" and "reads as other settings" in broken.message
    verdicts = {one.promise: one for one in run_promises("ordering:gone", plugin=plugin)}
    assert "the module kit_faults has no Gone" in verdicts["can-be-built"].message
    assert verdicts["plans-are-on-the-cpu"].status == "not applicable"
    assert verdicts["plans-are-on-the-cpu"].message == "it was not examined; see can-be-built"


def test_what_cannot_be_examined_here_is_said(plugin: Any) -> None:
    verdicts = run_promises("feature_extractor:absent", plugin=plugin)
    assert {one.status for one in verdicts} == {"kept", "not applicable"}
    assert "its weights are not here: means.pth is not here" in verdicts[-1].message
    large = run_promises("prior:gpt")
    assert "with these settings it has 302 million parameters; give small ones" in next(
        one.message for one in large if one.promise == "can-be-built"
    )
    settings = run_promises("dataset:parquet")
    assert "without the settings size, train, validation" in next(one.message for one in settings if one.status != "kept")


def _outcomes(tests: Any) -> dict[str, str]:
    """What pytest would make of each test of a class."""
    (mark,) = tests.test_promise.pytestmark
    found = {}
    for parameter in mark.args[1]:
        try:
            tests().test_promise(*parameter.values)
            found[parameter.id] = "passed"
        except pytest.skip.Exception:
            found[parameter.id] = "skipped"
        except pytest.xfail.Exception as error:
            found[parameter.id] = f"known: {error}"
        except AssertionError as error:
            found[parameter.id] = str(error)
    return found


def test_one_test_for_each_promise_and_known_exceptions(plugin: Any) -> None:
    known = {"refusals-are-sentences": "it growls", "plans-are-on-the-cpu": "not true"}
    outcomes = _outcomes(conformance("ordering:growls", plugin=plugin, known=known))
    assert list(outcomes) == [promise.name for promise in KINDS["ordering"].promises]
    assert outcomes.pop("refusals-are-sentences").startswith("known: it growls (seen: refusal gives None or a sentence")
    assert outcomes.pop("plans-are-on-the-cpu") == (
        "ordering:growls breaks the promise plans-are-on-the-cpu. it is declared as a known exception (not true), and it is "
        "kept: remove it from the known exceptions"
    )
    assert set(outcomes.values()) == {"passed", "skipped"}
    broken = _outcomes(conformance("ordering:skips", dict, plugin=plugin))["every-position-is-visited-once"]
    assert broken.startswith("ordering:skips breaks the promise every-position-is-visited-once. On a grid of any shape")


def test_wrong_requests_are_told_at_once(plugin: Any) -> None:
    with pytest.raises(TamingplatError, match="makes no promise 'plans-are-on-cpu'; did you mean plans-are-on-the-cpu"):
        conformance("ordering:growls", known={"plans-are-on-cpu": "so"})
    with pytest.raises(ValueError, match="unknown kind 'orderings'"):
        conformance("orderings:growls")
    with pytest.raises(TamingplatError, match=r"there is no ordering:growl; did you mean growls\?"):
        run_promises("ordering:growl", plugin=plugin)


def test_promises_have_names_and_statements_of_one_sentence() -> None:
    for kind, known in KINDS.items():
        assert len(known.promises) >= 10, kind
        for promise in known.promises:
            assert promise.statement.endswith("."), promise.name
