"""registry.toml: what it may hold, what is said of mistakes, and which file wins."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tamingplat.interfaces import Component, Config, ProblemsError, hookimpl
from tamingplat.registry import InstalledPlugin, Registry, load_registry


def _plugin(name: str, *names: str, distribution: str = "dist") -> InstalledPlugin:
    module = types.ModuleType(name)

    def tamingplat_components() -> list[Component]:
        return [Component(kind="ordering", name=of, factory="a:B", summary="An ordering", config=Config) for of in names]

    module.tamingplat_components = hookimpl(tamingplat_components)
    return InstalledPlugin(name, distribution, "1", f"{name}.plugin", lambda: module)


Load = Callable[..., Registry]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads in-memory plugins under up to three files: packaged, the directory's and the environment's."""

    def run(*texts: str, plugins: Sequence[InstalledPlugin] = ()) -> Registry:
        paths = [tmp_path / "packaged.toml", tmp_path / "work" / "registry.toml", tmp_path / "named.toml"]
        (tmp_path / "work").mkdir(exist_ok=True)
        for path, text in zip(paths, texts, strict=False):
            path.write_text(text)
        environ = {"TAMINGPLAT_REGISTRY": str(paths[2])} if len(texts) > 2 else {}
        return load_registry(plugins=plugins, packaged=paths[0], directory=tmp_path / "work", environ=environ)

    return run


def _errors(load: Load, *texts: str, plugins: Sequence[InstalledPlugin] = ()) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        load(*texts, plugins=plugins)
    return str(raised.value).splitlines()


WRONG = """\
schema = 1
aliases = 3

[plugin.one]
distribution = "one"
provide = ["ordering:raster"]
provides = ["ordering", "odering:raster", "ordering:Raster"]
status = "stabel"
enabled = "no"

[alias]
"ordering:a" = "prior:b"
row = "ordering:raster"

[preset."prior:gpt".small]
configs = { layers = 3 }

[conflict]
"prior:gpt" = 3
"""


def test_everything_that_is_wrong_is_told_at_once_with_its_line(load: Load, tmp_path: Path) -> None:
    errors = _errors(load, "schema = 1\n", WRONG, "schema = 2\n")
    work, named = tmp_path / "work" / "registry.toml", tmp_path / "named.toml"
    expected = [
        f"{work}:2: aliases: unknown field; did you mean alias?",
        f"{work}:6: plugin.one.provide: unknown field; did you mean provides?",
        f"{work}:7: plugin.one.provides[0]: a component is written kind:name, such as tokenizer:vqgan, not 'ordering'",
        f"{work}:7: plugin.one.provides[1]: unknown kind 'odering'; did you mean ordering?",
        f"{work}:7: plugin.one.provides[2]: 'Raster' is not the name of a component",
        f"{work}:8: plugin.one.status: unknown status 'stabel'; did you mean stable?",
        f"{work}:9: plugin.one.enabled: input should be a valid boolean, not 'no'",
        f"{work}:13: alias.row: a component is written kind:name",
        f'{work}:15: preset."prior:gpt".small.config: is missing',
        f'{work}:16: preset."prior:gpt".small.configs: unknown field; did you mean config?',
        f'{work}:19: conflict."prior:gpt": input should be a valid string, not 3',
        f"{named}:1: schema: unknown version 2; this tamingplat reads schema = 1; upgrade tamingplat",
    ]
    for start in expected:
        assert any(error.startswith(start) for error in errors), start
    assert len(errors) == len(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[alias]\n", ":1: schema: is missing; write schema = 1 at the top"),
        ("schema = 1\n[alias]\nx = = 1\n", ":3: not valid TOML: Invalid value; correct the syntax"),
        ("schema = 1\nx = [\n", "not valid TOML"),
        ("schema = 1\nplugin = 3\n", ":2: plugin: must be a table, not 3; write it as a table of fields"),
        ("schema = 1\n[plugin]\none = 3\n", ":3: plugin.one: must be a table, not 3"),
        ('schema = 1\n[alias]\n"ordering:a" = "prior:b"\n', ':3: alias."ordering:a": prior:b is of another kind'),
        (
            'schema = 1\n[alias]\n"ordering:a" = "ordering:b"\n"ordering:b" = "ordering:a"\n',
            "the aliases go round in a circle: ordering:a → ordering:b → ordering:a",
        ),
    ],
)
def test_a_wrong_file_says_where_and_what_to_do(load: Load, tmp_path: Path, text: str, message: str) -> None:
    errors = _errors(load, text)
    assert all(error.startswith(str(tmp_path / "packaged.toml")) for error in errors)
    assert message in errors[0]


