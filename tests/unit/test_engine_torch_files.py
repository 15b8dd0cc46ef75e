"""Checkpoints of others are read without executing anything from them: both formats of torch.save, and safetensors."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tamingplat.engine import read_checkpoint
from tamingplat.interfaces import DataError

Save = Callable[[Any, Path], None]


def _save_zip(value: Any, path: Path) -> None:
    torch.save(value, path)


def _save_legacy(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


both = pytest.mark.parametrize("save", [_save_zip, _save_legacy], ids=["zip", "legacy"])


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    numbers = torch.arange(24, dtype=torch.float32).view(4, 6)
    return OrderedDict(
        whole=numbers,
        part=numbers[1:, 2:4],
        turned=numbers.t(),
        half=numbers.half(),
        brain=numbers.bfloat16(),
        long=torch.tensor([2**40, -1]),
        truth=numbers > 3,
        scalar=torch.tensor(7),
        empty=torch.empty(0, 3),
        parameter=torch.nn.Parameter(numbers.clone()),
        frozen=torch.nn.Parameter(numbers.clone(), requires_grad=False),
    )


def _assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
        assert torch.equal(found[name], tensor), name


@both
def test_every_tensor_comes_back(tmp_path: Path, state: dict[str, torch.Tensor], save: Save) -> None:
    save(state, tmp_path / "bare.ckpt")
    _assert_same(read_checkpoint(tmp_path / "bare.ckpt").tensors, state)
    save({"state_dict": state, "epoch": 3, "text": "x"}, tmp_path / "wrapped.ckpt")
    file = read_checkpoint(tmp_path / "wrapped.ckpt")
    _assert_same(file.tensors, state)
    assert file.beside == {"epoch": "a number", "text": "text"}
    assert file.container == ("zip" if save is _save_zip else "legacy")


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(3), "b": torch.ones(2, 2, dtype=torch.bfloat16)}
    save_file(tensors, tmp_path / "x.bin")
    file = read_checkpoint(tmp_path / "x.bin")
    _assert_same(file.tensors, tensors)
    assert file.container == "safetensors"


@pytest.fixture
def framework() -> types.ModuleType:
    """A module that is there when a file is written and gone when it is read."""
    module = types.ModuleType("vanished_framework")

    class Callback(dict):  # type: ignore[type-arg]
        def __init__(self) -> None:
            super().__init__(best=torch.ones(3))
            self.score, self.seen = torch.tensor(0.5), {"list": [1, 2]}

    class Options(OrderedDict):  # type: ignore[type-arg]
        pass

    class Listed(list):  # type: ignore[type-arg]
        pass

    class Reduced:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Listed, (), {"a": 1}, iter([1, 2]), iter([("k", "v")]))

    class Tensor(torch.Tensor):
        pass

    for made in (Callback, Options, Listed, Reduced, Tensor):
        made.__module__, made.__qualname__ = module.__name__, made.__name__
        setattr(module, made.__name__, made)
    sys.modules[module.__name__] = module
    yield module
    sys.modules.pop(module.__name__, None)


@both
def test_objects_of_a_framework_that_is_not_installed_are_passed_over(
    tmp_path: Path, state: dict[str, torch.Tensor], framework: Any, save: Save
) -> None:
    path = tmp_path / "last.ckpt"
    checkpoint = {
        "callbacks": {framework.Callback: framework.Callback()},
        "hyper_parameters": framework.Options(rate=0.1, sizes={1, 2}, path=Path("x")),
        "more": [framework.Listed([1]), framework.Callback],
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(5, dtype=torch.float64)}}}],
        "state_dict": OrderedDict({**state, "own": torch.ones(2).as_subclass(framework.Tensor)}),
    }
    checkpoint["state_dict"]._metadata = framework.Options(version=1)
    save(checkpoint, path)
    del sys.modules["vanished_framework"]
    with pytest.raises((ImportError, AttributeError)):
        torch.load(path, weights_only=False)
    file = read_checkpoint(path)
    _assert_same({name: value for name, value in file.tensors.items() if name != "own"}, state)
    assert torch.equal(file.tensors["own"], torch.ones(2))
    assert file.beside["hyper_parameters"] == "an object of vanished_framework.Options"
    assert file.beside["callbacks"] == "a dictionary"


class _Hostile:
    """Pickles as a call."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


class _Touching:
    """Does something when it is given a state."""

    def __setstate__(self, path: str) -> None:
        Path(path).touch()


