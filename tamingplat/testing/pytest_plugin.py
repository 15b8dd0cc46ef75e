"""Loaded by every pytest run where tamingplat is installed, and so it imports nothing that is heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tamingplat.registry import Registry


@pytest.fixture(scope="session")
def registry_with() -> Callable[..., Registry]:
    """Makes a registry in which only the named plugins exist: ``registry_with("my_plugin", my_package.plugin)``.

    A plugin is named by its entry point, where it is installed, by its module's name, or by the module itself, where it is not.
    """
    from tamingplat.testing.isolation import registry_with

    return registry_with
