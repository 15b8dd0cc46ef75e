"""The guides in ``docs``: every code block is run, in order, as a reader would.

What stands where:

* a first line ``# path/of/a.file`` makes a block that file, in the folder where the reader then is, without the line;
* ``python`` blocks without one are run in one namespace per guide;
* ``bash`` blocks are commands: ``tamingplat …`` runs in this process; ``pip install -e`` leaves what it would leave behind,
  without asking a package index; ``python -m pytest`` runs at last, that of all guides in one process; anything but these,
  ``cd`` and ``pip wheel`` is refused here;
* ``toml`` blocks are files, read by what reads them: manifests by ``tamingplat validate``, ``registry.toml`` by the registry;
* ``text`` blocks are what the commands before them print: every line occurs in it, ``…`` standing for anything.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = sorted(path for path in DOCS.glob("*.md") if path.name != "reference.md")

Here = Callable[..., subprocess.CompletedProcess[str]]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"# ([\w./-]+\.(?:py|toml|md))\n")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text without the line that names a file, that file, and its line in the guide."""

    language: str
    text: str
    file: str | None
    line: int


def blocks_of(guide: Path) -> Iterator[Block]:
    text = guide.read_text("utf-8")
    assert text.count("```") == 2 * len(_FENCE.findall(text)), f"{guide.name}: a fence that is not closed, or indented"
    for found in _FENCE.finditer(text):
        language, body = found.groups()
        marker = _MARKER.match(body)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(language, body[marker.end() :] if marker else body, marker[1] if marker else None, line)


