"""Processes that are killed while they write to a store, at every step and at random moments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.store import Store, content_key

KEY = content_key({"x": 1})
FILES = {"weights": b"w" * 300_000, "shards/0": b"0" * 1000, "empty": b""}

# Forks a child for each experiment, since a fresh interpreter would take a hundred times as long.
HARNESS = """
import json, os, random, signal, sys, time
from pathlib import Path
from tamingplat.store import Store

os.fsync = lambda descriptor: None
files = {name: b"".join([bytes([first]) * size]) for name, (first, size) in json.loads(sys.argv[3]).items()}

def make(root, key):
    with Store(root).lock("encode", key) as draft:
        (draft.work / "checkpoint").write_bytes(b"1")
        for name, content in files.items():
            path = draft.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        draft.commit({"x": 1})

def prune(root, key):
    Store(root).prune(set())

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child

def killed_at_every_step(root, key, act, prepare):
    step = 0
    while True:
        step += 1
        place = root / str(step)
        for earlier in prepare:
            os.waitpid(in_child(lambda: earlier(place, key)), 0)

        def work():
            left = [step]

            def count(event, arguments):
                # Everything that touches a file of the store; what is after the last of these cannot be told from the end.
                if arguments and str(place) in str(arguments[0]):
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
            act(place, key)

        _, status = os.waitpid(in_child(work), 0)
        if status == 0:
            return step
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status

def killed_at_random(root, keys, seed):
    delays = random.Random(seed)
    for key in keys:
        child = in_child(lambda: make(root, key))
        time.sleep(delays.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

mode, root = sys.argv[1], Path(sys.argv[2])
key = sys.argv[4]
root.mkdir()
if mode == "make":
    print(killed_at_every_step(root, key, make, []))
elif mode == "prune":
    print(killed_at_every_step(root, key, prune, [make]))
else:
    print(killed_at_random(root, json.loads(key), 0))
"""


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written through to the disk and git is not asked, which would take longer than all the rest."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def harness(tmp_path: Path) -> Callable[[str, str], tuple[Path, str]]:
    def run(mode: str, key: str) -> tuple[Path, str]:
        root = tmp_path / "stores"
        files = json.dumps({name: (content[0] if content else 0, len(content)) for name, content in FILES.items()})
        command = [sys.executable, "-c", HARNESS, mode, str(root), files, key]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return root, done.stdout.strip()

    return run


def _finish(store: Store, key: str) -> None:
    """Make the artifact now, in whatever state the crash left the store, and look for traces of the crash."""
    with store.lock("encode", key) as draft:
        found = store.find("encode", key)
        if found is None:
            (draft.directory / "again").write_bytes(b"again")
            found = draft.commit({})
    found.verify()
    assert list(found.directory.parent.glob(f"{key}*")) == [found.directory]


def test_a_kill_at_any_step_leaves_nothing_or_everything(harness: Callable[[str, str], tuple[Path, str]]) -> None:
    root, steps = harness("make", KEY)
    assert int(steps) > 25
    outcomes = []
    for step in range(1, int(steps) + 1):
        store = Store(root / str(step))
        found = store.find("encode", KEY)
        outcomes.append(found is not None)
        if found is not None:
            assert {name: found.path(name).read_bytes() for name in found.files} == FILES
            found.verify()
        assert store.verify(hashes=True) == ()
        _finish(store, KEY)
    # Nothing up to some step, everything from there on, and crashes on both sides of it.
    assert outcomes == sorted(outcomes) and 3 < outcomes.index(True) < len(outcomes) - 1


def test_a_kill_while_pruning_leaves_nothing_or_everything(harness: Callable[[str, str], tuple[Path, str]]) -> None:
    root, steps = harness("prune", KEY)
    assert int(steps) > 10
    outcomes = []
    for step in range(1, int(steps) + 1):
        store = Store(root / str(step))
        assert store.verify(hashes=True) == ()
        found = store.find("encode", KEY)
        outcomes.append(found is None)
        if step % 2:
            _finish(store, KEY)
        else:
            store.prune(set())
            assert [path for path in store.root.rglob("*") if path.is_file()] == [store.root / "tamingplat-store.json"]
    assert outcomes == sorted(outcomes) and True in outcomes and False in outcomes


def test_kills_at_random_moments_leave_nothing_or_everything(harness: Callable[[str, str], tuple[Path, str]]) -> None:
    keys = [content_key({"x": number % 20}) for number in range(60)]  # each is tried three times, over what was left before
    root, _ = harness("random", json.dumps(keys))
    store = Store(root)
    assert store.verify(hashes=True) == ()
    for artifact in store.artifacts():
        assert {name: artifact.path(name).read_bytes() for name in artifact.files} == FILES
    for key in set(keys):
        with store.lock("encode", key):
            pass  # clears
    store.prune()
    assert store.verify(hashes=True) == ()
    names = {path.name for folder in (store.root / "encode").iterdir() for path in folder.iterdir()}
    assert names == {artifact.key for artifact in store.artifacts()}
    for key in set(keys):
        _finish(store, key)
    assert len(store.artifacts()) == 20
