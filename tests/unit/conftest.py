"""What the unit tests share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def toys() -> ModuleType:
    """The small models and data for the tests of the training loop."""
    path = Path(__file__).parents[1] / "fixtures" / "engine_toys.py"
    spec = importlib.util.spec_from_file_location("engine_toys", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["engine_toys"] = module
    spec.loader.exec_module(module)
    return module
