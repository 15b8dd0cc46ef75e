"""What is said where memory is not enough."""

from __future__ import annotations

import pytest
import torch
import typer

from tamingplat.cli import main
from tamingplat.engine import memory_shortage, out_of_memory, total_memory
from tamingplat.stages.failures import describe


def test_this_machine_has_memory() -> None:
    available = total_memory(torch.device("cpu"))
    assert available is not None and available > 2**26
    assert total_memory(torch.device("meta")) is None


def test_a_need_beyond_the_machine_is_told_with_a_remedy() -> None:
    assert memory_shortage(2**30, 2**30) is None and memory_shortage(2**40, None) is None
    told = memory_shortage(3 * 2**30, 2**31)
    assert told is not None and "needs about 3.0 GiB" in told and "has 2.0 GiB" in told and "train.batch_size" in told


def test_running_out_of_memory_is_told_as_such() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    told = describe(caught.value)
    assert told.startswith("out of memory (") and "evaluate.batch_size" in told and "Traceback" not in told
    assert describe(MemoryError()).startswith("out of memory; take less at a time")
    assert out_of_memory(RuntimeError("shapes do not match")) is None
    assert describe(RuntimeError("shapes do not match")) == "RuntimeError: shapes do not match"


@pytest.mark.parametrize("size", ["torch", "numpy", "other"])
def test_a_command_that_runs_out_of_memory_says_so_in_one_line(
    size: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        if size == "other":
            raise RuntimeError("shapes do not match")
        torch.empty(2**60, dtype=torch.uint8) if size == "torch" else bytearray(2**60)

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    monkeypatch.setattr("tamingplat.cli.app.make_app", lambda: app)
    with pytest.raises(RuntimeError if size == "other" else SystemExit) as left:
        main([])
    if isinstance(left.value, SystemExit):
        told = capsys.readouterr().err
        assert left.value.code == 1 and told.startswith("out of memory") and "--batch-size" in told and told.count("\n") == 1
    else:
        assert str(left.value) == "shapes do not match"


def test_the_remedy_of_a_real_array_that_is_too_large() -> None:
    import numpy as np

    with pytest.raises(MemoryError) as caught:
        np.ones(2**58, dtype=np.uint8)
    assert "Unable to allocate" in describe(caught.value)