class Reader:
    """Somebody who does what a guide says, in a folder of their own."""

    def __init__(self, folder: Path, environment: Any, tamingplat: Here) -> None:
        self.folder = folder
        self.environment = environment
        self.tamingplat = tamingplat
        self.namespace: dict[str, Any] = {"__name__": "guide"}
        self.printed = ""
        self.tests: list[tuple[str, list[str]]] = []

    def follow(self, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(self.folder)
        self.environment.forget_modules()
        match block.language:
            case "python" if block.file:
                self.write(block)
            case "python":
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile(block.text, f"<guide line {block.line}>", "exec"), self.namespace)
                self.printed = printed.getvalue()
            case "toml":
                assert block.file, "a toml block names its file"
                self.write(block)
                self.read_toml(self.folder / block.file)
            case "bash":
                self.printed = ""
                for command in block.text.splitlines():
                    self.command(shlex.split(command, comments=True), monkeypatch)
            case "text":
                self.compare(block.text)
            case other:
                raise AssertionError(f"a block of language {other!r} is not run: leave it out")

    def write(self, block: Block) -> None:
        path = self.folder / str(block.file)
        assert path.resolve().is_relative_to(self.folder), path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def read_toml(self, path: Path) -> None:
        tomllib.loads(path.read_text())
        if path.name == "registry.toml":
            result = self.tamingplat("plugins", "list", "--json")
        elif path.name != "pyproject.toml":
            result = self.tamingplat("validate", path)
        else:
            return
        assert result.returncode == 0, result.stderr

    def command(self, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        match words:
            case []:
                return
            case ["cd", folder]:
                self.folder = (self.folder / folder).resolve()
                monkeypatch.chdir(self.folder)
            case ["tamingplat", *arguments]:
                result = self.tamingplat(*arguments)
                assert result.returncode == 0, f"{shlex.join(words)}: {result.stderr}{result.stdout}"
                self.printed += result.stdout
            case ["python", "-m", "pytest", *arguments]:
                self.tests.append((str(self.folder), arguments))
            case ["pip", "install", "-e", project]:
                self.environment.install_here((self.folder / project.partition("[")[0]).resolve(), monkeypatch)
            case ["pip", "wheel", *arguments]:
                # Without a package index: the build backend is one of the tests' own requirements.
                command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-index", *arguments]
                subprocess.run(command, check=True, capture_output=True, timeout=200)
            case _:
                raise AssertionError(f"{shlex.join(words)}: a command that is not run here; leave it out")
        self.environment.forget_modules()

    def compare(self, expected: str) -> None:
        printed = [" ".join(line.split()) for line in self.printed.splitlines()]
        for line in filter(None, (" ".join(line.split()) for line in expected.splitlines())):
            pattern = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
            assert any(pattern.search(one) for one in printed), f"{line!r} is not printed:\n{self.printed}"


_TESTS = """
import json, os, sys
import pytest

wrong = {}
for guide, folder, arguments in json.load(sys.stdin):
    os.chdir(folder)
    print(f"== {guide}: pytest {' '.join(arguments)}", flush=True)
    plain = ["-p", "no:cacheprovider", "--rootdir", ".", "-c", "pyproject.toml"]
    if pytest.main([*plain, *arguments]) != 0:
        wrong[guide] = f"pytest {' '.join(arguments)} fails"
json.dump(wrong, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, make_environment: Any, tamingplat_here: Here) -> dict[str, str]:
    """What went wrong in each guide, by its name; an empty text where nothing did."""
    folder = tmp_path_factory.mktemp("guides")
    environment = make_environment(folder / "site")
    wrong: dict[str, str] = {}
    tests: list[tuple[str, str, list[str]]] = []
    with pytest.MonkeyPatch.context() as patch:
        for guide in GUIDES:
            (folder / guide.stem).mkdir()
            reader = Reader(folder / guide.stem, environment, tamingplat_here)
            wrong[guide.name] = follow(guide, reader, patch)
            tests += [(guide.name, *test) for test in reader.tests]
        report = folder / "tests.json"
        result = subprocess.run(
            [sys.executable, "-c", _TESTS, report],
            input=json.dumps(tests),
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": ""},
        )
        environment.forget_modules()
    assert result.returncode == 0, result.stderr
    failed = json.loads(report.read_text())
    return {
        name: text or (f"{failed[name]}: {result.stdout[-4000:]}" if name in failed else "") for name, text in wrong.items()
    }


def follow(guide: Path, reader: Reader, patch: pytest.MonkeyPatch) -> str:
    for block in blocks_of(guide):
        try:
            reader.follow(block, patch)
        except Exception as error:
            return f"line {block.line}: {type(error).__name__}: {error}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("guide", [guide.name for guide in GUIDES])
def test_every_block_of_a_guide_runs(guide: str, followed: dict[str, str]) -> None:
    assert not followed[guide], f"docs/{guide}: {followed[guide]}"


def test_the_wrapping_guide_shows_the_example_distribution() -> None:
    example = ROOT / "tests" / "fixtures" / "vector_quantize"
    shown = {block.file: block.text for block in blocks_of(DOCS / "wrapping-a-model.md") if block.file}
    prefix = "vector-quantize/"
    package = "vector_quantize_tokenizers"
    for file in (
        "pyproject.toml",
        *(f"{package}/{name}.py" for name in ("plugin", "config", "tokenizer")),
        "tests/test_promises.py",
    ):
        assert shown[prefix + file] == (example / file).read_text(), f"docs/wrapping-a-model.md: {file} differs from {example}"


def test_every_guide_is_in_the_index_and_every_link_leads_somewhere() -> None:
    index = (DOCS / "README.md").read_text()
    for guide in (*GUIDES, DOCS / "reference.md"):
        assert guide.name == "README.md" or f"({guide.name})" in index, f"docs/README.md does not mention {guide.name}"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", guide.read_text()):
            assert target.startswith("https://") or (DOCS / target).exists(), f"{guide.name}: {target} does not exist"


def test_a_block_that_is_wrong_is_found(tmp_path: Path, environment: Any, tamingplat_here: Here) -> None:
    reader = Reader(tmp_path, environment, tamingplat_here)
    for language, text in (
        ("python", "raise ValueError"),
        ("bash", "rm -rf somewhere"),
        ("bash", "tamingplat plugins show ordering:nothing"),
        ("toml", "schema = 1"),
        ("text", "what nobody printed"),
        ("yaml", "a: 1"),
    ):
        with pytest.MonkeyPatch.context() as patch, pytest.raises((AssertionError, ValueError)):
            reader.follow(Block(language, f"{text}\n", None, 1), patch)


def test_the_reference_is_what_the_code_says(tamingplat_here: Here) -> None:
    result = tamingplat_here("plugins", "reference")
    assert result.returncode == 0, result.stderr
    written = (DOCS / "reference.md").read_text("utf-8")
    different = [line for line in result.stdout.splitlines() if line not in set(written.splitlines())]
    assert result.stdout == written, (
        f"docs/reference.md differs from the code, as in {different[:3]}; "
        "run: tamingplat plugins reference --out docs/reference.md"
    )
