"""Reading a pickle without executing anything from it.

A pickle is a program: it names functions and classes by module and name, calls them, and hands states to what they return. Here
every name becomes something of this file. Functions that rebuild tensors become ``_Rebuild``, which only notes what was asked
for; kinds of storage, kinds of numbers and ordered dictionaries are taken for what they are; everything else becomes a
placeholder, a class made for the occasion that takes any arguments, any state and any items, and does nothing. No module is
imported, whatever the file names.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import IO, Any, ClassVar

import torch

from tamingplat.engine.inert_objects import Inert, Placeholder, StorageReference, StorageType, TensorReference

DAMAGES = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
"""What unpickling raises where the bytes are no pickle, or do what no writer of checkpoints does."""

_STORAGES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        "DoubleStorage": torch.float64,
        "FloatStorage": torch.float32,
        "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16,
        "LongStorage": torch.int64,
        "IntStorage": torch.int32,
        "ShortStorage": torch.int16,
        "CharStorage": torch.int8,
        "ByteStorage": torch.uint8,
        "BoolStorage": torch.bool,
        "UntypedStorage": torch.uint8,
    }
)

_DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {
        str(dtype).removeprefix("torch."): dtype
        for dtype in (
            torch.float64,
            torch.float32,
            torch.float16,
            torch.bfloat16,
            torch.int64,
            torch.int32,
            torch.int16,
            torch.int8,
            torch.uint8,
            torch.bool,
            torch.float8_e4m3fn,
            torch.float8_e5m2,
        )
    }
)

_PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
_SUBCLASS = "_rebuild_from_type_v2"


class _Dictionary(OrderedDict[Any, Any]):
    """An ordered dictionary without attributes of the file's choosing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Takes an item, under a key that can be one."""
        super().__setitem__(_key(key), value)

    def __setstate__(*arguments: Any) -> None:
        """Forgets the state, such as the versions of modules that torch notes beside a state dict."""


class _Dtype(Inert):
    """A type of numbers that a tensor names by itself."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Rebuild(Inert):
    """Stands for a function that makes a tensor: calling it describes the tensor."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> object:
        """A ``TensorReference``, or something inert where the arguments describe none."""
        if self.name == _SUBCLASS:  # its arguments: a function such as this one, the class, the function's arguments, a state
            if len(arguments) == 4 and isinstance(arguments[0], _Rebuild) and isinstance(arguments[2], tuple):
                return arguments[0](*arguments[2])
            return Placeholder()
        if self.name in _PARAMETERS:
            return arguments[0] if arguments and isinstance(arguments[0], TensorReference) else Placeholder()
        return _described(self.name, arguments) or Placeholder()


def _described(name: str, arguments: tuple[Any, ...]) -> TensorReference | None:
    if len(arguments) < 4:
        return None
    storage, offset, size, stride = arguments[:4]
    if not (isinstance(storage, StorageReference) and _whole((offset,)) and _whole(size) and _whole(stride)):
        return None
    dtype = storage.dtype
    if name == "_rebuild_tensor_v3":
        if len(arguments) < 7 or not isinstance(arguments[6], _Dtype):
            return None
        dtype = arguments[6].dtype
    # A seventh argument of v2 says that numbers are to be conjugated or negated, which no plain tensor of weights needs.
    elif len(arguments) > 6 and arguments[6]:
        return None
    return TensorReference(storage, offset, tuple(size), tuple(stride), dtype)


def _whole(numbers: object) -> bool:
    return isinstance(numbers, tuple | list) and all(type(number) is int and 0 <= number < 2**62 for number in numbers)


def _key(key: Any) -> Any:
    """What a key of a dictionary or an element of a set becomes.

    Hashing a tuple goes down through all tuples in it, without end in sight where they share each other, and until the
    interpreter falls over where they are nested a million deep. A tuple of tuples is no key of any state dict.
    """
    return Placeholder() if isinstance(key, tuple) and any(isinstance(part, tuple) for part in key) else key


