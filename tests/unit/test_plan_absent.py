"""Planning without the data and the weights: what is expected stands in for them, and nothing runs before they are here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.cli import main
from tamingplat.interfaces import UnavailableError
from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.stages import make_plan, planned_keys
from tamingplat.store import Store

REST = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8, steps = 5 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 2, batch_size = 8 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["class"]
"""
EXPECTED = (
    'image_size = 8, splits = { train = 96, validation = 32 }, classes = ["square", "disc"], download = "Fetch the blobs."'
)
HUB = 'path = "nobody/nothing", revision = "0123456789012345678901234567890123456789"'


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and a cache and a store of the test's own."""
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TAMINGPLAT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: its exit status, and what it prints to either stream."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def write(path: Path, use: str, config: str, expected: str | None = EXPECTED, rest: str = REST) -> Path:
    said = "" if expected is None else f"expected = {{ {expected} }}\n"
    path.write_text(
        f'schema = 1\nname = "small"\n[dataset.blobs]\nuse = "{use}"\nconfig = {{ {config}, size = 8 }}\n{said}{rest}'
    )
    return path


def files(folder: Path) -> str:
    return f'train = "{folder / "train.parquet"}", validation = "{folder / "validation.parquet"}"'


ABSENT = [("parquet", files(Path("nowhere")), "there is no file or folder"), ("hub", HUB, "was not downloaded before")]


