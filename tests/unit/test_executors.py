from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from tamingplat_executors import devices
from tamingplat_executors.config import AccelerateConfig, LocalConfig
from tamingplat_executors.distributed import AccelerateExecutor
from tamingplat_executors.inline import InlineExecutor
from tamingplat_executors.local import LocalExecutor
from tamingplat_executors.plugin import tamingplat_components
from tamingplat_executors.process import failure

from tamingplat.interfaces import Executor, NoConfig, Runtime, StageOutcome, StageTask, TamingplatError, field_markers

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU", "WORLD_SIZE", "RANK")


def task(
    key: str, program: str = "", *, needs: Sequence[str] = (), act: Callable[[], None] | None = None, trains: bool = False
) -> StageTask:
    """A stage that runs a Python program, or ``act`` where it runs in this process."""
    command = (sys.executable, "-S", "-c", program)
    return StageTask(key, "encode", f"make {key}", tuple(needs), command, act or (lambda: None), trains)


def run(executor: Executor, tasks: Sequence[StageTask]) -> tuple[dict[str, StageOutcome], list[str]]:
    started: list[str] = []
    outcomes = list(executor.run(tasks, started=started.append))
    assert len({outcome.key for outcome in outcomes}) == len(outcomes) == len(tasks)
    return {outcome.key: outcome for outcome in outcomes}, started


@pytest.fixture
def inline() -> InlineExecutor:
    return InlineExecutor(NoConfig(), {})


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return pretend


def executors() -> list[Executor]:
    return [
        InlineExecutor(NoConfig(), {}),
        LocalExecutor(LocalConfig(jobs=2), {}),
        AccelerateExecutor(AccelerateConfig(cpu=True), {}),
    ]


@pytest.mark.parametrize("executor", executors(), ids=lambda executor: type(executor).__name__)
def test_one_failure_does_not_stop_the_others(executor: Executor) -> None:
    def fail() -> None:
        raise TamingplatError("this went wrong")

    program = "print('log'); print('{\"error\": \"this went wrong\"}'); raise SystemExit(1)"
    tasks = [
        task("e", needs=["d", "c"]),
        task("d", needs=["b"]),
        task("c", needs=["a"]),
        task("b", program, needs=["a"], act=fail),
        task("a", needs=["done long ago"]),
        task("f"),
    ]
    outcomes, started = run(executor, tasks)
    assert {key: outcome.status for key, outcome in outcomes.items()} == {
        "a": "done", "b": "failed", "c": "done", "d": "skipped", "e": "skipped", "f": "done"
    }  # fmt: skip
    assert outcomes["b"].error == "this went wrong"
    assert outcomes["d"].error == outcomes["e"].error == "it needs 'make b', which failed"
    assert set(started) == {"a", "b", "c", "f"} and started.index("a") < min(started.index("b"), started.index("c"))
    assert outcomes["a"].error == "" and outcomes["a"].seconds > 0 and outcomes["d"].seconds == 0


@pytest.mark.parametrize("executor", executors(), ids=lambda executor: type(executor).__name__)
def test_nothing_to_do_is_no_trouble(executor: Executor) -> None:
    assert run(executor, []) == ({}, [])


def test_inputs_come_first_and_then_the_given_order(inline: InlineExecutor) -> None:
    ran: list[str] = []
    needed = {"c": "b", "x": "", "b": "a", "a": "", "y": ""}
    tasks = [task(key, needs=needs, act=lambda key=key: ran.append(key)) for key, needs in needed.items()]
    outcomes, started = run(inline, tasks)
    assert ran == started == ["x", "a", "b", "c", "y"]
    assert all(outcome.status == "done" for outcome in outcomes.values())


def test_stages_that_wait_for_each_other_are_a_fault(inline: InlineExecutor) -> None:
    with pytest.raises(AssertionError, match="wait for each other"):
        run(inline, [task("a", needs="b"), task("b", needs="a")])
    with pytest.raises(AssertionError, match="one key"):
        run(inline, [task("a"), task("a")])


def test_outcomes_come_as_stages_end(inline: InlineExecutor) -> None:
    ran: list[str] = []
    tasks = [task(key, act=lambda key=key: ran.append(key)) for key in "ab"]
    for number, _ in enumerate(inline.run(tasks, started=ran.append), 1):
        assert ran == ["a", "a", "b", "b"][: 2 * number]


