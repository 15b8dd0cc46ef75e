from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.store import Artifact, Store, content_key, provenance
from tamingplat.store.layout import MARKER

KEY = content_key({"x": 1})
OTHER = content_key({"x": 2})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make(store: Store) -> Callable[..., Artifact]:
    def make_artifact(key: str = KEY, stage: str = "encode", **files: bytes) -> Artifact:
        with store.lock(stage, key) as draft:
            for name, content in (files or {"codes": b"12345"}).items():
                (draft.directory / name).write_bytes(content)
            return draft.commit({"loss": 1.5})

    return make_artifact


def test_a_store_writes_nothing_until_it_is_used(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "store")
    assert store.find("encode", KEY) is None
    assert store.artifacts() == () and store.verify(hashes=True) == () and store.names() == ()
    assert store.prune(set()).removed == ()
    assert not (tmp_path / "a").exists()
    store.create()
    assert json.loads((store.root / MARKER).read_text()) == {"layout": 1}
    store.create()
    assert Store(store.root).artifacts() == ()


def test_an_empty_folder_becomes_a_store(tmp_path: Path) -> None:
    Store(tmp_path).create()
    assert (tmp_path / MARKER).is_file()


def test_a_marker_in_the_making_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f"{MARKER}.0123.tmp").write_text("{")
    Store(tmp_path).create()


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(TamingplatError, match=f"{re.escape(str(tmp_path))}: .*thesis.tex.* is not a store"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_fills_after_it_was_opened_is_refused_when_it_is_written_to(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "thesis.tex").write_text("x")
    for act in (store.create, lambda: store.prune(set()), lambda: store.fingerprint(tmp_path / "thesis.tex")):
        with pytest.raises(TamingplatError, match="is not a store"):
            act()
    with pytest.raises(TamingplatError, match="is not a store"), store.lock("encode", KEY):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_a_dangling_link_and_other_layouts_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(TamingplatError, match="this is a file"):
        Store(file)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "none")
    with pytest.raises(TamingplatError, match="does not exist"):
        Store(link)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / MARKER).write_text('{"layout": 2}')
    with pytest.raises(TamingplatError, match=r"layout 2, which is newer .*update"):
        Store(folder)
    for text in ("", "[]", "{}", '{"layout": "1"}', '{"layout": true}'):
        (folder / MARKER).write_text(text)
        with pytest.raises(DataError, match=f"{re.escape(str(folder / MARKER))}: the marker"):
            Store(folder)


def test_a_relative_root_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(Path("store"))
    monkeypatch.chdir("/")
    assert store.root == tmp_path / "store"


def test_an_artifact_is_committed_and_found(store: Store) -> None:
    with store.lock("train_prior", KEY) as draft:
        assert store.find("train_prior", KEY) is None
        assert draft.directory.parent == store.directory("train_prior", KEY).parent
        assert draft.work == store.work(KEY) == store.root / "work" / KEY
        (draft.work / "checkpoint").write_bytes(b"big")
        (draft.directory / "weights").write_bytes(b"abc")
        (draft.directory / "shards" / "deep").mkdir(parents=True)
        (draft.directory / "shards" / "deep" / "0").write_bytes(b"")
        made = draft.commit({"loss": float("nan"), "steps": 3}, device="cpu", threads=2, processes=3)
    found = store.find("train_prior", KEY)
    assert found is not None and found == made
    assert found.directory == store.root / "train_prior" / KEY[:2] / KEY
    assert found.files == ("shards/deep/0", "weights") and found.size == 3
    assert found.record["files"]["weights"] == {"sha256": hashlib.sha256(b"abc").hexdigest(), "size": 3}
    assert found.details["steps"] == 3 and found.details["loss"] != found.details["loss"]
    assert found.path("weights").read_bytes() == b"abc" and found.path("shards/deep/0").read_bytes() == b""
    assert {path.name for path in found.directory.iterdir()} == {"weights", "shards", "stage.json"}
    assert list((store.root / "work").iterdir()) == []
    assert store.find("encode", KEY) is None
    found.verify()


