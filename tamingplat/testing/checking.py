"""Examining plugins in processes of their own, so that one that hangs, crashes or prints harms nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import IO, Any

from tamingplat.interfaces import TamingplatError
from tamingplat.registry import InstalledPlugin, installed_plugins, load_registry
from tamingplat.registry.discovery import same_distribution
from tamingplat.registry.probe import Probed, probe, search_path
from tamingplat.registry.probe_process import load_object
from tamingplat.testing.packaging import Distribution, packaging_verdicts
from tamingplat.testing.request import Request
from tamingplat.testing.verdicts import Verdict

LISTING_SECONDS = 20.0
PROMISE_SECONDS = 120.0
_SLOW = 2.0
_START = 60.0
_OF_THE_PLUGIN = ("listing-imports-no-torch", "listing-prints-nothing")


def check_distribution(
    distribution: Distribution,
    *,
    component: str | None = None,
    settings: Mapping[str, Any] | None = None,
    listing_seconds: float = LISTING_SECONDS,
    promise_seconds: float = PROMISE_SECONDS,
) -> Iterator[Verdict]:
    """Examine a distribution, its plugins and their components; each verdict comes as soon as it is there.

    Args:
        distribution: What to examine.
        component: One component alone, ``kind:name``, without the distribution's metadata.
        settings: That component's settings.
        listing_seconds: How long listing a plugin may take.
        promise_seconds: How long each promise of a component may take.

    Raises:
        TamingplatError: Settings are given for a component that there is not, or are none of its settings.
    """
    if component is None:
        yield from packaging_verdicts(distribution)
    listed = probe([one.target for one in distribution.plugins], seconds=listing_seconds, path=distribution.path)
    requests: list[Request] = []
    for plugin in distribution.plugins:
        found = listed[plugin.target]
        yield from _listing_verdicts(plugin, found)
        if component is None and not found.error:
            yield _names_verdict(plugin, found)
        requests += [
            Request(
                reference=reference,
                plugin=replace(plugin, load=partial(load_object, plugin.target)),
                **{**distribution.settings.get(reference, {}), **({"config": settings} if settings else {})},
            )
            for reference in found.components
            if component in (None, reference)
        ]
    yield from _promise_verdicts(requests, distribution.path, promise_seconds)


def _listing_verdicts(plugin: InstalledPlugin, found: Probed) -> Iterator[Verdict]:
    name = f"plugin {plugin.name}"
    if found.error:
        what = {"interface": "the-interface-is-supported", "time": "listing-ends"}.get(found.about, "the-entry-point-resolves")
        yield Verdict(what, "broken", f"{found.error}; {found.remedy}", name)
        return
    yield Verdict("the-entry-point-resolves", "kept", subject=name)
    yield Verdict("the-interface-is-supported", "kept", subject=name)
    heavy = f"it imports {', '.join(found.heavy)}; import them in the module that factory names" if found.heavy else ""
    slow = f"it took {found.seconds:.1f} seconds; look at what its module does when it is imported"
    printed = f"it writes {found.printed!r} to standard output; look for print in what is imported" if found.printed else ""
    for promise, seen in (
        ("listing-imports-no-torch", heavy),
        ("listing-prints-nothing", printed),
        ("listing-is-fast", slow if found.seconds > _SLOW else ""),
    ):
        yield Verdict(promise, "broken", seen, name) if seen else Verdict(promise, "kept", "", name)


def _names_verdict(plugin: InstalledPlugin, found: Probed) -> Verdict:
    """Whether another installed plugin has the plugin's name or offers one of its components."""
    others = [one for one in installed_plugins() if not same_distribution(one.distribution, plugin.distribution)]
    registry = load_registry(plugins=others)
    taken = [
        f"{entry.component.reference} is offered by {entry.plugin} ({entry.distribution} {entry.version})"
        for entry in (*registry.components.values(), *registry.set_aside)
        if entry.component.reference in found.components
    ]
    taken += [f"the name {one.name} is that of a plugin of {one.distribution}" for one in others if one.name == plugin.name]
    if not taken:
        return Verdict("names-are-free", "kept", subject=f"plugin {plugin.name}")
    message = f"{'; '.join(taken)}; take other names, or let users choose under [conflict] in registry.toml"
    return Verdict("names-are-free", "broken", message, f"plugin {plugin.name}")


def _promise_verdicts(requests: Sequence[Request], path: Sequence[str], seconds: float) -> Iterator[Verdict]:
    """The verdicts of components, examined in one process; after one that ends it, the others in another one."""
    left = list(requests)
    while left:
        reference, promise = left[0].reference, "can-be-built"
        ended, reason = False, ""
        with _Process(left, path) as process:
            for told in process.lines(seconds):
                if "wrong" in told:
                    raise TamingplatError(told["wrong"])
                if "begin" in told:
                    reference, promise = told["begin"]
                elif "verdict" in told:
                    yield Verdict(**told["verdict"])
                ended = ended or "end" in told
            reason = process.how_it_ended(seconds)
        if ended:
            return
        yield Verdict(promise, "broken", f"{reason}; what follows was not examined", reference)
        place = next(number for number, request in enumerate(left) if request.reference == reference)
        left = left[place + 1 :]


class _Process:
    """A process that examines components, and what it says."""

    def __init__(self, requests: Sequence[Request], path: Sequence[str]) -> None:
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._hung = False
        asked = base64.b64encode(pickle.dumps((list(requests), _OF_THE_PLUGIN))).decode()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tamingplat.testing.check_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=search_path(path),
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._process.stdin is not None
        self._process.stdin.write(asked)
        self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        # It may have a process of its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def lines(self, seconds: float) -> Iterator[dict[str, Any]]:
        """What it says, until it ends or says nothing for so long; before the first line it imports torch."""
        patience = seconds + _START
        while True:
            try:
                line = self._lines.get(timeout=patience)
            except queue.Empty:
                self._hung = True
                return
            if line is None:
                return
            patience = seconds
            yield json.loads(line)

    def how_it_ended(self, seconds: float) -> str:
        """Why there is no more to come, for a person."""
        if self._hung:
            return f"it had not ended after {seconds:g} seconds"
        status = self._process.wait()
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or ["it said nothing"])[-1]
        return f"the process ended with status {status}: {last}"
