"""Executors whose processes are interrupted, killed, left behind, or spread over several by torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tamingplat_executors.config import AccelerateConfig
from tamingplat_executors.distributed import AccelerateExecutor
from tamingplat_executors.pool import run_processes

from tamingplat.interfaces import StageOutcome, StageTask

SLEEPER = """
import os, signal, sys, time
path = sys.argv[1] + os.environ.get("RANK", "")
def interrupted(*_):
    open(path + ".interrupted", "w").close()
    ENDING
signal.signal(signal.SIGINT, interrupted)
with open(path + ".partial", "w") as file:
    file.write(str(os.getpid()))
os.rename(path + ".partial", path)
while True:
    time.sleep(600)
"""
DRIVER = """
import sys
from tamingplat.interfaces import StageTask
command = (sys.executable, "-S", "-c", sys.argv[1])
tasks = [StageTask(key, "encode", key, (), (*command, sys.argv[2] + "/" + key), lambda: None, True) for key in sys.argv[3]]
BUILD
try:
    for outcome in outcomes:
        print(outcome, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
POOL = """
from tamingplat_executors.pool import run_processes
outcomes = run_processes(tasks, [lambda task: (task.command, {})] * 2, started=lambda key: None, stop_seconds=SECONDS)
"""
TORCHRUN = """
from tamingplat_executors.config import AccelerateConfig
from tamingplat_executors.distributed import AccelerateExecutor
outcomes = AccelerateExecutor(AccelerateConfig(processes=2, cpu=True), {}).run(tasks, started=lambda key: None)
"""

Drive = Callable[..., tuple["subprocess.Popen[str]", dict[str, int]]]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.02)