def test_unexpected_errors_carry_their_type(inline: InlineExecutor) -> None:
    def divide() -> None:
        print(1 / 0)

    def stop() -> None:
        raise StopIteration

    outcomes, _ = run(inline, [task("a", act=divide), task("b", act=stop)])
    assert outcomes["a"].error == "ZeroDivisionError: division by zero"
    assert outcomes["b"].error == "StopIteration"


def test_an_interrupt_passes_through(inline: InlineExecutor) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(inline, [task("a", act=interrupt), task("b")])


def report(path: Path) -> str:
    """A program that writes the interesting part of its environment to a file named after its rank."""
    return (
        "import json, os\n"
        f"values = {{name: os.environ[name] for name in {VARIABLES} if name in os.environ}}\n"
        f"open({str(path)!r} + os.environ.get('RANK', ''), 'w').write(json.dumps(values))"
    )


def seen_by(executor: Executor, folder: Path, count: int = 1) -> list[dict[str, str]]:
    """Run stages and return the environments that they saw."""
    paths = [folder / f"{time.monotonic_ns()}-{number}" for number in range(count)]
    outcomes, _ = run(executor, [task(str(number), report(path)) for number, path in enumerate(paths)])
    assert all(outcome.status == "done" for outcome in outcomes.values()), outcomes
    return [json.loads(path.read_text()) for path in paths]


def test_cores_are_divided_among_jobs(tmp_path: Path, two_cores: None, gpus: Callable[[int], None]) -> None:
    gpus(0)
    (alone,) = seen_by(LocalExecutor(LocalConfig(), {}), tmp_path)
    assert alone["OMP_NUM_THREADS"] == alone["MKL_NUM_THREADS"] == "2" and "CUDA_VISIBLE_DEVICES" not in alone
    for config, threads in ((LocalConfig(jobs=2), "1"), (LocalConfig(jobs=4), "1"), (LocalConfig(jobs=2, threads=3), "3")):
        (seen,) = seen_by(LocalExecutor(config, {}), tmp_path)
        assert seen["OMP_NUM_THREADS"] == seen["MKL_NUM_THREADS"] == threads
    (named,) = seen_by(LocalExecutor(LocalConfig(devices=("cpu",)), {}), tmp_path)
    assert named["CUDA_VISIBLE_DEVICES"] == "" and named["ACCELERATE_USE_CPU"] == "1"


def test_each_job_has_a_device(tmp_path: Path, two_cores: None, gpus: Callable[[int], None]) -> None:
    gpus(3)

    def of(**settings: object) -> list[str]:
        slots = LocalExecutor(LocalConfig.model_validate(settings), {})._environments
        return [slot["CUDA_VISIBLE_DEVICES"] for slot in slots]

    assert of() == ["0", "1", "2"]
    assert of(jobs=2) == ["0", "1"]
    assert of(jobs=4) == ["0", "1", "2", "0"]
    assert of(devices=[2, "GPU-8f2a"]) == ["2", "GPU-8f2a"]
    seen = seen_by(LocalExecutor(LocalConfig(jobs=1), {}), tmp_path, 2)
    assert [variables["CUDA_VISIBLE_DEVICES"] for variables in seen] == ["0", "0"]