def test_a_file_that_cannot_be_read_is_named(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=r"nowhere\.toml: cannot be read: No such file"):
        load_registry(plugins=[], directory=tmp_path, environ={"TAMINGPLAT_REGISTRY": str(tmp_path / "nowhere.toml")})
    (tmp_path / "latin.toml").write_bytes(b"schema = 1 # caf\xe9\n")
    with pytest.raises(ProblemsError, match=r"latin\.toml: is not UTF-8 text: .* at byte 16"):
        load_registry(plugins=[], directory=tmp_path, environ={"TAMINGPLAT_REGISTRY": str(tmp_path / "latin.toml")})


def test_later_files_override_single_fields(load: Load) -> None:
    packaged = 'schema = 1\n[plugin.one]\ndistribution = "dist"\nprovides = ["ordering:a"]\nstatus = "stable"\n'
    blocking = "schema = 1\n[plugin.one]\nenabled = false\n"
    unblocking = 'schema = 1\n[plugin.one]\nenabled = true\nstatus = "deprecated"\n'
    plugins = [_plugin("one", "a")]
    assert load(packaged, plugins=plugins).components["ordering", "a"].status == "stable"
    assert load(packaged, blocking, plugins=plugins).components == {}
    assert load(packaged, blocking, unblocking, plugins=plugins).components["ordering", "a"].status == "deprecated"


def test_the_environment_wins_over_the_directory_and_that_over_the_package(load: Load) -> None:
    def text(target: str) -> str:
        return (
            f'schema = 1\n[alias]\n"ordering:x" = "ordering:{target}"\n[preset."ordering:a".p]\nconfig = {{ n = "{target}" }}\n'
        )

    plugins = [_plugin("one", "a", "b", "c")]
    for count, target in enumerate("abc", start=1):
        registry = load(*map(text, "abc"[:count]), plugins=plugins)
        assert registry.canonical("ordering", "x") == target
        assert registry.presets("ordering", "a")["p"].config == {"n": target}


def test_one_file_is_applied_once_whatever_names_it(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text('schema = 1\n[alias]\n"ordering:x" = "prior:y"\n')
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    with pytest.raises(ProblemsError) as raised:
        load_registry(plugins=[], packaged=file, directory=tmp_path, environ={"TAMINGPLAT_REGISTRY": str(link)})
    assert len(raised.value.problems) == 1


def test_an_empty_variable_names_no_file(tmp_path: Path) -> None:
    assert load_registry(plugins=[], directory=tmp_path, environ={"TAMINGPLAT_REGISTRY": ""}).components == {}


def test_a_plugin_that_nobody_knows_is_most_likely_misspelt(load: Load, tmp_path: Path) -> None:
    text = 'schema = 1\n[plugin.tamingplat_on]\nenabled = false\n[conflict]\n"ordering:a" = "tamingplat_ome"\n'
    errors = _errors(load, text, plugins=[_plugin("tamingplat_one", "a")])
    packaged = tmp_path / "packaged.toml"
    assert errors == [
        f"{packaged}:2: plugin.tamingplat_on: no plugin tamingplat_on is installed and no distribution of it is known; "
        "did you mean tamingplat_one?",
        f'{packaged}:5: conflict."ordering:a": there is no plugin tamingplat_ome; did you mean tamingplat_one?',
    ]


def test_a_status_is_of_the_distribution_that_it_was_said_of(load: Load) -> None:
    text = 'schema = 1\n[plugin.one]\ndistribution = "Some.Dist"\nstatus = "stable"\n'
    registry = load(text, plugins=[_plugin("one", "a", distribution="some-dist")])
    assert registry.components["ordering", "a"].status == "stable"
    assert registry.notices == ()
    registry = load(text, plugins=[_plugin("one", "a", distribution="another")])
    assert registry.components["ordering", "a"].status == "experimental"
    assert registry.notices == (
        "the plugin one comes from another 1, and not from Some.Dist, of which the registry files speak",
    )
