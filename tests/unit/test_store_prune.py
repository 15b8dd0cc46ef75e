from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.interfaces import DataError
from tamingplat.store import Artifact, Store, content_key

A, B, C, D = (content_key({"x": number}) for number in range(4))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make(store: Store) -> Callable[..., Artifact]:
    def make_artifact(key: str, stage: str = "encode") -> Artifact:
        with store.lock(stage, key) as draft:
            (draft.directory / "codes").write_bytes(b"12345")
            return draft.commit({})

    return make_artifact


@pytest.fixture
def interrupt(store: Store) -> Callable[[str], None]:
    """Leave what a process that was killed leaves: checkpoints and half an artifact."""

    def leave(key: str) -> None:
        program = (
            "import os, sys; from pathlib import Path; from tamingplat.store import Store\n"
            "with Store(Path(sys.argv[1])).lock('encode', sys.argv[2]) as draft:\n"
            "    (draft.directory / 'half').write_bytes(b'123'); (draft.work / 'checkpoint').write_bytes(b'1234567')\n"
            "    os._exit(0)"
        )
        subprocess.run([sys.executable, "-c", program, str(store.root), key], check=True)

    return leave


def _everything(root: Path) -> dict[str, bytes | None]:
    paths = sorted(root.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None for path in paths}


def test_what_is_not_kept_goes(store: Store, make: Callable[..., Artifact]) -> None:
    kept, gone, named = make(A), make(B), make(C, "train_tokenizer")
    store.name("mine", named)
    before = _everything(store.root)
    would = store.prune({A}, dry_run=True)
    assert _everything(store.root) == before
    done = store.prune({A})
    assert done == would
    (removal,) = done.removed
    assert removal.path == gone.directory and removal.what == "artifact"
    assert removal.size == 5 + len(before[str(gone.directory / "stage.json")] or b"")
    assert not gone.directory.exists() and store.artifacts() == (kept, named)
    assert list((store.root / "work").iterdir()) == []
    assert store.prune({A}).removed == ()


def test_without_keys_only_what_is_left_over_goes(
    store: Store, make: Callable[..., Artifact], interrupt: Callable[..., None]
) -> None:
    made = make(A)
    interrupt(B)
    doomed = made.directory.with_name(f"{C}.removed-{'0' * 32}")
    doomed.mkdir()
    (doomed / "rest").write_bytes(b"1")
    (store.work(A)).mkdir()
    (store.work(A) / "checkpoint").write_bytes(b"1")
    done = store.prune()
    assert sorted(removal.what for removal in done.removed) == ["leftover", "leftover", "work"]
    assert store.artifacts() == (made,)
    assert {path.name for path in store.work(B).iterdir()} == {"checkpoint", "lock"}  # it can still be resumed
    assert not store.work(A).exists() and not doomed.exists()


def test_checkpoints_stay_while_they_are_wanted(store: Store, interrupt: Callable[..., None]) -> None:
    interrupt(A)
    interrupt(B)
    store.prune({A})
    assert (store.work(A) / "checkpoint").exists() and not store.work(B).exists()


def test_what_a_live_process_works_on_stays(store: Store, make: Callable[..., Artifact]) -> None:
    with store.lock("encode", A) as draft:
        (draft.directory / "half").write_bytes(b"1")
        (draft.work / "checkpoint").write_bytes(b"1")
        other = make(B)
        for dry_run in (True, False):
            done = store.prune(set(), dry_run=dry_run)
            assert [removal.path for removal in done.removed] == [other.directory]
            (problem,) = done.left
            assert problem.where == str(store.work(A)) and f"process {os.getpid()}" in problem.what
        assert (draft.directory / "half").exists() and (draft.work / "checkpoint").exists()
        draft.commit({})


def test_an_artifact_whose_key_is_locked_stays(store: Store, make: Callable[..., Artifact]) -> None:
    made = make(A)
    with store.lock("encode", A):
        done = store.prune(set())
    assert done.removed == () and {problem.where for problem in done.left} == {str(made.directory), str(store.work(A))}
    assert store.find("encode", A) == made


def test_what_is_not_ours_is_never_touched(store: Store, make: Callable[..., Artifact], tmp_path: Path) -> None:
    made, mixed, unreadable = make(A), make(B), make(C)
    (mixed.directory / "notes.txt").write_text("mine")
    (unreadable.directory / "stage.json").write_text("{")
    elsewhere = tmp_path / "elsewhere"
    made.directory.rename(elsewhere)
    made.directory.symlink_to(elsewhere)
    foreign = [
        store.root / "thesis" / "chapter.tex",
        store.root / "manifests" / "a.toml",
        store.root / "encode" / "notes" / "a.txt",
        store.root / "encode" / A[:2] / "a.txt",
        store.root / "encode" / A[:2] / f"{A}.old" / "codes",
        store.root / "encode" / "zz" / A / "stage.json",
        store.root / "work" / "notes" / "a.txt",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    before = _everything(tmp_path)
    done = store.prune(set(), damaged=True)
    assert done.removed == ()
    assert _everything(tmp_path) == before
    reasons = "\n".join(map(str, done.left))
    assert f"{mixed.directory}: it holds notes.txt, which the store did not write" in reasons
    assert f"{unreadable.directory / 'stage.json'}: the record of the artifact is damaged" in reasons


def test_damaged_artifacts_go_when_asked(store: Store, make: Callable[..., Artifact]) -> None:
    whole, altered, missing, named = make(A), make(B), make(C), make(D)
    store.name("mine", named)
    (altered.directory / "codes").write_bytes(b"54321")
    (missing.directory / "codes").unlink()
    (named.directory / "codes").write_bytes(b"")
    assert store.prune().removed == ()
    done = store.prune(damaged=True)
    assert {removal.path for removal in done.removed} == {altered.directory, missing.directory}
    assert {removal.what for removal in done.removed} == {"damaged artifact"}
    (problem,) = done.left
    assert "import it again" in str(problem)
    assert set(store.artifacts()) == {whole, named}
    assert make(B).path("codes").read_bytes() == b"12345"


def test_an_unreadable_name_stops_everything(store: Store, make: Callable[..., Artifact]) -> None:
    made = make(A)
    store.name("mine", made)
    (store.root / "names" / "mine.json").write_text("{")
    with pytest.raises(DataError, match=r"mine\.json"):
        store.prune(set())
    assert store.artifacts() == (made,)


def test_a_folder_that_is_no_store_is_not_pruned(tmp_path: Path) -> None:
    store = Store(tmp_path / "x")
    (tmp_path / "x" / "encode" / A[:2] / A).mkdir(parents=True)
    (tmp_path / "x" / "encode" / A[:2] / A / "stage.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a store"):
        store.prune(set(), damaged=True)
    assert (tmp_path / "x" / "encode" / A[:2] / A / "stage.json").exists()
