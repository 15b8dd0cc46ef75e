from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tamingplat.interfaces import TamingplatError
from tamingplat.store import StageBusyError, Store, content_key
from tamingplat.store.locks import holder_of

KEY = content_key({"x": 1})
HOLD = """
import sys, time
from pathlib import Path
from tamingplat.store import Store
with Store(Path(sys.argv[1])).lock("encode", sys.argv[2]) as draft:
    (draft.directory / "half").write_bytes(b"1" * 1000)
    (draft.work / "checkpoint").write_bytes(b"2")
    {body}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def hold(store: Store) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that takes the lock, prints a line and goes on with ``body``."""
    started = []

    def start(body: str = "print('held', flush=True); time.sleep(600)") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD.format(body=body), str(store.root), KEY]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_held_lock_names_its_holder(store: Store, hold: Callable[..., subprocess.Popen[str]]) -> None:
    process = hold()
    with pytest.raises(StageBusyError) as caught, store.lock("encode", KEY):
        pass
    error = caught.value
    assert isinstance(error, TamingplatError)
    assert (error.stage, error.key) == ("encode", KEY)
    assert (error.holder["host"], error.holder["pid"]) == (socket.gethostname(), process.pid)
    assert re.search(rf"encode {KEY[:12]} is being made by process {process.pid} on .*, since \d{{4}}-", str(error))
    assert str(store.work(KEY) / "lock") in str(error)


def test_a_killed_process_holds_nothing_and_its_files_are_cleared(
    store: Store, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    process = hold()
    beside = store.directory("encode", KEY).parent
    assert len(list(beside.iterdir())) == 1
    process.kill()
    process.wait()
    assert len(list(beside.iterdir())) == 1
    with store.lock("encode", KEY) as draft:
        assert list(beside.iterdir()) == [draft.directory]
        assert (draft.work / "checkpoint").read_bytes() == b"2"
        draft.commit({})
    assert list(beside.iterdir()) == [store.directory("encode", KEY)]


def test_a_forked_worker_does_not_keep_the_lock_of_a_killed_process(
    store: Store, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    fork = "import os; worker = os.fork(); worker or time.sleep(600); print('held'); print(worker, flush=True); time.sleep(600)"
    process = hold(fork)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        os.kill(worker, 0)  # it lives
        with store.lock("encode", KEY) as draft:
            assert list(draft.directory.parent.iterdir()) == [draft.directory]
    finally:
        os.kill(worker, signal.SIGKILL)


def test_waiting_takes_over_when_the_holder_ends(store: Store, hold: Callable[..., subprocess.Popen[str]]) -> None:
    process = hold()
    threading.Timer(0.2, process.kill).start()
    begin = time.monotonic()
    with store.lock("encode", KEY, wait=True) as draft:
        assert time.monotonic() - begin > 0.1
        assert (draft.work / "checkpoint").exists()
        with pytest.raises(StageBusyError):
            store.lock("encode", KEY).__enter__()


def test_waiting_finds_what_the_holder_made(store: Store, hold: Callable[..., subprocess.Popen[str]]) -> None:
    hold("print('held', flush=True); time.sleep(0.2); draft.commit({})")
    with store.lock("encode", KEY, wait=True) as draft:
        found = store.find("encode", KEY)
        assert found is not None and found.files == ("half",)
        assert not (draft.work / "checkpoint").exists()
    assert not store.work(KEY).exists()


def test_one_process_holds_a_lock_once(store: Store) -> None:
    with store.lock("encode", KEY), pytest.raises(StageBusyError, match=f"process {os.getpid()} on"), store.lock("encode", KEY):
        pass
    with store.lock("encode", KEY):
        pass


def test_other_keys_are_free(store: Store) -> None:
    with store.lock("encode", KEY), store.lock("encode", content_key({"x": 2})) as other:
        other.commit({})


def test_a_holder_that_is_not_written_yet_is_still_busy(store: Store) -> None:
    with store.lock("encode", KEY) as draft:
        for text in ("", "{", "[]", '{"host": "x"}'):
            (draft.work / "lock").write_text(text)
            with pytest.raises(StageBusyError, match="by another process") as caught, store.lock("encode", KEY):
                pass
            assert caught.value.holder == {}


def test_looking_who_holds_a_lock_changes_nothing(store: Store) -> None:
    lock = store.work(KEY) / "lock"
    assert holder_of(lock) is None and not store.root.exists()
    with store.lock("encode", KEY) as draft:
        holder = holder_of(lock)
        assert holder is not None and holder["pid"] == os.getpid() == json.loads(lock.read_text())["pid"]
        (draft.work / "checkpoint").write_bytes(b"")
    assert holder_of(lock) is None and lock.exists()


def test_threads_take_turns_and_only_one_makes_it(store: Store) -> None:
    """Locks are removed with their directories while others wait for them: nobody may slip through."""
    inside, made, faults = [0], [], []
    guard = threading.Lock()

    def work(number: int) -> None:
        for turn in range(10):
            key = content_key({"turn": turn})
            with store.lock("encode", key, wait=True) as draft:
                with guard:
                    inside[0] += 1
                if store.find("encode", key) is None:
                    (draft.directory / "who").write_text(str(number))
                    draft.commit({})
                    made.append(key)
                (draft.work / str(number)).touch()
                with guard:
                    inside[0] -= 1

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [] and inside == [0]
    assert len(made) == len(set(made)) == 10 == len(store.artifacts())


def test_a_store_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.create()
    (store.root / "work").rmdir()
    (store.root / "work").write_text("not a folder")
    with pytest.raises(TamingplatError, match=re.escape(str(store.root))), store.lock("encode", KEY):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(TamingplatError, match="file"):
        Store(tmp_path / "file" / "store").create()
