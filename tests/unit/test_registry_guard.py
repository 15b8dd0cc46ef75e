"""Plugins that hang or print while they are listed: both are named, and neither stops the others."""

from __future__ import annotations

import signal
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.interfaces import Component, hookimpl
from tamingplat.registry import InstalledPlugin, Registry, load_registry
from tamingplat.registry.guard import TookTooLongError, time_limit
from tamingplat.registry.probe import Probed, probe


def _sleep() -> None:
    time.sleep(60)


def _compute() -> None:
    while True:
        sum(range(1000))


def _catch_everything() -> None:
    while True:
        try:
            time.sleep(60)
        except BaseException:
            if time.monotonic() > _catch_everything.until:  # type: ignore[attr-defined]
                raise


def _plugin(name: str, act: Callable[[], Any]) -> InstalledPlugin:
    def load() -> object:
        act()
        module = types.ModuleType(name)

        @hookimpl
        def tamingplat_components() -> list[Component]:
            return [Component(kind="ordering", name=name, factory="a:B", summary="An ordering")]

        module.tamingplat_components = tamingplat_components  # type: ignore[attr-defined]
        return module

    return InstalledPlugin(name, f"{name}-dist", "1", f"{name}.plugin", load)


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Registry]:
    (tmp_path / "packaged.toml").write_text("schema = 1\n")

    def load(*plugins: InstalledPlugin, seconds: float) -> Registry:
        return load_registry(
            plugins=plugins, packaged=tmp_path / "packaged.toml", directory=tmp_path, environ={}, seconds=seconds
        )

    return load


@pytest.mark.parametrize("act", [_sleep, _compute, _catch_everything])
def test_a_plugin_that_hangs_is_named_and_stops_no_other(listed: Callable[..., Registry], act: Callable[[], None]) -> None:
    _catch_everything.until = time.monotonic() + 0.5  # type: ignore[attr-defined]
    began = time.monotonic()
    registry = listed(_plugin("before", int), _plugin("hangs", act), _plugin("later", int), seconds=0.2)
    assert time.monotonic() - began < 10
    assert [name for _, name in registry.components] == ["before", "later"]
    (broken,) = registry.broken
    assert (broken.plugin, broken.about) == ("hangs", "time")
    assert "importing hangs.plugin had not ended after 0.2 seconds (it was at " in broken.error
    assert "test_registry_guard.py:" in broken.error and "enabled = false" in broken.error


def test_what_somebody_else_set_a_timer_for_still_happens() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with time_limit(5):
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.2
        time.sleep(0.3)
        assert rung == [signal.SIGALRM]
        with pytest.raises(TookTooLongError), time_limit(0.05):
            time.sleep(5)
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_plugin_that_prints_is_named_and_works(listed: Callable[..., Registry], capsys: pytest.CaptureFixture[str]) -> None:
    registry = listed(_plugin("talks", lambda: print("hello\nfrom the plugin")), _plugin("quiet", int), seconds=5)
    assert set(registry.components) == {("ordering", "talks"), ("ordering", "quiet")}
    (notice,) = registry.notices
    assert notice.startswith(
        'the plugin talks (talks-dist 1) writes to standard output when it is listed ("hello from the plugin")'
    )
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "hello\nfrom the plugin\n"


MODULE = """
{act}
from tamingplat.interfaces import Component, hookimpl
@hookimpl
def tamingplat_components():
    return [Component(kind="ordering", name="{name}", factory="a:B", summary="An ordering")]
"""
ACTS = {
    "good": "",
    "prints": "import os; os.write(1, b'below python'); print('and above')",
    "raises": "1 / 0",
    "exits": "import os, sys; sys.stderr.write('out of here'); sys.stderr.flush(); os._exit(3)",
    "heavy": "import sys, types; sys.modules['torch'] = types.ModuleType('torch')",
    "hangs": "import time; time.sleep(60)",
}


def test_a_process_of_its_own_tells_what_listing_does(tmp_path: Path) -> None:
    for name, act in ACTS.items():
        (tmp_path / f"probed_{name.replace('-', '_')}.py").write_text(MODULE.format(act=act, name=name))
    targets = {name: f"probed_{name.replace('-', '_')}" for name in ACTS}
    found = probe(list(targets.values()), seconds=0.5, path=[str(tmp_path)])
    seen: dict[str, Probed] = {name: found[target] for name, target in targets.items()}
    assert seen["good"].components == ("ordering:good",) and not seen["good"].error and seen["good"].seconds < 0.5
    assert seen["prints"].printed == "and above below python"
    assert "ZeroDivisionError" in seen["raises"].error and "probed_raises.py:2" in seen["raises"].error
    assert seen["exits"].error == "listing it ended the process with status 3: out of here"
    assert seen["heavy"].heavy == ("torch",)
    assert seen["hangs"].hung and "had not ended after 0.5 seconds" in seen["hangs"].error
    assert all(seen[name].remedy for name in ("raises", "exits", "hangs"))
