"""The command line's frame and ``plugins``: exit statuses, JSON, no torch, and rows that no pipe shortens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat import __version__
from tamingplat.cli import main

Run = Callable[..., tuple[int, str, str]]

BROKEN = "raise RuntimeError('it is broken on purpose')\n"
WORKING = """\
from pydantic import Field
from tamingplat.interfaces import Component, Config, TrainingSettings, hookimpl

print("noise at import")

class Settings(Config):
    width: int = Field(8, ge=1, description="Width [in tokens], " + "told at length, " * 20 + "to the end.")
    rate: float = Field(gt=0, description="Rate.")

@hookimpl
def tamingplat_components():
    return [
        Component(
            kind="prior", name="from-outside", factory="cli_outside:Missing", summary="A [prior] from outside",
            config=Settings, paper="https://example.org", training=TrainingSettings(steps=7),
            illustration="cli_outside_picture:draw",
        )
    ]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with one distribution of a working and a broken plugin; the working directory is another."""
    folder = tmp_path / "site"
    info = folder / "cli_outside-3.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cli-outside\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(
        "[tamingplat.plugins]\ncli_outside = cli_outside_plugin\ncli_outside_broken = cli_outside_broken\n"
    )
    (folder / "cli_outside_plugin.py").write_text(WORKING)
    (folder / "cli_outside_broken.py").write_text(BROKEN)
    (folder / "cli_outside_picture.py").write_text("def draw():\n    return '0 [1]\\n2  3'\n")
    monkeypatch.syspath_prepend(folder)
    for module in folder.glob("*.py"):
        monkeypatch.delitem(sys.modules, module.stem, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("TAMINGPLAT_REGISTRY", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return folder


@pytest.fixture
def run(site: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        captured = capsys.readouterr()
        code = exit_.value.code
        assert isinstance(code, int)
        return code, captured.out, captured.err

    return run_command


def _row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (row,) = [row for row in rows if row["name"] == name]
    return row


def test_the_list_is_rows_in_json_and_nothing_else(run: Run) -> None:
    code, out, err = run("plugins", "list", "--json")
    assert code == 0
    rows = json.loads(out)
    fields = {"kind", "name", "summary", "distribution", "version", "status", "enabled", "error"}
    assert all(set(row) == fields for row in rows)
    assert _row(rows, "from-outside") == {
        "kind": "prior",
        "name": "from-outside",
        "summary": "A [prior] from outside",
        "distribution": "cli-outside",
        "version": "3.1",
        "status": "experimental",
        "enabled": True,
        "error": "",
    }
    broken = _row(rows, "cli_outside_broken")
    assert (broken["kind"], broken["distribution"], broken["version"]) == ("plugin", "cli-outside", "3.1")
    assert "RuntimeError: it is broken on purpose" in broken["error"]
    assert "noise at import" in err


def test_one_kind_alone_is_listed_on_request(run: Run) -> None:
    rows = json.loads(run("plugins", "list", "--json", "--kind", "prior")[1])
    assert {row["kind"] for row in rows} == {"prior", "plugin"}
    rows = json.loads(run("plugins", "list", "--json", "--kind", "checkpoint_format")[1])
    assert [row["name"] for row in rows] == ["taming", "cli_outside_broken"]


def test_the_table_is_neither_shortened_nor_wrapped_in_a_pipe(run: Run) -> None:
    code, out, _ = run("plugins", "list")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "from-outside" in line]
    assert line.split() == ["prior", "from-outside", "A", "[prior]", "from", "outside", "cli-outside", "3.1", "experimental"]
    assert "plugin:cli_outside_broken: importing cli_outside_broken failed: RuntimeError: it is broken on purpose" in out
    assert "…" not in out


def test_a_blocked_plugin_and_a_missing_one_are_told_below_the_table(run: Run) -> None:
    Path("registry.toml").write_text(
        'schema = 1\n[plugin.cli_outside]\nenabled = false\nprovides = ["prior:from-outside"]\n'
        '[plugin.faraway]\ndistribution = "far-away-dist"\nprovides = ["sampler:faraway"]\n'
    )
    _, out, _ = run("plugins", "list")
    assert "cli_outside: `enabled = false` in registry.toml" in out
    assert "faraway (sampler:faraway): install it: pip install far-away-dist" in out
    (line,) = [line for line in out.splitlines() if line.startswith("prior") and "from-outside" in line]
    assert line.rstrip().endswith("not used")
    code, _, err = run("plugins", "show", "prior:from-outside")
    assert code == 2
    assert "which registry.toml blocks" in err
    code, _, err = run("plugins", "show", "sampler:faraway")
    assert (code, "pip install far-away-dist" in err) == (2, True)


def test_show_prints_everything_in_json(run: Run) -> None:
    code, out, _ = run("plugins", "show", "prior:from-outside", "--json")
    assert code == 0
    shown = json.loads(out)
    assert [field["name"] for field in shown["fields"]] == ["width", "rate"]
    assert shown["training"]["steps"] == 7
    assert shown["illustration"] == "0 [1]\n2  3"


def test_show_prints_every_field_its_limits_and_the_picture(run: Run) -> None:
    code, out, _ = run("plugins", "show", "prior:from-outside")
    assert code == 0
    assert "A [prior] from outside" in out
    assert "0 [1]\n2  3\n" in out
    lines = [line.strip() for line in out.splitlines()]
    width = lines.index("width  integer, default 8, >= 1")
    assert lines[width + 1] == ("Width [in tokens], " + "told at length, " * 20 + "to the end.")
    assert lines[width + 2 :][:2] == ["rate   number, required, > 0", "Rate."]
    assert "https://example.org" in out


def test_a_narrow_terminal_folds_and_loses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run("plugins", "show", "prior:from-outside")
    assert max(map(len, out.splitlines())) <= 60
    assert "…" not in out
    assert "https://example.org" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plugins", "show", "prior:from-outsid"), "there is no prior:from-outsid; did you mean from-outside?"),
        (("plugins", "show", "priors:from-outside"), "unknown kind 'priors'; did you mean prior?"),
        (
            ("plugins", "show", "from-outside"),
            "a component is written KIND:NAME, not 'from-outside'; did you mean prior:from-outside?",
        ),
        (("plugins", "list", "--kind", "prio"), "--kind: unknown kind 'prio'; did you mean prior?"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.splitlines()[-1] == message


def test_a_usage_error_is_status_2(run: Run) -> None:
    assert run("plugins", "lst")[0] == 2
    assert run("plugins", "list", "--jsn")[0] == 2
    assert run("no-such-command")[0] == 2


def test_a_wrong_registry_file_tells_all_its_errors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("registry.toml").write_text("schema = 1\naliases = 1\npresets = 2\n")
    code, out, err = run("plugins", "list", "--json")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "registry.toml:2: aliases: unknown field; did you mean alias?",
        "registry.toml:3: presets: unknown field; did you mean preset?",
    ]
    Path("registry.toml").unlink()
    monkeypatch.setenv("TAMINGPLAT_REGISTRY", "nowhere.toml")
    code, _, err = run("plugins", "list")
    assert code == 2
    assert err.startswith("nowhere.toml: cannot be read: No such file or directory")


def test_version_and_help(run: Run) -> None:
    assert run("--version")[:2] == (0, f"tamingplat {__version__}\n")
    code, out, _ = run("--help")
    assert code == 0
    for command in ("run", "validate", "plan", "compare", "stage", "plugins", "store", "doctor"):
        assert command in out.split()


def test_what_only_a_programmer_can_mend_passes_through(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamingplat.registry.load_registry", lambda: [][1])
    with pytest.raises(IndexError):
        main(["plugins", "list"])


def test_an_interruption_is_one_line_and_status_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tamingplat.registry.load_registry", interrupt)
    assert run("plugins", "list") == (130, "", "interrupted\n")


def test_a_real_signal_ends_the_process_the_same_way(site: Path) -> None:
    (site / "cli_outside_broken.py").write_text(
        "import sys, time\nsys.stderr.write('ready')\nsys.stderr.flush()\ntime.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, "-m", "tamingplat", "plugins", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        seen = ""
        deadline = time.monotonic() + 60
        while not seen.endswith("ready") and process.poll() is None and time.monotonic() < deadline:
            seen += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "interrupted\n")


def test_neither_listing_nor_help_imports_torch(site: Path) -> None:
    program = (
        "import sys\n"
        "from tamingplat.cli import main\n"
        "for arguments in (['--help'], ['plugins', 'list', '--json'], ['plugins', 'show', 'tokenizer:vqgan', '--json']):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit as exit_:\n"
        "        assert exit_.code == 0, (arguments, exit_.code)\n"
        "    heavy = {'torch', 'torchvision', 'lpips', 'datasets', 'accelerate', 'matplotlib'} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
