"""Finding a component: aliases, presets, blocks, conflicts, and what is said when there is none."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import Field

from tamingplat.interfaces import Component, Config, Kind, ProblemsError, TamingplatError, hookimpl
from tamingplat.registry import InstalledPlugin, Registry, UnknownComponentError, load_registry


class Settings(Config):
    width: int = Field(8, ge=1, description="Width.")
    depth: int = Field(description="Depth.")


def _plugin(name: str, *components: str, load: Callable[[], object] | None = None) -> InstalledPlugin:
    module = types.ModuleType(name)

    def tamingplat_components() -> list[Component]:
        made = []
        for reference in components:
            kind, _, of_name = reference.partition(":")
            typed: Kind = kind  # type: ignore[assignment]
            made.append(Component(kind=typed, name=of_name, factory="a:B", summary=f"From {name}", config=Settings))
        return made

    module.tamingplat_components = hookimpl(tamingplat_components)
    return InstalledPlugin(name, f"{name}-dist", "1.0", f"{name}.plugin", load or (lambda: module))


def _fail() -> object:
    raise RuntimeError("no luck")


Load = Callable[..., Registry]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def run(text: str = "", plugins: Sequence[InstalledPlugin] = (), environ: Mapping[str, str] | None = None) -> Registry:
        packaged = tmp_path / "packaged.toml"
        packaged.write_text(f"schema = 1\n{text}")
        return load_registry(plugins=plugins, packaged=packaged, directory=tmp_path, environ=environ or {})

    return run


def _refusal(registry: Registry, kind: str, name: str) -> str:
    with pytest.raises(UnknownComponentError) as raised:
        registry.find(kind, name)
    return str(raised.value)


def test_a_component_is_found_with_its_plugin(load: Load) -> None:
    registry = load(plugins=[_plugin("one", "prior:a", "ordering:a")])
    assert registry.find("prior", "a").reference == "prior:a"
    entry = registry.registered("prior", "a")
    assert (entry.plugin, entry.distribution, entry.version, entry.enabled, entry.status) == (
        "one",
        "one-dist",
        "1.0",
        True,
        "experimental",
    )


def test_the_catalogue_is_frozen(load: Load) -> None:
    registry = load(plugins=[_plugin("one", "prior:a")])
    with pytest.raises(dataclasses.FrozenInstanceError):
        registry.broken = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        del registry.components["prior", "a"]  # type: ignore[attr-defined]


def test_aliases_lead_over_aliases_to_a_component(load: Load) -> None:
    text = '[alias]\n"prior:x" = "prior:y"\n"prior:y" = "prior:a"\n'
    registry = load(text, [_plugin("one", "prior:a", "ordering:x")])
    assert registry.find("prior", "x").name == registry.find("prior", "y").name == "a"
    assert registry.canonical("prior", "x") == "a"
    assert registry.canonical("ordering", "x") == "x"
    assert registry.canonical("prior", "unheard-of") == "unheard-of"
    assert registry.describe(registry.find("prior", "a"))["aliases"] == ["x", "y"]


def test_an_installed_component_comes_before_an_alias(load: Load, tmp_path: Path) -> None:
    registry = load('[alias]\n"prior:a" = "prior:b"\n', [_plugin("one", "prior:a", "prior:b")])
    assert registry.find("prior", "a").name == "a"
    assert registry.notices == (
        f'{tmp_path / "packaged.toml"}:3: alias."prior:a": not used, because one offers a component of that name',
    )


def test_a_file_that_speaks_of_a_component_that_nobody_offers_is_noted(load: Load, tmp_path: Path) -> None:
    text = (
        '[alias]\n"prior:x" = "prior:gtp"\n"prior:y" = "prior:x"\n'
        '[preset."prior:x".small]\nconfig = {}\n[preset."prior:gptt".small]\nconfig = {}\n'
        '[conflict]\n"ordering:zzz" = "one"\n'
    )
    registry = load(text, [_plugin("one", "prior:gpt")])
    where = tmp_path / "packaged.toml"
    assert registry.notices == (
        f'{where}:3: alias."prior:x": no plugin that is known offers prior:gtp; did you mean gpt?',
        f'{where}:7: preset."prior:gptt".small: no plugin that is known offers prior:gptt; did you mean gpt?',
        f'{where}:10: conflict."ordering:zzz": no plugin that is known offers ordering:zzz',
    )
    assert load(f'{KNOWN}[alias]\n"prior:x" = "prior:a"\n').notices == ()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("prior", "pixelsnale", "there is no prior:pixelsnale; did you mean pixelsnail?"),
        ("prior", "Pixel_Snail", "there is no prior:Pixel_Snail; did you mean pixelsnail?"),
        ("prior", "snail", "there is no prior:snail; did you mean pixelsnail?"),
        ("prior", "raster", "there is no prior:raster; did you mean the ordering of that name?"),
        ("prior", "zzz", "there is no prior:zzz; there are gpt, pixelsnail"),
        ("sampler", "zzz", "there is no sampler:zzz; no sampler is installed"),
        ("ordering", "row-majr", "there is no ordering:row-majr; did you mean row-major?"),
        ("priors", "gpt", "unknown kind 'priors'; did you mean prior?"),
        ("zzz", "gpt", "unknown kind 'zzz'; the kinds are dataset, tokenizer,"),
    ],
)
def test_a_wrong_name_is_told_what_was_meant(load: Load, kind: str, name: str, message: str) -> None:
    text = '[alias]\n"ordering:row-major" = "ordering:raster"\n'
    registry = load(text, [_plugin("one", "prior:gpt", "prior:pixelsnail", "ordering:raster")])
    assert _refusal(registry, kind, name).startswith(message)


def test_an_alias_of_nothing_names_the_alias_and_its_place(load: Load, tmp_path: Path) -> None:
    registry = load('[alias]\n"prior:x" = "prior:gtp"\n', [_plugin("one", "prior:gpt")])
    assert _refusal(registry, "prior", "x") == (
        f"there is no prior:x, an alias of prior:gtp ({tmp_path / 'packaged.toml'}:3); did you mean gpt?"
    )


KNOWN = """\
[plugin.one]
distribution = "a-distribution-that-nobody-has"
provides = ["prior:a"]
"""


def test_what_is_known_and_not_installed_comes_with_its_install_command(load: Load) -> None:
    registry = load(KNOWN)
    (known,) = registry.known
    assert (known.plugin, known.distribution, known.provides) == ("one", "a-distribution-that-nobody-has", (("prior", "a"),))
    assert _refusal(registry, "prior", "a") == (
        "prior:a is offered by the plugin one, which is not installed; install it: pip install a-distribution-that-nobody-has"
    )
    assert _refusal(registry, "prior", "aa") == "there is no prior:aa; did you mean a?"
    assert registry.rows() == []


def test_an_installed_distribution_without_the_entry_point_has_to_be_installed_again(load: Load) -> None:
    registry = load(KNOWN.replace("a-distribution-that-nobody-has", "pluggy"))
    message = _refusal(registry, "prior", "a")
    assert "is installed without the entry point one, and new entry points appear when" in message
    assert message.endswith("pip install --upgrade --force-reinstall pluggy")


def test_a_blocked_plugin_is_not_imported_and_its_components_say_who_blocks_it(load: Load, tmp_path: Path) -> None:
    text = '[plugin.one]\nprovides = ["prior:a"]\nstatus = "stable"\nenabled = false\n'
    registry = load(text, [_plugin("one", load=_fail), _plugin("two", "prior:b")])
    assert registry.broken == ()
    assert _refusal(registry, "prior", "a") == (
        f"prior:a is offered by the plugin one, which {tmp_path / 'packaged.toml'} blocks; remove its `enabled = false` there"
    )
    assert [(row["kind"], row["name"], row["enabled"], row["status"]) for row in registry.rows()] == [
        ("prior", "b", True, "experimental"),
        ("prior", "a", False, "stable"),
    ]


def test_a_blocked_plugin_of_unknown_content_may_be_the_one(load: Load) -> None:
    registry = load("[plugin.one]\nenabled = false\n", [_plugin("one", "prior:a")])
    assert "it might be offered by one, which cannot be used" in _refusal(registry, "prior", "a")
    (row,) = registry.rows()
    assert (row["kind"], row["name"], row["enabled"]) == ("plugin", "one", False)


def test_a_block_applies_to_what_will_be_installed(load: Load, tmp_path: Path) -> None:
    registry = load(f"{KNOWN}enabled = false\n")
    assert _refusal(registry, "prior", "a").endswith(
        f"that-nobody-has, and remove its `enabled = false` from {tmp_path / 'packaged.toml'}"
    )


def test_a_component_of_a_broken_plugin_says_why_it_is_broken(load: Load) -> None:
    registry = load(KNOWN, [_plugin("one", load=_fail)])
    message = _refusal(registry, "prior", "a")
    assert message.startswith("prior:a is offered by the plugin one, which cannot be loaded: importing one.plugin failed: ")
    assert "RuntimeError: no luck" in message
    assert [row["name"] for row in registry.rows("prior")] == ["one"]
    assert registry.rows("ordering") == []


def test_two_plugins_with_one_name_are_an_error_until_one_is_chosen(load: Load) -> None:
    plugins = [_plugin("one", "prior:a", "prior:b"), _plugin("two", "prior:a")]
    registry = load(plugins=plugins)
    assert list(registry.components) == [("prior", "b")]
    message = _refusal(registry, "prior", "a")
    assert "the plugins one (one-dist 1.0) and two (two-dist 1.0) both offer it" in message
    assert '[conflict] "prior:a" = "one"' in message
    refused = [row for row in registry.rows() if row["error"]]
    assert [(row["name"], row["distribution"], row["enabled"]) for row in refused] == [
        ("a", "one-dist", False),
        ("a", "two-dist", False),
    ]
    chosen = load('[conflict]\n"prior:a" = "two"\n', plugins)
    assert chosen.find("prior", "a").summary == "From two"
    assert [(row["distribution"], row["enabled"], row["error"]) for row in chosen.rows() if row["name"] == "a"] == [
        ("one-dist", False, ""),
        ("two-dist", True, ""),
    ]


def test_blocking_one_of_two_settles_it_too(load: Load) -> None:
    registry = load("[plugin.one]\nenabled = false\n", [_plugin("one", "prior:a"), _plugin("two", "prior:a")])
    assert registry.find("prior", "a").summary == "From two"


def test_a_choice_is_never_silently_replaced_by_another_plugin(load: Load) -> None:
    text = KNOWN + '[conflict]\n"prior:a" = "one"\n'
    registry = load(text, [_plugin("two", "prior:a")])
    message = _refusal(registry, "prior", "a")
    assert "chooses the plugin one, which is not usable here or does not offer it" in message
    assert "it is offered by two (two-dist 1.0)" in message


PRESETS = """\
[alias]
"prior:x" = "prior:a"
[preset."prior:a".small]
config = { width = 2 }
[preset."prior:x".large]
config = { width = 64, depth = 12 }
description = "The large one."
[preset."prior:a".wrong]
config = { widht = 2, depth = "deep" }
"""


def test_a_preset_is_settings_under_a_name(load: Load) -> None:
    registry = load(PRESETS, [_plugin("one", "prior:a")])
    assert registry.preset("prior", "a", "small") == {"width": 2}
    assert registry.preset("prior", "x", "small") == {"width": 2}
    assert registry.preset("prior", "a", "large") == {"width": 64, "depth": 12}


def test_a_preset_that_is_taken_can_be_changed_without_changing_the_catalogue(load: Load) -> None:
    registry = load(PRESETS, [_plugin("one", "prior:a")])
    registry.preset("prior", "a", "small")["width"] = 99
    assert registry.preset("prior", "a", "small") == {"width": 2}


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("smal", "prior:a has no preset 'smal'; did you mean small?"),
        ("zzz", "prior:a has no preset 'zzz'; there are small, wrong, large"),
    ],
)
def test_a_wrong_preset_is_told_what_was_meant(load: Load, preset: str, message: str) -> None:
    registry = load(PRESETS, [_plugin("one", "prior:a", "prior:b")])
    with pytest.raises(TamingplatError) as raised:
        registry.preset("prior", "a", preset)
    assert str(raised.value) == message
    with pytest.raises(TamingplatError, match="prior:b has no preset 'small'; it has none"):
        registry.preset("prior", "b", "small")


def test_a_preset_that_does_not_fit_says_all_that_is_wrong_and_where(load: Load, tmp_path: Path) -> None:
    registry = load(PRESETS, [_plugin("one", "prior:a")])
    with pytest.raises(ProblemsError) as raised:
        registry.preset("prior", "a", "wrong")
    where = f'{tmp_path / "packaged.toml"}:9: preset."prior:a".wrong.config'
    messages = sorted(str(raised.value).splitlines())
    assert messages[0].startswith(f"{where}.depth: Input should be a valid integer")
    assert messages[1] == f"{where}.widht: unknown field of prior:a; did you mean width?"
    assert registry.describe(registry.find("prior", "a"))["problems"] == str(raised.value).splitlines()