def has_ended(process: int) -> bool:
    """One that nobody has collected yet has ended, too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """Start a process that runs stages which never end; returns it and the processes of the stages."""
    drivers: list[subprocess.Popen[str]] = []

    def start(
        build: str, keys: str, files: Sequence[str], ending: str = "pass"
    ) -> tuple[subprocess.Popen[str], dict[str, int]]:
        program, sleeper = DRIVER.replace("BUILD", build), SLEEPER.replace("ENDING", ending)
        command = [sys.executable, "-c", program, sleeper, str(tmp_path), keys]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        drivers.append(driver)
        wait_for(lambda: all((tmp_path / name).exists() for name in files) or driver.poll() is not None)
        assert driver.poll() is None
        return driver, {name: int((tmp_path / name).read_text()) for name in files}

    yield start
    for driver in drivers:
        with driver:  # closes the pipe and waits
            driver.kill()


def collect(outcomes: Iterator[StageOutcome]) -> dict[str, StageOutcome]:
    return {outcome.key: outcome for outcome in outcomes}


def make_task(key: str, program: str, *, needs: str = "", trains: bool = False) -> StageTask:
    command = (sys.executable, "-S", "-c", program)
    return StageTask(key, "encode", key, tuple(needs), command, lambda: None, trains)


def launch(task: StageTask) -> tuple[Sequence[str], Mapping[str, str]]:
    return task.command, {}


def test_an_interrupt_reaches_the_stages_and_waits_for_them(drive: Drive, tmp_path: Path) -> None:
    driver, stages = drive(POOL.replace("SECONDS", "60"), "ab", "ab", ending="time.sleep(0.3); sys.exit(1)")
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=30)
    assert output == "interrupted\n"
    assert all((tmp_path / f"{name}.interrupted").exists() and has_ended(process) for name, process in stages.items())


def test_stages_that_do_not_stop_are_made_to(drive: Drive, tmp_path: Path) -> None:
    driver, stages = drive(POOL.replace("SECONDS", "0.3"), "a", "a")
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=30)
    assert output == "interrupted\n" and (tmp_path / "a.interrupted").exists() and has_ended(stages["a"])


def test_a_second_interrupt_does_not_wait(drive: Drive, tmp_path: Path) -> None:
    driver, stages = drive(POOL.replace("SECONDS", "600"), "a", "a")
    driver.send_signal(signal.SIGINT)
    wait_for((tmp_path / "a.interrupted").exists)
    assert driver.poll() is None and not has_ended(stages["a"])
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=30)
    assert output == "interrupted\n" and has_ended(stages["a"])


def test_stages_end_when_their_executor_is_killed(drive: Drive) -> None:
    driver, stages = drive(POOL.replace("SECONDS", "60"), "ab", "ab")
    driver.kill()
    wait_for(lambda: all(map(has_ended, stages.values())), 10)


def test_stages_end_when_nobody_listens_any_more(tmp_path: Path) -> None:
    sleeper = SLEEPER.replace("sys.argv[1]", repr(str(tmp_path / "a"))).replace("ENDING", "sys.exit(1)")
    waiter = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'a')!r}): time.sleep(0.01)"
    tasks = [make_task("a", sleeper), make_task("b", waiter), make_task("c", "pass", needs="a")]
    with closing(run_processes(tasks, [launch] * 2, started=lambda key: None, stop_seconds=30)) as outcomes:
        assert next(outcomes).key == "b"
    assert has_ended(int((tmp_path / "a").read_text())) and (tmp_path / "a.interrupted").exists()


def test_what_a_stage_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    behind = tmp_path / "behind"
    program = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        f"    open({str(behind)!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        f"while not os.path.exists({str(behind)!r}) or not open({str(behind)!r}).read(): time.sleep(0.01)"
    )
    outcomes = collect(run_processes([make_task("a", program)], [launch], started=lambda key: None, stop_seconds=1))
    assert outcomes["a"].status == "done" and outcomes["a"].seconds < 60
    wait_for(lambda: has_ended(int(behind.read_text())), 10)


@pytest.mark.slow
def test_a_training_runs_under_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU", "WORLD_SIZE", "RANK")

    def report(key: str) -> str:
        path = str(tmp_path / key)
        values = f"{{name: os.environ[name] for name in {names} if name in os.environ}}"
        return f"import json, os\nopen({path!r} + os.environ.get('RANK', ''), 'w').write(json.dumps({values}))"

    def seen(name: str) -> Any:
        return json.loads((tmp_path / name).read_text())

    wrong = (
        "import os, sys, time\nos.environ['RANK'] == '0' and time.sleep(600)\nprint('{\"error\": \"no codes\"}'); sys.exit(1)"
    )
    tasks = [
        make_task("a", report("a"), trains=True),
        make_task("b", report("b"), needs="a"),
        make_task("c", wrong, trains=True),
    ]
    outcomes = collect(AccelerateExecutor(AccelerateConfig(processes=2, cpu=True), {}).run(tasks, started=lambda key: None))
    assert outcomes["a"].status == outcomes["b"].status == "done", outcomes
    common = {"MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "1"}
    assert [seen(f"a{rank}") for rank in range(2)] == [{**common, "WORLD_SIZE": "2", "RANK": str(rank)} for rank in range(2)]
    assert seen("b")["OMP_NUM_THREADS"] == "2" and "WORLD_SIZE" not in seen("b")
    assert (outcomes["c"].status, outcomes["c"].error) == ("failed", "no codes")


@pytest.mark.slow
def test_an_interrupt_reaches_every_process_of_a_training(drive: Drive, tmp_path: Path) -> None:
    driver, workers = drive(TORCHRUN, "a", ["a0", "a1"], ending="sys.exit(1)")
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=60)
    assert output == "interrupted\n"
    assert all((tmp_path / f"{name}.interrupted").exists() and has_ended(process) for name, process in workers.items())


@pytest.mark.slow
def test_every_process_of_a_training_ends_when_the_executor_is_killed(drive: Drive) -> None:
    driver, workers = drive(TORCHRUN, "a", ["a0", "a1"], ending="sys.exit(1)")
    driver.kill()
    wait_for(lambda: all(map(has_ended, workers.values())), 60)
