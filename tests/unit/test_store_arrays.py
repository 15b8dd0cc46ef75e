from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from tamingplat.interfaces import DataError
from tamingplat.store import create_array, open_array, smallest_integer


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.int32), (2**31, np.int32)],
)
def test_the_smallest_integer_holds_every_code(vocab_size: int, dtype: type) -> None:
    assert smallest_integer(vocab_size) == np.dtype(dtype)
    assert np.iinfo(smallest_integer(vocab_size)).max >= vocab_size - 1


def test_an_impossible_vocabulary_is_a_fault() -> None:
    for vocab_size in (0, 2**31 + 1):
        with pytest.raises(AssertionError):
            smallest_integer(vocab_size)


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (2, 1, 5), (7,)])
def test_what_is_written_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "x.npy"
    written = create_array(path, shape, np.uint16)
    assert written.shape == shape and not written.any()
    content = np.arange(written.size, dtype=np.uint16).reshape(shape)
    written[...] = content
    written.flush()
    read = open_array(path)
    assert isinstance(read, np.memmap) and read.dtype == np.uint16 and np.array_equal(read, content)
    assert path.stat().st_blocks * 512 >= content.nbytes
    if content.size:
        with pytest.raises(ValueError, match="read-only"):
            read[0] = 0


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"precious")
    with pytest.raises(DataError, match=f"^{path}: the file exists"):
        create_array(path, (2,), np.uint8)
    assert path.read_bytes() == b"precious"


def test_a_full_disk_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = tmp_path / "x.npy"
    with pytest.raises(DataError, match=rf"^{path}: the array of shape \(2,\) cannot be made: No space left"):
        create_array(path, (2,), np.uint8)
    assert not path.exists()
    with pytest.raises(DataError, match="cannot be made: No such file"):
        create_array(tmp_path / "none" / "x.npy", (2,), np.uint8)


def test_what_is_no_array_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with pytest.raises(DataError, match=f"^{path}: the array cannot be read: No such file"):
        open_array(path)
    np.save(path, np.arange(1000))
    content = path.read_bytes()
    np.savez(tmp_path / "z", a=np.arange(3))
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    objects = (tmp_path / "o.npy").read_bytes()
    for damaged in (b"", content[:5], content[:500], b"text\n" * 100, (tmp_path / "z.npz").read_bytes(), objects):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"^{path}: the (file is|array)"):
            open_array(path)