def _attacks(touched: Path) -> dict[str, Any]:
    import copyreg
    import subprocess

    command = f"touch {touched}"
    return {
        "system": _Hostile(os.system, (command,)),
        "eval": _Hostile(eval, (f"__import__('os').system({command!r})",)),
        "exec": _Hostile(exec, (f"open({str(touched)!r}, 'w')",)),
        "popen": _Hostile(subprocess.Popen, (["touch", str(touched)],)),
        "open": _Hostile(open, (str(touched), "w")),
        "copyreg": _Hostile(copyreg._reconstructor, (_Touching, object, None), str(touched)),
    }


ATTACKS = tuple(_attacks(Path("x")))


@both
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_a_hostile_pickle_is_inert(tmp_path: Path, save: Save, attack: str, place: str) -> None:
    touched, path = tmp_path / "touched", tmp_path / "hostile.ckpt"
    bad = _attacks(touched)[attack]
    state = {"weight": torch.ones(2), **({"bad": bad} if place == "inside" else {})}
    save({"state_dict": state, **({"bad": bad} if place == "beside" else {})}, path)
    if place == "beside":
        assert torch.equal(read_checkpoint(path).tensors["weight"], torch.ones(2))
    else:
        with pytest.raises(DataError, match="no state dict of plain tensors: bad is an object of"):
            read_checkpoint(path)
    assert not touched.exists()
    assert pickle.loads(pickle.dumps(_Hostile(os.path.basename, ("a/b",)))) == "b"  # the attacks do work on who lets them


# A list within two tuples, which cannot be hashed: whoever tries has tried to hash a tuple of tuples.
_DEEP = b"]\x85\x85"


def _opcodes(touched: Path) -> dict[str, bytes]:
    command = f"touch {touched}".encode()
    return {
        "INST": b"(S'" + command + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + command + b"'\no.",
        "REDUCE": b"cos\nsystem\n(S'" + command + b"'\ntR.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93(V" + command + b"\ntR.",
        "dotted": b"\x80\x04\x8c\x08builtins\x8c\x0aeval.__call\x93(V1\ntR.",
        "setstate": b"ctorch\nTensor\n)R(S'" + command + b"'\ntb.",
        "BUILD on a class": b"ctorch._utils\n_rebuild_tensor_v2\n}(S'__call__'\ncos\nsystem\nub.",
        "BUILD on an ordered dictionary": b"ccollections\nOrderedDict\n}(S'__setitem__'\ncos\nsystem\nub.",
        "extension": b"\x80\x02\x82\x01.",
        "a large memo": b"\x80\x02Nr\xff\xff\xff\xff.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(S'" + command + b"'\nt\x81.",
        "hostile sizes": b"ctorch._utils\n_rebuild_tensor_v2\n((lS'x'\nI-1\ntR.",
        "a large array of bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**36) + b".",
        "a long number as a key": b"\x80\x02}\x8a\xff" + b"\x7f" * 255 + b"K\x01s.",
        "an endless number as a key": b"\x80\x02}\x8b" + struct.pack("<i", 9999) + b"\x7f" * 9999 + b"K\x01s.",
    }


def _keys() -> dict[str, bytes]:
    # Hashing tuples of tuples can overflow the interpreter's stack, or take until the end of days.
    return {
        "a deep key": b"\x80\x02}" + _DEEP + b"K\x01s.",
        "deep keys": b"\x80\x02}(" + _DEEP + b"K\x01u.",
        "a deep key of a new dictionary": b"\x80\x02(" + _DEEP + b"K\x01d.",
        "a deep key of an ordered dictionary": b"\x80\x02ccollections\nOrderedDict\n]" + _DEEP + b"K\x01\x86a\x85R.",
        "a deep element": b"\x80\x04\x8f(" + _DEEP + b"\x90.",
        "a deep element of a frozen set": b"\x80\x04(" + _DEEP + b"\x91.",
        "a key that shares itself": b"\x80\x02})" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(100)) + b"K\x01s.",
    }


OPCODES = tuple(_opcodes(Path("x")))


@pytest.mark.parametrize("attack", OPCODES)
@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_no_opcode_reaches_anything(tmp_path: Path, attack: str, container: str) -> None:
    touched, path = tmp_path / "touched", tmp_path / "x.ckpt"
    program = _opcodes(touched)[attack]
    if container == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", program)
    else:
        head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": sys.byteorder == "little"})
        path.write_bytes(b"".join(map(pickle.dumps, head)) + program + pickle.dumps([]))
    with pytest.raises(DataError):
        read_checkpoint(path)
    assert not touched.exists()
    assert OrderedDict.__setitem__ is not os.system