def test_what_made_it_is_recorded(make: Callable[..., Artifact]) -> None:
    record = make().record
    origin = record["provenance"]
    assert (record["layout"], record["stage"], record["key"]) == (1, "encode", KEY)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["created"])
    assert set(origin) == {
        "git", "packages", "python", "platform", "host", "device", "threads", "processes", "command"
    }  # fmt: skip
    assert origin["packages"]["tamingplat"] and origin["threads"] >= 1 and origin["processes"] == 1 and origin["device"] is None
    git = origin["git"]
    assert git is None or (re.fullmatch(r"[0-9a-f]{40}", git["commit"]) and git["dirty"] in (True, False))


def test_thread_and_process_counts_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    origin = provenance.provenance(None, device="cpu", threads=None, processes=None)
    assert (origin["threads"], origin["processes"]) == (3, 4)


def test_secrets_do_not_get_into_the_record() -> None:
    given = ["run", "a.toml", "--hub-token", "abc", "--set", "dataset.x.config.token=abc", "--api_key=abc", "--token", "--json"]
    assert provenance.redact(given) == [
        "run", "a.toml", "--hub-token", "[redacted]", "--set", "dataset.x.config.token=[redacted]", "--api_key=[redacted]",
        "--token", "--json",
    ]  # fmt: skip
    assert provenance.redact(["https://me:pw@host/x", "hf_" + "aB3" * 8]) == ["https://[redacted]@host/x", "[redacted]"]
    harmless = ["--set", "tokenizer.vq.train.steps=3", "--key", "0123", "--tokenizer=vq", "max_tokens=3"]
    assert provenance.redact(harmless) == harmless


def test_nothing_is_left_when_nothing_is_committed(store: Store) -> None:
    with pytest.raises(RuntimeError, match="training failed"), store.lock("encode", KEY) as draft:
        (draft.directory / "x").write_bytes(b"1")
        (draft.work / "checkpoint").write_bytes(b"1")
        raise RuntimeError("training failed")
    assert store.find("encode", KEY) is None
    assert list(store.directory("encode", KEY).parent.iterdir()) == []
    assert {path.name for path in store.work(KEY).iterdir()} == {"checkpoint", "lock"}
    with store.lock("encode", KEY) as draft:
        assert (draft.work / "checkpoint").read_bytes() == b"1"
        (draft.work / "checkpoint").unlink()
    assert not store.work(KEY).exists()  # nothing but the lock was left in it


def test_a_record_that_is_no_json_commits_nothing(store: Store) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"), store.lock("encode", KEY) as draft:
        draft.commit({"path": Path("x")})
    assert store.find("encode", KEY) is None


def test_what_is_no_file_is_not_committed(store: Store, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="neither a file nor a folder"), store.lock("encode", KEY) as draft:
        (draft.directory / "link").symlink_to(tmp_path)
        draft.commit({})
    assert store.find("encode", KEY) is None


def test_another_process_that_finished_first_wins(store: Store) -> None:
    with store.lock("encode", KEY) as mine:
        (mine.directory / "x").write_bytes(b"mine")
        (mine.work / "lock").unlink()  # somebody removed the lock by hand, and started the stage again
        with store.lock("encode", KEY) as theirs:
            assert mine.directory.exists()  # a live process's files are not cleared
            (theirs.directory / "x").write_bytes(b"theirs")
            theirs.commit({})
            (mine.directory / "y").write_bytes(b"mine")
            returned = mine.commit({})
            assert returned.path("x").read_bytes() == b"theirs"
            assert returned.files == ("x",)
    assert [path.name for path in returned.directory.parent.iterdir()] == [KEY]
    returned.verify()


def test_a_forked_child_that_leaves_the_block_clears_nothing(store: Store) -> None:
    with store.lock("encode", KEY) as draft:
        (draft.directory / "x").write_bytes(b"1")
        child = os.fork()
        if child == 0:
            draft.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        draft.commit({})
    found = store.find("encode", KEY)
    assert found is not None
    found.verify()


