"""What the unit tests share."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def toys(fixture_module: Callable[[str], ModuleType]) -> ModuleType:
    """The small models and data for the tests of the training loop."""
    return fixture_module("engine_toys")


@pytest.fixture(scope="session")
def page_results(fixture_module: Callable[[str], ModuleType]) -> ModuleType:
    """The made-up results for the tests of the page, ``RESULTS``, and what they are made of."""
    return fixture_module("page_results")


@pytest.fixture(scope="session")
def view_results(fixture_module: Callable[[str], ModuleType]) -> ModuleType:
    """The made-up results for the tests of what ``compare`` shows, ``RESULTS``, and what they are made of."""
    return fixture_module("view_results")
