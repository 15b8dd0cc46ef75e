"""Each way in which a plugin can be wrong is its own fault, told with a remedy, and stops no other plugin."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tamingplat.interfaces import Component, Config, NoConfig, Ref, Selection, TamingplatError, UnavailableError, hookimpl
from tamingplat.registry import BrokenPlugin, InstalledPlugin, Registry, load_registry


def _component(name: str = "plain", **changes: Any) -> Component:
    values: dict[str, Any] = {
        "kind": "ordering",
        "name": name,
        "factory": "nowhere:Nothing",
        "summary": f"The ordering {name}",
    }
    return Component(**(values | changes))


def _module(hook: Callable[[], Any], name: str = "tamingplat_components") -> types.ModuleType:
    module = types.ModuleType("in_memory")
    hook.__name__ = name
    setattr(module, name, hookimpl(hook))
    return module


def _plugin(name: str, load: Callable[[], object], target: str = "in_memory.plugin") -> InstalledPlugin:
    return InstalledPlugin(name, f"{name}-dist", "1.2", target, load)


def _offering(name: str, *components: Component) -> InstalledPlugin:
    return _plugin(name, lambda: _module(lambda: list(components)))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Registry]:
    packaged = tmp_path / "packaged.toml"
    packaged.write_text("schema = 1\n")

    def run(*plugins: InstalledPlugin) -> Registry:
        return load_registry(plugins=plugins, packaged=packaged, directory=tmp_path, environ={})

    return run


def _raising(error: BaseException) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


def _missing_package() -> object:
    import a_package_that_nobody_has  # noqa: F401

    return None


def _unmarked() -> types.ModuleType:
    module = types.ModuleType("in_memory")
    module.tamingplat_components = lambda: [_component()]
    return module


def _half_way() -> Any:
    yield _component("first")
    raise RuntimeError("the second never came")


class _OddReference(Config):
    network: Annotated[Selection, Ref("perceptul")] = Field("st-alex", description="A network.")


FAULTS: dict[str, tuple[Callable[[], object], list[str]]] = {
    "exception-at-import": (
        _raising(ZeroDivisionError("at the top of the module")),
        ["importing in_memory.plugin failed: ZeroDivisionError: at the top of the module", "test_registry_loading.py:"],
    ),
    "exit-at-import": (_raising(SystemExit("bye")), ["SystemExit: bye"]),
    "missing-package": (_missing_package, ["it imports a_package_that_nobody_has", "pip install a_package_that_nobody_has"]),
    "own-module-missing": (
        _raising(ModuleNotFoundError("No module named 'in_memory.plugin'", name="in_memory.plugin")),
        ["its own module is missing", "install faulty-dist again"],
    ),
    "none": (lambda: None, ["is None, not a module"]),
    "no-hook": (lambda: types.ModuleType("in_memory"), ["it implements no hook", "hookimpl"]),
    "unmarked-hook": (_unmarked, ["it implements no hook", "decorate its tamingplat_components"]),
    "unknown-hook": (
        lambda: _module(lambda: [_component()], "tamingplat_component"),
        ["unknown hook 'tamingplat_component'", "did you mean tamingplat_components?"],
    ),
    "unknown-argument": (
        lambda: _module(lambda colour: []),  # type: ignore[arg-type, misc]
        ["colour"],
    ),
    "returns-none": (lambda: _module(lambda: None), ["returned None, not a list of Component"]),
    "returns-number": (lambda: _module(lambda: 3), ["returned an object of type int, not a list"]),
    "returns-one": (lambda: _module(lambda: _component()), ["returned an object of type Component, not a list"]),
    "returns-names": (lambda: _module(lambda: ["raster"]), ["an object of type str among the components"]),
    "returns-text": (lambda: _module(lambda: "raster"), ["an object of type str among the components"]),
    "hook-fails": (lambda: _module(_raising(KeyError("lost"))), ["its hook tamingplat_components failed: KeyError: 'lost'"]),
    "hook-exits": (lambda: _module(_raising(SystemExit(3))), ["SystemExit: 3"]),
    "fails-half-way": (lambda: _module(_half_way), ["RuntimeError: the second never came"]),
    "factory-malformed": (lambda: _module(lambda: [_component(factory="no colon")]), ["factory must read 'module:object'"]),
    "name-malformed": (lambda: _module(lambda: [_component("Not_A_Name")]), ["component ordering:Not_A_Name: a name is"]),
    "later-interface": (
        lambda: _module(lambda: [_component(interface=2)]),
        ["ordering:plain is written for version 2 of the interfaces", "has version 1", "upgrade tamingplat"],
    ),
    "earlier-interface": (lambda: _module(lambda: [_component(interface=0)]), ["version 0", "upgrade the plugin"]),
    "interface-text": (
        lambda: _module(lambda: [_component(interface="1")]),
        ["states interface = '1', which is neither a version"],
    ),
    "training-table": (lambda: _module(lambda: [_component(training={"steps": 1})]), ["training is an object of type dict"]),
    "odd-reference": (
        lambda: _module(lambda: [_component(config=_OddReference)]),
        ["network refers to the unknown kind 'perceptul'"],
    ),
    "twice-the-same": (lambda: _module(lambda: [_component(), _component()]), ["it offers ordering:plain more than once"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_and_stops_no_other(fault: str, load: Callable[..., Registry]) -> None:
    loading, fragments = FAULTS[fault]
    registry = load(
        _offering("before", _component("earlier")),
        _plugin("faulty", loading),
        _offering("later", _component("later")),
    )
    assert [name for _, name in registry.components] == ["earlier", "later"]
    (broken,) = registry.broken
    assert (broken.plugin, broken.distribution, broken.version) == ("faulty", "faulty-dist", "1.2")
    assert broken.reason and broken.remedy
    for fragment in fragments:
        assert fragment in broken.error
    assert "[plugin.faulty] in registry.toml" in broken.error
    assert "\n" not in broken.error
    row = registry.rows()[-1]
    assert (row["kind"], row["name"], row["error"]) == ("plugin", "faulty", broken.error)


def test_an_interruption_is_no_fault(load: Callable[..., Registry]) -> None:
    with pytest.raises(KeyboardInterrupt):
        load(_plugin("faulty", _raising(KeyboardInterrupt())))


def test_a_wrapper_runs_around_no_other_plugin(load: Callable[..., Registry]) -> None:
    module = types.ModuleType("greedy")

    def tamingplat_components() -> Any:
        yield
        return []

    module.tamingplat_components = hookimpl(wrapper=True)(tamingplat_components)
    registry = load(_plugin("greedy", lambda: module), _offering("victim", _component("kept")))
    assert ("ordering", "kept") in registry.components


def test_what_a_plugin_prints_stays_out_of_standard_output(
    load: Callable[..., Registry], capsys: pytest.CaptureFixture[str]
) -> None:
    def talk() -> object:
        print("hello from the plugin")
        return _module(lambda: [_component()])

    load(_plugin("talker", talk))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello from the plugin" in captured.err


def test_one_name_for_two_entry_points_breaks_both_and_nothing_else(load: Callable[..., Registry]) -> None:
    first = InstalledPlugin("same", "one", "1", "one.plugin", lambda: _module(lambda: [_component("one")]))
    second = InstalledPlugin("same", "two", "2", "two.plugin", lambda: _module(lambda: [_component("two")]))
    registry = load(first, second, _offering("other", _component("other")))
    assert [name for _, name in registry.components] == ["other"]
    assert {broken.distribution for broken in registry.broken} == {"one", "two"}
    for broken in registry.broken:
        assert "one 1 (one.plugin) and two 2 (two.plugin)" in broken.reason
        assert "uninstall all but one" in broken.remedy


def test_a_broken_plugin_reads_as_one_sentence() -> None:
    broken = BrokenPlugin("p", "d", "1", "it is wrong", "mend it")
    assert str(broken) == "plugin p (d 1): it is wrong; mend it"


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registry_factories.py").write_text(
        "from tamingplat.interfaces.models import Ordering, VisitPlan\n"
        "from tamingplat.interfaces import Executor\n"
        "class Complete(Ordering):\n"
        "    def plan(self, space, batch, *, generator=None):\n"
        "        return VisitPlan.repeat(__import__('torch').arange(space.length), batch)\n"
        "class Partial(Ordering):\n"
        "    pass\n"
        "class Runner(Executor):\n"
        "    def run(self, tasks, *, started):\n"
        "        return iter(())\n"
        "number = 3\n"
    )
    (tmp_path / "registry_factory_needs.py").write_text("import a_package_that_nobody_has\n")
    (tmp_path / "registry_factory_fails.py").write_text("raise OSError('no driver')\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        ("registry_factories:Partial", TamingplatError, "does not implement plan of Ordering"),
        ("registry_factories:Runner", TamingplatError, "is not a subclass of tamingplat's Ordering"),
        ("registry_factories:number", TamingplatError, "is not a subclass of tamingplat's Ordering"),
        ("registry_factories:Nothing", TamingplatError, "the module registry_factories has no Nothing"),
        ("registry_nowhere:Thing", TamingplatError, "importing registry_nowhere failed: ModuleNotFoundError"),
        ("registry_factory_needs:Thing", UnavailableError, "needs a_package_that_nobody_has, which is not installed"),
        ("registry_factory_fails:Thing", TamingplatError, "failed: OSError: no driver"),
    ],
)
def test_a_class_that_cannot_be_had_is_told_with_plugin_and_component(
    factories: None, load: Callable[..., Registry], factory: str, error: type[Exception], message: str
) -> None:
    registry = load(_offering("mine", _component("odd", factory=factory)))
    with pytest.raises(error) as raised:
        registry.load_class(registry.find("ordering", "odd"))
    assert str(raised.value).startswith("ordering:odd (plugin mine, mine-dist 1.2): ")
    assert message in str(raised.value)


def test_a_class_is_loaded_and_checked(factories: None, load: Callable[..., Registry]) -> None:
    registry = load(_offering("mine", _component("good", factory="registry_factories:Complete")))
    loaded = registry.load_class(registry.find("ordering", "good"))
    assert loaded.__name__ == "Complete"
    assert loaded(NoConfig(), {}).config == NoConfig()