def test_missing_and_resized_files_are_named_when_they_are_opened(make: Callable[..., Artifact]) -> None:
    artifact = make(codes=b"12345", labels=b"1")
    (artifact.directory / "codes").write_bytes(b"1234")
    with pytest.raises(DataError, match=f"{artifact.directory / 'codes'}: the file has 4 bytes where 5 .*prune --damaged"):
        artifact.path("codes")
    (artifact.directory / "codes").unlink()
    with pytest.raises(DataError, match=f"{artifact.directory / 'codes'}: the file is missing"):
        artifact.path("codes")
    assert artifact.path("labels").read_bytes() == b"1"
    with pytest.raises(DataError, match=r"no file 'stage\.json'; its files are: codes, labels"):
        artifact.path("stage.json")


def test_verification_reads_every_byte(store: Store, make: Callable[..., Artifact]) -> None:
    artifact = make(codes=b"12345", labels=b"1")
    make(OTHER)
    artifact.verify()
    assert store.verify(hashes=True) == ()
    (artifact.directory / "codes").write_bytes(b"12346")
    assert artifact.path("codes") == artifact.directory / "codes"
    assert store.verify() == ()
    with pytest.raises(DataError, match=f"^{artifact.directory / 'codes'}: the content"):
        artifact.verify()
    (artifact.directory / "labels").unlink()
    problems = store.verify(hashes=True)
    assert [(problem.where, "content" in problem.what) for problem in problems] == [
        (str(artifact.directory / "codes"), True),
        (str(artifact.directory / "labels"), False),
    ]


RECORDS = [
    (None, "is missing"),
    (b"", "damaged"),
    (b"\xff\xfe", "damaged"),
    (b"[]", "not an object"),
    (b"{}", "layout is None"),
    ({"layout": 2}, "layout is 2"),
    ({"key": OTHER}, "belongs to 'encode'"),
    ({"stage": "sample"}, "belongs to 'sample'"),
    ({"created": 1}, "no time"),
    ({"record": []}, "no 'record'"),
    ({"files": None}, "no 'files'"),
    ({"files": {"../x": {"size": 1, "sha256": "0" * 64}}}, "does not lie in the artifact"),
    ({"files": {"/x": {"size": 1, "sha256": "0" * 64}}}, "does not lie in the artifact"),
    ({"files": {"x": {"size": "1", "sha256": "0" * 64}}}, "malformed"),
    ({"files": {"x": {"size": 1, "sha256": "0"}}}, "malformed"),
    ({"files": {"x": 1}}, "malformed"),
]


@pytest.mark.parametrize(("damage", "what"), RECORDS)
def test_a_damaged_record_is_an_error_with_its_path(
    store: Store, make: Callable[..., Artifact], damage: bytes | dict[str, object] | None, what: str
) -> None:
    artifact = make()
    whole = make(OTHER)
    record = artifact.directory / "stage.json"
    if damage is None:
        record.unlink()
    else:
        record.write_bytes(damage if isinstance(damage, bytes) else json.dumps({**artifact.record, **damage}).encode())
    with pytest.raises(DataError, match=f"^{record}: .*{what}"):
        store.find("encode", KEY)
    assert store.artifacts() == (whole,)
    (problem,) = store.verify()
    assert str(problem).startswith(f"{record}: ")


def test_stages_and_keys_cannot_leave_the_store(store: Store) -> None:
    for stage, key in (
        ("../x", KEY),
        ("work", KEY),
        ("names", KEY),
        ("encode", "../" + KEY[3:]),
        ("encode", KEY.upper()),
        ("", KEY),
    ):
        with pytest.raises(AssertionError):
            store.directory(stage, key)
        with pytest.raises(AssertionError), store.lock(stage, key):
            pass
    with pytest.raises(AssertionError):
        store.work("..")
    assert not store.root.exists()
