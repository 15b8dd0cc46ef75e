"""The pytest plugin: a registry of named plugins alone, and nothing heavy for runs that do not use it."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable

import pytest
import tamingplat_orderings.plugin

from tamingplat.interfaces import Component, TamingplatError, hookimpl
from tamingplat.registry import Registry


def _in_memory() -> types.ModuleType:
    module = types.ModuleType("in_memory")

    @hookimpl
    def tamingplat_components() -> list[Component]:
        return [Component(kind="ordering", name="mine", factory="a:B", summary="An ordering")]

    module.tamingplat_components = tamingplat_components  # type: ignore[attr-defined]
    return module


def test_only_the_named_plugins_exist(registry_with: Callable[..., Registry]) -> None:
    assert not registry_with().components
    shipped = {"ancestral", "completion", "rejection", "sliding-window", "wavefront"}
    components = registry_with("tamingplat_samplers", _in_memory()).components
    assert set(components) == {("ordering", "mine"), *(("sampler", name) for name in shipped)}
    by_module = registry_with("tamingplat_orderings.plugin").components
    assert by_module.keys() == registry_with(tamingplat_orderings.plugin).components.keys() and len(by_module) == 10
    assert not registry_with("tamingplat_orderings").policy.aliases


def test_a_plugin_that_is_not_there_is_named(registry_with: Callable[..., Registry]) -> None:
    with pytest.raises(TamingplatError, match="neither an installed plugin nor a module 'tamingplat_sampler'; did you mean"):
        registry_with("tamingplat_sampler")
    (broken,) = registry_with("tamingplat_samplers.config").broken
    assert "implements no hook" in broken.error


def test_loading_it_imports_nothing_heavy() -> None:
    program = (
        "import pytest, sys; before = set(sys.modules); import tamingplat.testing.pytest_plugin, tamingplat.testing\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert not new & {'torch', 'pydantic', 'numpy', 'pluggy', 'rich', 'typer'}, new\n"
        "del sys.modules['pytest']; import tamingplat.testing.kit; assert 'pytest' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
