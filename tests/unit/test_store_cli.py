from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from tamingplat.cli import store as command
from tamingplat.interfaces import TamingplatError
from tamingplat.store import Artifact, Store, content_key

A, B = content_key({"x": 1}), content_key({"x": 2})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.create()
    return store


@pytest.fixture
def make(store: Store) -> Callable[..., Artifact]:
    def make_artifact(key: str, label: str) -> Artifact:
        with store.lock("encode", key) as draft:
            (draft.directory / "codes").write_bytes(b"1" * 1500)
            return draft.commit({"label": label})

    return make_artifact


@pytest.fixture
def run(store: Store) -> Callable[..., Result]:
    def invoke(*arguments: str, answer: str = "") -> Result:
        return CliRunner(env={"TAMINGPLAT_STORE": str(store.root)}).invoke(command.app, list(arguments), input=answer)

    return invoke


def test_the_list_shows_what_is_there(store: Store, make: Callable[..., Artifact], run: Callable[..., Result]) -> None:
    made = make(A, "encode emoji [1/2]")
    make(B, "other")
    store.name("mine", made)
    shown = run("list")
    assert shown.exit_code == 0 and shown.stderr == ""
    (line,) = [line for line in shown.stdout.splitlines() if A[:12] in line]
    assert line.split() == ["encode", A[:12], "[mine]", "encode", "emoji", "[1/2]", "1", "1.5", "kB", *line.split()[-2:]]
    assert f"2 artifacts, 3.0 kB in {store.root}" in shown.stdout
    rows = json.loads(run("list", "--json").stdout)
    assert {row["key"] for row in rows} == {A, B}
    (row,) = [row for row in rows if row["key"] == A]
    assert row == {
        "stage": "encode",
        "key": A,
        "label": "encode emoji [1/2]",
        "names": ["mine"],
        "created": made.record["created"],
        "size": 1500,
        "files": ["codes"],
        "directory": str(made.directory),
    }


def test_damage_does_not_hide_the_rest(store: Store, make: Callable[..., Artifact], run: Callable[..., Result]) -> None:
    damaged, whole = make(A, "a"), make(B, "b")
    store.name("mine", damaged)
    (damaged.directory / "stage.json").write_text("{")
    shown = run("list")
    assert shown.exit_code == 0 and B[:12] in shown.stdout and "1 artifact, " in shown.stdout
    assert str(damaged.directory / "stage.json") in shown.stderr and "2 problems found" in shown.stderr
    assert [row["key"] for row in json.loads(run("list", "--json").stdout)] == [whole.key]


def test_verification_fails_on_damage(make: Callable[..., Artifact], run: Callable[..., Result]) -> None:
    made = make(A, "a")
    assert run("verify", "--hashes").exit_code == 0
    (made.directory / "codes").write_bytes(b"2" * 1500)
    assert run("verify").exit_code == 0
    shown = run("verify", "--hashes")
    assert shown.exit_code == 1
    assert f"{made.directory / 'codes'}: the content of the file is not what was written" in shown.stdout
    assert "1 artifact checked (sizes and contents), 1 problem found" in shown.stdout


def test_pruning_asks_first(store: Store, make: Callable[..., Artifact], run: Callable[..., Result]) -> None:
    made = make(A, "a")
    (made.directory / "codes").write_bytes(b"")
    for arguments, answer in ((["--dry-run"], ""), ([], "n\n"), ([], "")):
        shown = run("prune", "--damaged", *arguments, answer=answer)
        assert f"would remove damaged artifact encode/{A[:2]}/{A}" in shown.stdout and "1 item to remove" in shown.stdout
        assert shown.exit_code == (0 if arguments else 1)
        assert made.directory.exists()
    shown = run("prune", "--damaged", answer="y\n")
    assert shown.exit_code == 0 and "removed 1 item" in shown.stdout
    assert not made.directory.exists()
    assert run("prune", "--damaged").stdout == "0 items to remove, 0 B\n"


def test_what_the_kept_manifests_need_stays(
    store: Store, make: Callable[..., Artifact], run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(A, "a"), make(B, "b")
    planned = {Path("one.toml"): {A}, Path("two.toml"): {B}}

    def planned_keys(manifest: Path, registry: str, given: Store) -> set[str]:
        assert registry == "registry" and given.root == store.root
        return planned[manifest]

    monkeypatch.setitem(sys.modules, "tamingplat.stages", SimpleNamespace(planned_keys=planned_keys))
    monkeypatch.setattr(command, "load", lambda manifest, overrides, store: ("registry", manifest))
    assert "0 items" in run("prune", "--keep", "one.toml", "--keep", "two.toml", "--dry-run").stdout
    assert run("prune", "--keep", "one.toml", "--yes").exit_code == 0
    assert [artifact.key for artifact in store.artifacts()] == [A]


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path, run: Callable[..., Result]) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("x")
    for name in ("thesis", "none"):
        for arguments in (["list"], ["verify"], ["prune", "--yes"]):
            error = run(*arguments, "--store", str(tmp_path / name)).exception
            assert isinstance(error, TamingplatError) and str(tmp_path / name) in str(error)
    assert not (tmp_path / "none").exists()


SIZES = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB"}
LARGE_SIZES = {1_234_567: "1.2 MB", 5 * 10**9: "5.0 GB", 5 * 10**15: "5000 TB"}


@pytest.mark.parametrize(("size", "text"), [*SIZES.items(), *LARGE_SIZES.items()])
def test_sizes_read_well(size: int, text: str) -> None:
    assert command.human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (86400 * 40, "40 d")]
)
def test_ages_read_well(seconds: float, text: str) -> None:
    assert command.human_age(seconds) == text
