"""The result of a component in another process, one that serves all components and lives as long as this one."""

from __future__ import annotations

import functools
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from tamingplat.testing.request import Request
from tamingplat.testing.subject import Subject
from tamingplat.testing.verdicts import NotApplicable

_PATIENCE = 120


@functools.cache
def _other_process() -> ProcessPoolExecutor:
    # Started and not forked: torch's threads do not survive a fork, and data workers may be started so, too.
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def result_elsewhere(subject: Subject) -> list[Tensor]:
    """What another process gets that builds the component from the same settings and seed.

    Raises:
        NotApplicable: What the request holds cannot be sent to another process.
    """
    request = subject.request
    plugin = request.plugin
    if isinstance(plugin, ModuleType) and plugin.__spec__ is not None:
        plugin = plugin.__name__
    request = Request(**{**vars(request), "plugin": plugin})
    try:
        pickled = pickle.dumps((request, torch.get_num_threads()))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise NotApplicable(f"what it is examined with cannot be sent to another process: {error}") from error
    arrays = _other_process().submit(_result, pickled, sys.path).result(timeout=_PATIENCE)
    if isinstance(arrays, str):
        raise NotApplicable(f"what it is examined with cannot be read in another process: {arrays}")
    return [torch.from_numpy(array) for array in arrays]


def read_elsewhere(pickled: bytes, calls: list[tuple[str, int, int]]) -> list[dict[str, np.ndarray]]:
    """What a dataset that is sent to another process reads there, for each (split, index, view)."""
    return _other_process().submit(_read, pickled, calls, sys.path).result(timeout=_PATIENCE)


def _result(pickled: bytes, path: list[str]) -> list[np.ndarray] | str:
    sys.path[:] = path  # as it is now: the process may be older than the folder of a plugin
    try:
        request, threads = pickle.loads(pickled)
    except (ImportError, AttributeError) as error:  # parts of a class that is defined in a test file, say
        return str(error)
    torch.set_num_threads(threads)
    subject = Subject(request)
    with subject.reproducible():
        return [tensor.detach().numpy() for tensor in subject.result(subject.built)]


def _read(pickled: bytes, calls: list[tuple[str, int, int]], path: list[str]) -> list[dict[str, np.ndarray]]:
    sys.path[:] = path
    dataset = pickle.loads(pickled)
    return [dataset.read(*call) for call in calls]