def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch, gpus: Callable[[int], None]) -> None:
    gpus(1)
    with pytest.raises(TamingplatError, match="no GPU 1; visible are: 0"):
        LocalExecutor(LocalConfig(devices=(1,)), {})
    with pytest.raises(TamingplatError, match="2 processes need as many GPUs, and visible are: 0; set fewer"):
        AccelerateExecutor(AccelerateConfig(processes=2), {})
    AccelerateExecutor(AccelerateConfig(processes=2, cpu=True), {})
    gpus(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    assert devices.visible_gpus() == ("5", "7")
    with pytest.raises(TamingplatError, match="no GPU 0; visible are: 5, 7"):
        LocalExecutor(LocalConfig(devices=(0,)), {})


@pytest.mark.parametrize("named", [["cuda"], ["cuda:0"], [-1], [""], [0, "0"], ["cpu", 0]])
def test_names_that_are_no_devices_are_refused(named: list[object]) -> None:
    with pytest.raises(ValidationError, match="devices"):
        LocalConfig.model_validate({"devices": named})


def test_no_setting_changes_a_result() -> None:
    for config in (LocalConfig, AccelerateConfig):
        assert all(Runtime() in markers for markers in field_markers(config).values())


def test_the_components_can_be_built() -> None:
    built = {component.name: component for component in tamingplat_components()}
    assert list(built) == ["inline", "local", "accelerate"]
    assert [component.config for component in built.values()] == [NoConfig, LocalConfig, AccelerateConfig]


def test_stages_run_side_by_side_and_no_more_than_asked(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "mine = str(os.getpid())\n"
        "open('FOLDER/' + mine, 'w').close()\n"
        "deadline = time.monotonic() + 20\n"
        "while len(os.listdir('FOLDER')) < LEAST and time.monotonic() < deadline: time.sleep(0.01)\n"
        "print(len(os.listdir('FOLDER')), file=open('LOG/' + mine, 'w'))\n"
        "time.sleep(0.1)\n"
        "os.remove('FOLDER/' + mine)"
    )
    for jobs in (1, 2):
        folder, log = tmp_path / f"running{jobs}", tmp_path / f"log{jobs}"
        folder.mkdir()
        log.mkdir()
        filled = program.replace("FOLDER", str(folder)).replace("LOG", str(log)).replace("LEAST", str(jobs))
        outcomes, _ = run(LocalExecutor(LocalConfig(jobs=jobs), {}), [task(key, filled) for key in "abcd"])
        assert all(outcome.status == "done" for outcome in outcomes.values()), outcomes
        assert {int(path.read_text()) for path in log.iterdir()} == {jobs}


def test_what_a_process_says_of_its_failure_is_kept(tmp_path: Path) -> None:
    programs = {
        "status": "import sys; sys.stderr.write('\\n'.join(map(str, range(100)))); sys.exit(3)",
        "signal": "import os; os.kill(os.getpid(), 9)",
        "huge": "import sys\nfor _ in range(300): print('x' * 10000); sys.stderr.write('y' * 10000)\n"
        'print(\'{"error": "full"}\'); sys.exit(1)',
        "loud": "import sys; print('x' * 5000000); sys.stderr.write('y' * 5000000)",
        "kind": 'print(\'{"error": "but it worked"}\')',
    }
    outcomes, _ = run(LocalExecutor(LocalConfig(jobs=2), {}), [task(key, program) for key, program in programs.items()])
    lines = outcomes["status"].error.splitlines()
    assert lines[0] == "the process ended with status 3:" and lines[1:] == [str(number) for number in range(88, 100)]
    assert outcomes["signal"].error == "the process was ended by SIGKILL, as the system does when memory runs out"
    assert outcomes["huge"].error == "full"
    assert outcomes["loud"].status == outcomes["kind"].status == "done"


def test_a_command_that_does_not_exist_fails_alone() -> None:
    missing = StageTask("a", "encode", "a", (), ("/nowhere/python", "-c", ""), lambda: None)
    outcomes, _ = run(LocalExecutor(LocalConfig(), {}), [missing, task("b")])
    assert outcomes["a"].status == "failed" and "/nowhere/python: No such file" in outcomes["a"].error
    assert outcomes["b"].status == "done"


def test_the_first_of_several_stated_errors_is_the_cause() -> None:
    output = 'step 1\n{"error": "out of memory"}\n{"error": "connection closed by peer"}\n\n'
    assert failure(1, output, "") == "out of memory"
    assert failure(1, '{"error": "old"}\nlater\n', "") == "the process ended with status 1"
    assert failure(1, '[]\n{"error": 3}\n{"error": ""}\n', "last words\n") == "the process ended with status 1:\nlast words"
    assert failure(-64, "", "").startswith("the process was ended by ")


def test_processes_and_threads_of_trainings(
    monkeypatch: pytest.MonkeyPatch, two_cores: None, gpus: Callable[[int], None]
) -> None:
    def launched(trains: bool, **settings: object) -> tuple[str, str, str | None]:
        executor = AccelerateExecutor(AccelerateConfig.model_validate(settings), {})
        command, added = executor._launch(task("a", "pass", trains=trains))
        assert list(command)[-4:] == [sys.executable, "-S", "-c", "pass"]
        count = command[command.index("--nproc_per_node") + 1] if "--nproc_per_node" in command else "alone"
        return count, added["OMP_NUM_THREADS"], added.get("ACCELERATE_USE_CPU")

    gpus(0)
    assert launched(True) == ("2", "1", "1")
    assert launched(False) == ("alone", "2", "1")
    assert launched(True, processes=1) == ("alone", "2", "1")
    assert launched(True, processes=3, threads_per_process=2) == ("3", "2", "1")
    gpus(4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(32)))
    assert launched(True) == ("4", "8", None)
    assert launched(False) == ("alone", "32", None)
    assert launched(True, processes=2) == ("2", "16", None)
    assert launched(True, cpu=True) == ("2", "16", "1")
