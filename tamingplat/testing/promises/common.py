"""What every component promises, whatever its kind: how it is listed, what its settings are, and that it is reproducible."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from pydantic import ValidationError

from tamingplat.interfaces import Config
from tamingplat.registry import InstalledPlugin, installed_plugins
from tamingplat.registry.fields import describe_fields
from tamingplat.registry.probe import Probed, probe
from tamingplat.testing.elsewhere import result_elsewhere
from tamingplat.testing.isolation import plugin_of
from tamingplat.testing.promises.kinds import check_same
from tamingplat.testing.subject import Subject
from tamingplat.testing.verdicts import NotApplicable

_SLOW = 2.0


@functools.cache
def _installed() -> tuple[InstalledPlugin, ...]:
    return installed_plugins()


@functools.cache
def _listings(targets: tuple[str, ...]) -> Mapping[str, Probed]:
    return probe(targets)


def _listing(subject: Subject) -> Probed:
    """How the component's plugin is listed; those of one distribution are looked at in one process."""
    if subject.request.plugin is not None:
        plugin = plugin_of(subject.request.plugin)
        if isinstance(subject.request.plugin, ModuleType) and subject.request.plugin.__spec__ is None:
            raise NotApplicable("its plugin is an object in memory, which no other process can list")
        return _listings((plugin.target,))[plugin.target]
    entry = subject.registered
    plugins = [one for one in _installed() if one.distribution == entry.distribution]
    target = next(one.target for one in plugins if one.name == entry.plugin)
    return _listings(tuple(one.target for one in plugins))[target]


def listing_imports_no_torch(subject: Subject) -> None:
    """Listing the plugin imports neither torch nor another heavy package, and takes less than two seconds."""
    listed = _listing(subject)
    assert not listed.error, f"listing {listed.target} failed: {listed.error}"
    assert not listed.heavy, (
        f"listing imports {', '.join(listed.heavy)}. Look at what {listed.target} and its settings import; what needs "
        "them belongs into the module that factory names"
    )
    assert listed.seconds < _SLOW, (
        f"listing takes {listed.seconds:.1f} seconds. Look at what {listed.target} does when imported"
    )


def listing_prints_nothing(subject: Subject) -> None:
    """Listing the plugin writes nothing to standard output, which belongs to the command that is running."""
    listed = _listing(subject)
    assert not listed.error, f"listing {listed.target} failed: {listed.error}"
    assert not listed.printed, f"listing writes {listed.printed!r}. Look for print in {listed.target} and what it imports"


def settings_are_described(subject: Subject) -> None:
    """Every setting has a description, those inside other settings too."""
    fields = describe_fields(subject.component.config)
    bare = [field["name"] for field in fields if not field["description"].strip()]
    assert not bare, f"no description: {', '.join(bare)}. Look at Field(description=…) in {subject.component.config.__name__}"


def settings_survive_json_and_toml(subject: Subject) -> None:
    """Settings written as JSON or as TOML and read again are the same settings."""
    config, cls = subject.config, subject.component.config
    dumped = config.model_dump(mode="json")
    assert cls.model_validate(json.loads(json.dumps(dumped))) == config, (
        f"JSON: {json.dumps(dumped)} reads as other settings than {config!r}. Look at validators that change what they get"
    )
    text = "".join(f"{key} = {toml(value)}\n" for key, value in dumped.items() if value is not None)
    # TOML has no null: a manifest that switches a field off writes "none".
    absent = {key: None for key, value in dumped.items() if value is None}
    assert cls.model_validate(tomllib.loads(text) | absent) == config, (
        f"TOML: {text!r} reads as other settings than {config!r}. Look at types that TOML does not have, such as tuples as keys"
    )


def unknown_settings_are_refused(subject: Subject) -> None:
    """A setting that does not exist is an error, and settings cannot be changed once made."""
    cls = subject.component.config
    assert issubclass(cls, Config)
    try:
        cls.model_validate(subject.config.model_dump(mode="json") | {"no_such_setting": 1})
    except ValidationError:
        pass
    else:
        raise AssertionError("a setting no_such_setting was taken. Look at model_config, and at validators of mode 'before'")
    assert cls.model_config.get("frozen"), "settings can be changed. Look at model_config"


def can_be_built(subject: Subject) -> None:
    """It is built from its settings and parts, as an implementation of its kind's interface, on any number of occasions."""
    subject.check_size()
    first, second = subject.make(), subject.make()
    assert first is not second, "building it twice gives one object. Look for what the class remembers"


def same_seed_same_result(subject: Subject) -> None:
    """Two objects built with the same settings and seed give the same result, bit by bit, however often they are asked."""
    first = subject.result(subject.built)
    check_same(
        subject.result(_in_eval_mode(subject.make())), first, "another object gives another result", "for state outside it"
    )
    check_same(subject.result(subject.built), first, "asked again it gives another result", "for what a call changes")


def nothing_hidden_is_random(subject: Subject) -> None:
    """Results do not depend on torch's global random state, and leave it as it was."""
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        results.append(subject.result(subject.built))
        assert torch.equal(torch.get_rng_state(), before), (
            "torch's random state was used. Look for randomness without a generator; gumbel_noise and derive_seed give it"
        )
    check_same(results[1], results[0], "with another global seed the result is another", "for randomness without a generator")


def same_in_a_sub_process(subject: Subject) -> None:
    """Another process that builds it from the same settings and seed gets the same result, bit by bit."""
    expected = subject.result(subject.built)
    check_same(
        result_elsewhere(subject), expected, "a process of its own gets another result", "for hash order and global state"
    )


def _in_eval_mode(built: Any) -> Any:
    return built.eval() if isinstance(built, torch.nn.Module) else built


def toml(value: Any) -> str:
    """A value, as JSON knows it, in TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items() if one is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)


LISTED = (
    listing_imports_no_torch,
    listing_prints_nothing,
    settings_are_described,
    settings_survive_json_and_toml,
    unknown_settings_are_refused,
    can_be_built,
)
"""What is promised of every kind."""

REPRODUCIBLE = (same_seed_same_result, nothing_hidden_is_random, same_in_a_sub_process)
"""What is promised of every kind that computes a result from settings and inputs alone."""