@both
def test_names_of_a_file_command_no_terminal(tmp_path: Path, save: Save) -> None:
    save({"state_dict": {"a": torch.ones(1)}, "\x1b[2J": 1, 3: 2}, tmp_path / "beside.ckpt")
    assert read_checkpoint(tmp_path / "beside.ckpt").beside == {"\\x1b[2J": "a number", "3": "a number"}
    save({"a": torch.ones(1), "b\x1b[2J\n": torch.ones(1)}, tmp_path / "name.ckpt")
    with pytest.raises(DataError) as refused:
        read_checkpoint(tmp_path / "name.ckpt")
    assert str(refused.value).endswith("b\\x1b[2J\\n is a tensor")


@pytest.mark.parametrize("attack", _keys())
def test_no_key_brings_the_interpreter_down(tmp_path: Path, attack: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        archive.writestr("x/data.pkl", _keys()[attack])
    with pytest.raises(DataError, match="no state dict"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_names_of_classes_command_no_terminal(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        archive.writestr("x/data.pkl", b"}S'a'\ncos\n\x1b[2J\n)Rs.")
    with pytest.raises(DataError, match=r"a is an object of os\.\\x1b\[2J$"):
        read_checkpoint(tmp_path / "x.ckpt")


_LARGE = b"\x8a\x08" + (2**61).to_bytes(8, "little")


def test_an_empty_tensor_of_impossible_sizes_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.empty(0, 3, 5)}, tmp_path / "x.ckpt")
    _with_pickle(tmp_path / "x.ckpt", lambda program: program.replace(b"K\x03K\x05", _LARGE + _LARGE))
    with pytest.raises(DataError, match="a has impossible sizes"):
        read_checkpoint(tmp_path / "x.ckpt")


@both
def test_no_variable_of_the_environment_changes_that(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    save({"state_dict": state}, tmp_path / "x.ckpt")
    for name in ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
        monkeypatch.setenv(name, "1")
    _assert_same(read_checkpoint(tmp_path / "x.ckpt").tensors, state)


def _with_pickle(path: Path, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


def test_a_tensor_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    for size, stride in (((1000,), (1,)), ((2, 2), (3, 1)), ((10**12,), (0,)), ((2**61, 8), (8, 1))):
        reference = _Hostile(
            torch._utils._rebuild_tensor_v2,
            (
                torch.storage.TypedStorage(wrap_storage=torch.ones(4).untyped_storage(), dtype=torch.float32, _internal=True),
                0,
                size,
                stride,
                False,
                OrderedDict(),
            ),
        )
        torch.save({"state_dict": {"weight": reference}}, path)
        with pytest.raises(DataError, match="weight claims more numbers than there are"):
            read_checkpoint(path)


def test_a_storage_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    torch.save({"weight": torch.ones(7)}, path)
    # The storage's length and the tensor's, both written as K\x07.
    _with_pickle(path, lambda content: content.replace(b"K\x07", b"M\xff\xff"))
    with pytest.raises(DataError, match="weight claims more numbers than there are"):
        read_checkpoint(path)


@both
def test_a_damaged_file_is_one_sentence(tmp_path: Path, state: dict[str, torch.Tensor], save: Save) -> None:
    save({"state_dict": state}, tmp_path / "whole.ckpt")
    content = (tmp_path / "whole.ckpt").read_bytes()
    path = tmp_path / "cut.ckpt"
    for length in (1, 3, 100, len(content) // 2, len(content) - 40):
        path.write_bytes(content[:length])
        with pytest.raises(DataError) as caught:
            read_checkpoint(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_what_is_no_checkpoint_is_said(tmp_path: Path) -> None:
    def fails(name: str, content: bytes, message: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_checkpoint(tmp_path / name)

    with pytest.raises(DataError, match="there is no such file"):
        read_checkpoint(tmp_path / "absent.ckpt")
    fails("empty.ckpt", b"", "the file is empty")
    fails("text.ckpt", b"model:\n  target: x\n", "this is no checkpoint")
    fails("a.safetensors", struct.pack("<Q", 1000) + b"{", "not a whole safetensors file")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "x")
    fails("other.zip", buffer.getvalue(), "was not written by torch.save")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"script/{name}", b"N.")
    with pytest.raises(DataError, match="TorchScript program and no checkpoint"):
        read_checkpoint(tmp_path / "script.pt")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    with pytest.raises(DataError, match="it holds a tensor and no state dict"):
        read_checkpoint(tmp_path / "tensor.pt")
    torch.save({"state_dict": {}, "epoch": 1}, tmp_path / "none.pt")
    with pytest.raises(DataError, match="it is empty"):
        read_checkpoint(tmp_path / "none.pt")
    torch.save({"a": torch.ones(2), "b": 3, "c": torch.ones(2).to_sparse()}, tmp_path / "odd.pt")
    with pytest.raises(DataError, match=r"b is a number, c is an object of torch\._utils\._rebuild_sparse_tensor"):
        read_checkpoint(tmp_path / "odd.pt")
