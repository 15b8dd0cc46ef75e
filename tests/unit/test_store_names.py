from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.store import Artifact, Store, content_key

KEY = content_key({"x": 1})
OTHER = content_key({"x": 2})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make(store: Store) -> Callable[..., Artifact]:
    def make_artifact(key: str = KEY) -> Artifact:
        with store.lock("encode", key) as draft:
            return draft.commit({})

    return make_artifact


def test_names_lead_to_artifacts(store: Store, make: Callable[..., Artifact]) -> None:
    first, second = make(), make(OTHER)
    with pytest.raises(TamingplatError, match=r"no artifact .* named 'f16'; its names are: none"):
        store.named("f16")
    store.name("f16-1024", first)
    store.name("f16-1024", first)
    assert store.named("f16-1024") == first and store.names() == ("f16-1024",)
    with pytest.raises(TamingplatError, match=f"stands for encode {KEY[:12]}"):
        store.name("f16-1024", second)
    store.name("f16-1024", second, replace=True)
    assert store.named("f16-1024") == second
    with pytest.raises(TamingplatError, match=r"named 'f16-124'; did you mean f16-1024\?"):
        store.named("f16-124")
    for name in ("", "../x", "a/b", ".x", "x" * 101):
        with pytest.raises(TamingplatError, match="cannot name an artifact"):
            store.name(name, first)
        with pytest.raises(TamingplatError, match="cannot name an artifact"):
            store.named(name)


def test_a_name_without_its_artifact_or_damaged_is_reported(store: Store, make: Callable[..., Artifact]) -> None:
    artifact = make()
    store.name("mine", artifact)
    artifact.directory.rename(store.root / "elsewhere")
    with pytest.raises(DataError, match=f"{artifact.directory}: the artifact named 'mine' is gone"):
        store.named("mine")
    file = store.root / "names" / "mine.json"
    assert [problem.where for problem in store.verify()] == [str(file)]
    for text in ("", "[]", "{}", '{"stage": "../..", "key": "x"}', '{"stage": 1, "key": 2}'):
        file.write_text(text)
        with pytest.raises(DataError, match=f"^{file}: the name is damaged"):
            store.named("mine")
        assert len(store.verify()) == 1