class _Unpickler(pickle._Unpickler):
    """Unpickles one object.

    The unpickler that is written in Python: the one in C sets aside as much memory as the file says that it needs. So does
    this one for an array of bytes, which no checkpoint has and which is refused.

    Attributes:
        widths: Bytes per number of every storage that was named, by its key.
        stack: What was read since the last mark of the pickle.
    """

    stack: list[Any]

    def __init__(self, file: IO[bytes]) -> None:
        # Old files hold texts of Python 2, which may be in any encoding: none of them is a name that matters here.
        super().__init__(file, encoding="utf-8", errors="surrogateescape")
        self.widths: dict[str, int] = {}
        self._found: dict[tuple[str, str], object] = {}

    def _set_item(self) -> None:
        self.stack[-2] = _key(self.stack[-2])
        super().load_setitem()  # type: ignore[misc]

    def _set_items(self) -> None:
        self.stack[::2] = map(_key, self.stack[::2])
        super().load_setitems()  # type: ignore[misc]

    def _dictionary(self) -> None:
        self.stack[::2] = map(_key, self.stack[::2])
        super().load_dict()  # type: ignore[misc]

    def _add_items(self) -> None:
        self.stack[:] = map(_key, self.stack)
        super().load_additems()  # type: ignore[misc]

    def _frozen_set(self) -> None:
        self.stack[:] = map(_key, self.stack)
        super().load_frozenset()  # type: ignore[misc]

    def _byte_array(self) -> None:
        raise pickle.UnpicklingError("an array of bytes")

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.DICT[0]: _dictionary,
        pickle.ADDITEMS[0]: _add_items,
        pickle.FROZENSET[0]: _frozen_set,
        pickle.BYTEARRAY8[0]: _byte_array,
    }

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; nothing is imported and nothing looked up."""
        if (module, name) not in self._found:
            self._found[module, name] = self._stand_in(module, name)
        return self._found[module, name]

    @staticmethod
    def _stand_in(module: str, name: str) -> object:
        if module == "collections" and name == "OrderedDict":
            # A class of its own, so that nothing that the file does to it lasts.
            return type("OrderedDict", (_Dictionary,), {})
        if module == "torch._tensor" and name == _SUBCLASS:
            return _Rebuild(name)
        if module == "torch._utils" and name in (*_TENSORS, *_PARAMETERS):
            return _Rebuild(name)
        if module in ("torch", "torch.cuda", "torch.storage") and name in _STORAGES:
            return StorageType(_STORAGES[name])
        if module == "torch" and name in _DTYPES:
            return _Dtype(_DTYPES[name])
        if module == "torch" and name == "Size":
            return _Size()
        return type(f"{module}.{name}".replace("\0", ""), (Placeholder,), {"__slots__": ()})

    def persistent_load(self, pid: Any) -> Any:
        """A storage, as ``torch.save`` names it; the class, where the legacy format keeps a module's source beside it."""
        if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], StorageType):
            _, kind, key, _, numel, *view = pid
            if isinstance(key, str) and _whole((numel,)):
                self.widths.setdefault(key, kind.dtype.itemsize)
                if not view or view[0] is None:
                    return StorageReference(key, kind.dtype, numel)
                if isinstance(view[0], tuple) and len(view[0]) == 3 and _whole(view[0][1:]):
                    return StorageReference(key, kind.dtype, numel, view[0][1])
        if isinstance(pid, tuple) and len(pid) >= 2 and pid[0] == "module":
            return pid[1]
        return Placeholder()


class _Size(Inert):
    """Stands for ``torch.Size``."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> object:
        """The sizes as they are, where they are sizes."""
        return tuple(arguments[0]) if len(arguments) == 1 and _whole(arguments[0]) else Placeholder()


def load_inert(file: IO[bytes]) -> tuple[Any, dict[str, int]]:
    """The next object of a stream of pickles, and the bytes per number of every storage that it names, by the storage's key.

    The object is made of numbers, texts, lists, tuples, sets, dictionaries, ``TensorReference`` and placeholders.

    Raises:
        Exception: One of ``DAMAGES``.
    """
    unpickler = _Unpickler(file)
    return unpickler.load(), unpickler.widths
