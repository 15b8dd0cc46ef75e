"""What is recorded beside a result and stays out of its key: the code, the packages and the machine that made it."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import tamingplat
from tamingplat.interfaces import ENTRY_POINT_GROUP, PROJECT

_GIT_SECONDS = 10.0
_REDACTED = "[redacted]"
_SECRET = r"(?<![a-z])(?:token|secret|password|passwd|passphrase|credentials?|(?:api|access)[-_]?key)(?![a-z])"
"""Whole words, for a tokenizer is no secret."""

_SECRET_ASSIGNMENT = re.compile(rf"([^=]*{_SECRET}[^=]*)=.*", re.IGNORECASE | re.DOTALL)
_SECRET_OPTION = re.compile(rf"--?[\w.-]*{_SECRET}[\w.-]*", re.IGNORECASE)
_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


Source = dict[str, str | bool] | None


def provenance(git: Source, *, device: str | None, threads: int | None, processes: int | None) -> dict[str, Any]:
    """Where a result comes from.

    Args:
        git: What ``source`` returned when the work began.
        device: What it was computed on, in words, where that is known.
        threads: Threads per process; ``None`` takes ``OMP_NUM_THREADS``, or the cores that this process may use.
        processes: ``None`` takes ``WORLD_SIZE``, or 1.

    Returns:
        ``git``, ``packages``, ``python``, ``platform``, ``host``, ``device``, ``threads``, ``processes`` and ``command``,
        from which secrets are removed.
    """
    return {
        "git": git,
        "packages": _packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "device": device,
        "threads": threads if threads is not None else _number("OMP_NUM_THREADS", _cores()),
        "processes": processes if processes is not None else _number("WORLD_SIZE", 1),
        "command": redact(sys.orig_argv),
    }


def redact(command: Sequence[str]) -> list[str]:
    """A command line without the values that its options' names call secret, users in addresses, and hub tokens."""
    kept: list[str] = []
    hide_next = False
    for argument in command:
        if hide_next and not argument.startswith("-"):
            kept.append(_REDACTED)
            hide_next = False
            continue
        hide_next = _SECRET_OPTION.fullmatch(argument) is not None
        argument = _SECRET_ASSIGNMENT.sub(rf"\1={_REDACTED}", argument)
        kept.append(_HUB_TOKEN.sub(_REDACTED, _USER_IN_ADDRESS.sub(_REDACTED, argument)))
    return kept


def source() -> Source:
    """The checkout that tamingplat runs from: ``commit``, and ``dirty`` where tracked files differ from it. Else ``None``."""
    package = Path(tamingplat.__file__).resolve().parent
    # An installed package can lie in an environment inside somebody's checkout, whose commit says nothing about it.
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}


def _git(package: Path, *arguments: str) -> str | None:
    """What git answers, or ``None`` where there is no git or it refuses."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # never stand in the way of someone's commit
    command = ["git", "-C", str(package), *arguments]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_GIT_SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _packages() -> dict[str, str]:
    """Versions of tamingplat, of what it requires, and of the distributions of all plugins."""
    versions = {PROJECT: tamingplat.__version__}
    names: set[str] = set()
    try:
        required = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:
        required = []
    for requirement in required:
        match = _REQUIREMENT_NAME.match(requirement)
        if match and "extra ==" not in requirement:
            names.add(match.group())
    for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if entry_point.dist is not None:
            versions[entry_point.dist.name] = entry_point.dist.version
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an optional requirement of this platform
    return dict(sorted(versions.items()))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _number(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else otherwise