@pytest.mark.parametrize(("use", "config", "why"), ABSENT, ids=["files", "hub"])
def test_absent_data_are_planned_and_do_not_run(
    use: str, config: str, why: str, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    manifest = write(tmp_path / "small.toml", use, config)
    status, out, _ = command("plan", manifest)
    assert status == 0 and "before this can run:" in out and why in out and "Fetch the blobs." in out
    status, out, err = command("run", manifest)
    assert status == 2 and f"{manifest}:3: dataset.blobs" in err and why in err and "Fetch the blobs." in err
    key = json.loads(command("plan", manifest, "--json", "--no-estimates")[1])["stages"][0]["key"]
    status, out, err = command("stage", key, "--manifest", manifest)
    assert status == 2 and "Fetch the blobs." in err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(("use", "config", "why"), ABSENT, ids=["files", "hub"])
def test_without_expectations_absent_data_stay_an_error(
    use: str, config: str, why: str, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, err = command("plan", write(tmp_path / "small.toml", use, config, expected=None))
    assert status == 2 and why in err and not out


def test_keys_are_provisional_while_the_content_is_unknown(
    tmp_path: Path, blobs: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    absent = write(tmp_path / "absent.toml", "parquet", files(Path("nowhere")))
    planned = json.loads(command("plan", absent, "--json")[1])
    keys = {stage["key"] for stage in planned["stages"]}
    assert all(stage["provisional"] and set(stage["inputs"]) <= keys for stage in planned["stages"])
    assert planned["absent"][0]["remedy"] == "Fetch the blobs."
    assert not any(key[:10] in command("plan", absent)[1] for key in keys)
    status, out, err = command("plan", absent, "--commands")
    assert status == 2 and not out and "Fetch the blobs." in err
    # What may be pruned is not known either.
    registry, store = load_registry(), Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"Fetch the blobs\."):
        planned_keys(load_manifest(absent, registry), registry, store)

    # What is expected is in no key, and the data are used where they are.
    here = write(tmp_path / "here.toml", "parquet", files(blobs))
    plain = write(tmp_path / "plain.toml", "parquet", files(blobs), expected=None)
    stages = [json.loads(command("plan", path, "--json", "--no-estimates")[1])["stages"] for path in (here, plain)]
    assert stages[0] == stages[1] and not any(stage["provisional"] for stage in stages[0])
    assert planned_keys(load_manifest(here, registry), registry, store) > {stage["key"] for stage in stages[0]}


def test_a_hub_commit_needs_no_images_to_have_its_key(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    manifest = write(tmp_path / "small.toml", "hub", HUB)
    stages = json.loads(command("plan", manifest, "--json", "--no-estimates")[1])["stages"]
    assert not any(stage["provisional"] for stage in stages)


def test_absent_data_say_so_where_they_are_read(tmp_path: Path) -> None:
    registry = load_registry()
    manifest = load_manifest(write(tmp_path / "small.toml", "parquet", files(Path("nowhere"))), registry)
    plan = make_plan(manifest, registry, Store(tmp_path / "store"))
    dataset = plan.builder.dataset(manifest.cells[0].dataset)
    assert dataset.info.label_names == ("square", "disc") and dataset.info.columns == ("image", "label")
    with pytest.raises(UnavailableError, match=r"Fetch the blobs\."):
        dataset.read("train", 0)


def test_validating_warns_of_absent_files(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = command("validate", write(tmp_path / "small.toml", "parquet", files(Path("nowhere"))))
    assert status == 0 and "no errors" in out
    assert err.startswith("warning: ") and "there is no file or folder" in err and "Fetch the blobs." in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("image_size = 8", "image_size = [8, 16]"), "the images have 8×8 pixels, and expected says 8×16 pixels"),
        (("image_size = 8", "image_size = 8, channels = 1"), "channels per image are 3, and expected says 1"),
        (('["square", "disc"]', "3"), "classes are 2, and expected says 3"),
        (('["square", "disc"]', '["disc", "square"]'), "the classes are square, disc, and expected says disc, square"),
    ],
)
def test_data_that_make_other_models_than_expected_are_an_error(
    change: tuple[str, str], said: str, tmp_path: Path, blobs: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    manifest = write(tmp_path / "small.toml", "parquet", files(blobs), EXPECTED.replace(*change))
    status, _, err = command("plan", manifest)
    assert status == 2 and f"{manifest}:3: dataset.blobs" in err and said in err


def test_other_numbers_of_images_than_expected_are_a_warning(
    tmp_path: Path, blobs: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    expected = EXPECTED.replace("train = 96", "train = 100")
    status, _, err = command("plan", write(tmp_path / "small.toml", "parquet", files(blobs), expected), "--no-estimates")
    assert status == 0
    assert "warning: " in err and "the split train has 96 images, and expected says 100" in err


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (EXPECTED.replace("image_size = 8, ", ""), "expected.image_size"),
        (EXPECTED.replace("train = 96", "train = 0"), "expected.splits.train"),
        (EXPECTED + ', columns = ["label"]', "must include image"),
        (EXPECTED.replace("classes", "class"), "did you mean classes"),
        (EXPECTED.replace(', download = "Fetch the blobs."', ""), "expected.download"),
    ],
)
def test_wrong_expectations_are_named_and_nothing_else_is(
    expected: str, said: str, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, err = command("validate", write(tmp_path / "small.toml", "parquet", files(Path("nowhere")), expected))
    assert status == 2 and said in err and "there is no file" not in err


def test_splits_that_are_not_expected_are_an_error(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    manifest = write(tmp_path / "small.toml", "parquet", files(Path("nowhere")), EXPECTED.replace("validation", "test"))
    status, _, err = command("plan", manifest)
    assert status == 2 and "has no images in split 'validation'" in err


def test_absent_weights_are_planned_and_do_not_run(
    tmp_path: Path, write_manifest: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    metrics = '[metric.fid]\nconfig = { allow_few = true }\n[evaluate]\nmetrics = ["fid"]\nsamples = 4\n'
    manifest = write_manifest(REST + metrics)
    status, out, _ = command("plan", manifest, "--no-estimates")
    assert status == 0 and "before this can run:" in out and "weights-inception" in out and "refused" not in out
    status, _, err = command("run", manifest)
    assert status == 2 and "weights-inception" in err and str(tmp_path / "hub") in err
    assert not (tmp_path / "store").exists()


def test_several_manifests_are_all_planned_before_a_wrong_one_is_reported(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    good = write(tmp_path / "good.toml", "parquet", files(Path("nowhere")))
    wrong = write(tmp_path / "wrong.toml", "parquet", files(Path("nowhere")), EXPECTED + ", colour = 3")
    other = tmp_path / "other.toml"
    other.write_text("schema = ")
    status, out, err = command("plan", wrong, other, good, "--no-estimates")
    assert status == 2
    assert "before this can run:" in out and f"{wrong}:6" in err and str(other) in err
    status, out, _ = command("plan", good, good, "--json", "--no-estimates")
    assert status == 0 and [plan["manifest"] for plan in json.loads(out)] == [str(good), str(good)]


@pytest.mark.parametrize("metric", ["fd-st-vgg", "memorisation"])
def test_imported_tokenizers_are_planned_without_a_training_split(
    metric: str, tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    parity = Path(__file__).parents[1] / "fixtures" / "parity"
    assert command("import", "taming", parity / "vqgan.ckpt", "--config", parity / "vqgan.yaml", "--as", "reference")[0] == 0
    expected = 'image_size = 16, splits = { validation = 500 }, download = "Fetch the blobs."'
    rest = (
        '[tokenizer.theirs]\nartifact = "reference"\n[matrix]\ndataset = ["blobs"]\ntokenizer = ["theirs"]\n'
        f'[evaluate]\nmetrics = ["{metric}"]\nreference = "validation"\n'
    )
    manifest = write(tmp_path / "m.toml", "parquet", files(Path("nowhere")), expected, rest)
    manifest.write_text(manifest.read_text().replace("size = 8", "size = 16"))
    _, out, err = command("plan", manifest, "--no-estimates")
    told = " ".join((out + err).split())
    assert "before this can run:" in told
    assert ("looks for copies of training images, and the dataset has no split train" in told) == (metric == "memorisation")
