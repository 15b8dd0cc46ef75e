"""One table of several manifests: their rows stay apart where they are different, and are one where they are the same."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tamingplat.cli import main
from tamingplat.report import number

Run = Callable[..., subprocess.CompletedProcess[str]]
Compare = Callable[..., str]


TEXT = """schema = 1
name = "{name}"
seeds = {seeds}

[dataset.blobs]
use = "parquet"
config = {{ train = "{blobs}/train.parquet", validation = "{blobs}/validation.parquet", size = {size} }}

[tokenizer.colours]
use = "kmeans"
config = {{ codebook_size = 8, steps = 5 }}

[prior.gpt]
config = {{ layers = 1, heads = 1, width = 8 }}
train = {{ steps = {steps}, batch_size = 8 }}

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]

[evaluate]
metrics = ["{metric}"]
samples = 4
"""


@pytest.fixture(scope="module")
def manifests(blobs: Path, tmp_path_factory: pytest.TempPathFactory, tamingplat_here: Run) -> Path:
    """A folder with a store and three manifests that have run in it.

    ``small`` gives the names of ``large`` to smaller images and a shorter training; ``again`` measures one cell of ``large`` by
    another metric.
    """
    folder = tmp_path_factory.mktemp("manifests")
    for name, seeds, size, steps, metric in (
        ("large", [0, 1], 8, 4, "nll"),
        ("small", [0], 4, 2, "nll"),
        ("again", [0], 8, 4, "codebook"),
    ):
        manifest = folder / f"{name}.toml"
        manifest.write_text(TEXT.format(name=name, seeds=seeds, blobs=blobs, size=size, steps=steps, metric=metric))
        result = tamingplat_here("run", manifest, "--store", folder / "store")
        assert result.returncode == 0, result.stderr + result.stdout
    return folder


@pytest.fixture
def compare(manifests: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Prints the table of some of the manifests, in this process: it only reads."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*names: str, layout: str, more: Sequence[str] = (), status: int = 0) -> str:
        paths = [str(manifests / f"{name}.toml") for name in names]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["compare", *paths, "--store", str(manifests / "store"), "--format", layout, *more])
        printed = capsys.readouterr()
        assert ended.value.code == status, printed.err
        return printed.err if status else printed.out

    return run


def _rows(compare: Compare, *names: str, kind: str = "cell") -> list[dict[str, Any]]:
    return [row for row in json.loads(compare(*names, layout="json")) if row["kind"] == kind]


@pytest.mark.slow
def test_rows_of_two_manifests_with_equal_names_stay_apart(compare: Compare) -> None:
    large, small = _rows(compare, "large"), _rows(compare, "small")
    together = _rows(compare, "large", "small")
    assert len(large) == 2 and len(small) == 1
    assert [row["metrics"] for row in together] == [row["metrics"] for row in (*large, *small)]
    assert len({row["artifacts"]["prior"] for row in together}) == 3

    lines = compare("large", "small", layout="table").splitlines()
    over_seeds = number(statistics.fmean(row["metrics"]["nll"] for row in large))
    single = number(small[0]["metrics"]["nll"])
    # Averaged over the seeds of one manifest, and over nothing of the other. Their codes are not the same: no ranking has both.
    averaged = [line for line in lines if f" {over_seeds} ±" in line]
    alone = [line for line in lines if f" {single} " in line and "±" not in line]
    assert len(averaged) == 1 and len(alone) == 1, lines
    for line, name in ((averaged[0], "large"), (alone[0], "small")):
        assert {name, "colours", "gpt"} <= set(line.split())


@pytest.mark.slow
def test_a_cell_of_two_manifests_is_one_row_with_the_metrics_of_both(compare: Compare) -> None:
    large, again = _rows(compare, "large"), _rows(compare, "again")
    assert [row["seed"] for row in large] == [0, 1] and [row["seed"] for row in again] == [0]
    assert not set(large[0]["metrics"]) & set(again[0]["metrics"])
    assert large[0]["artifacts"] == again[0]["artifacts"]
    for names in (("large", "again"), ("again", "large")):
        together = _rows(compare, *names)
        assert len(together) == 2 and all(row["status"] == "done" for row in together)
        by_seed = {row["seed"]: row["metrics"] for row in together}
        assert by_seed == {0: large[0]["metrics"] | again[0]["metrics"], 1: large[1]["metrics"]}
    assert len(_rows(compare, "large", "again", kind="reconstruction")) == 1


@pytest.mark.slow
def test_rows_are_sorted_filtered_and_refused_from_the_command_line(compare: Compare) -> None:
    means = [statistics.fmean(row["metrics"]["nll"] for row in _rows(compare, name)) for name in ("large", "small")]
    assert means[0] != means[1]
    for direction in ("asc", "desc"):
        sorted_rows = json.loads(compare("large", "small", layout="json", more=["--sort", f"nll:{direction}"]))
        manifests = dict.fromkeys(row["manifest"] for row in sorted_rows if row["kind"] == "cell")
        assert list(manifests) == ["large", "small"], "their codes are not the same: no order has both"
    by_name = json.loads(compare("large", "small", layout="json", more=["--sort", "manifest:desc"]))
    assert list(dict.fromkeys(row["manifest"] for row in by_name if row["kind"] == "cell")) == ["small", "large"]
    filtered = json.loads(compare("large", "small", layout="json", more=["--filter", "manifest=small,kind=cell"]))
    assert [row["manifest"] for row in filtered] == ["small"]
    error = compare("large", layout="table", more=["--filter", "prio=gpt", "--sort", "nl"], status=2)
    assert "did you mean prior" in error and "did you mean nll" in error and "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["json", "csv"])
def test_tables_of_their_own_are_refused_where_rows_are_printed(compare: Compare, layout: str) -> None:
    options = ["--differences", "--evolution", "--rate-distortion", "--wide"]
    error = compare("large", layout=layout, more=options, status=2)
    assert all(f"{option}: says nothing to --format {layout}" in error for option in options), error
    assert "leave it out" in error and "table, markdown or latex" in error and "Traceback" not in error


@pytest.mark.slow
def test_published_figures_of_several_manifests_are_told_once(compare: Compare, manifests: Path) -> None:
    figures = manifests.parent / "figures.toml"
    row = '[[row]]\nlabel = "theirs"\nvalues = { raster = 4.767, z-curve = 4.81 }\n'
    figures.write_text(f'schema = 1\ntitle = "Orders"\nsource = "s"\nmetric = "nll"\naxis = "ordering"\n{row}')
    sizes = manifests.parent / "sizes.toml"
    row = '[[row]]\nlabel = "tiny GPT"\nprior = "gpt"\nparameters = 1000\n'
    sizes.write_text(f'schema = 1\ntable = "parameters"\ntitle = "Sizes"\nsource = "s"\n{row}')
    beside = [f"../{path.name}" for path in (figures, sizes)]
    for name in ("large", "small"):
        text = (manifests / f"{name}.toml").read_text().replace("schema = 1\n", f"schema = 1\ncompare_with = {beside}\n")
        (manifests / f"{name}-beside.toml").write_text(text)
    for layout in ("table", "markdown", "latex"):
        printed = compare("large-beside", "small-beside", layout=layout)
        assert printed.count("published: theirs") == 1, layout
        # The same names are in both manifests, and ours are told apart by them.
        assert "ours: large: blobs" in printed and "ours: small: blobs" in printed
        assert printed.count("tiny GPT") >= 1
        few = compare("large-beside", "small-beside", layout=layout, more=["--filter", "manifest=small"])
        assert few.count("ours: blobs") == 1 and "ours: large" not in few


@pytest.mark.slow
def test_settings_tried_are_shown_and_in_no_key(compare: Compare, manifests: Path) -> None:
    tuned = ["--set", "prior.gpt.tuning={ settings_tried = 4, note = 'widths' }"]
    rows = [row for row in json.loads(compare("large", layout="json", more=tuned)) if row["kind"] == "cell"]
    # What was computed without the table is found with it.
    assert all(row["status"] == "done" for row in rows)
    assert rows[0]["tuning"] == {"prior": {"declared": 4, "variants": 1, "note": "widths", "tried": 4}}
    assert "gpt: 4 settings tried: widths" in compare("large", layout="markdown", more=tuned)
    axes = '\n[axes]\n"prior.gpt.train.learning_rate" = [1e-3, 1e-4, 1e-5]\n'
    (manifests / "axes.toml").write_text((manifests / "large.toml").read_text().replace('"large"', '"axes"') + axes)
    varied = json.loads(compare("axes", layout="json"))[0]["tuning"]["prior"]
    assert (varied["declared"], varied["variants"], varied["tried"]) == (None, 3, 3)


def test_reference_rows_beside_different_splits_stay_apart(
    blobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def kinds(*references: str) -> list[str]:
        paths = []
        for number_of, reference in enumerate(references):
            path = tmp_path / f"beside-{number_of}.toml"
            text = TEXT.format(name=path.stem, seeds=[0], blobs=blobs, size=8, steps=2, metric="kd-st-vgg")
            path.write_text(f'{text}reference = "{reference}"\n')
            paths.append(str(path))
        with pytest.raises(SystemExit) as ended:
            main(["compare", *paths, "--store", str(tmp_path / "store"), "--format", "json"])
        assert ended.value.code == 0
        return sorted(row["kind"] for row in json.loads(capsys.readouterr().out))

    assert kinds("train", "train") == ["cell", "real", "reconstruction"]
    # A distance to one split is no distance to another, though both are of the same images and have the same name.
    assert kinds("train", "validation") == ["cell"] * 2 + ["real"] * 2 + ["reconstruction"] * 2
