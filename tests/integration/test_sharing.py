"""Models pushed to folders and to a hub, pulled into another store, used there; and everything that can be wrong on the way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import Field
from safetensors.torch import load_file, save_file

from tamingplat.engine import load_weights, save_weights
from tamingplat.interfaces import CodeSpace, Component, ConditionPart, Config, FilePath, ProblemsError, TamingplatError
from tamingplat.manifest import portable_settings
from tamingplat.registry import load_registry
from tamingplat.stages import sharing
from tamingplat.store import Artifact, Store

Run = Callable[..., subprocess.CompletedProcess[str]]
PARITY = Path(__file__).parents[1] / "fixtures" / "parity"


MODELS = """
[tokenizer.vq]
use = "vqvae"
train = { steps = 2, batch_size = 4 }
config = { codebook_size = 8, norm_groups = 4, embedding_dim = 4, downsampling = 2, channels = 8, \
channel_multipliers = [1, 1, 1], residual_blocks = 1, perceptual = { use = "st-vgg", config = { weights = "WEIGHTS" } }, \
perceptual_weight = 0 }
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4, steps = 3 }
[prior.gpt]
config = { layers = 1, heads = 2, width = 16 }
train = { steps = 2, batch_size = 4 }
"""
USE = """
[tokenizer.theirs]
artifact = "mine-tokenizer"
[tokenizer.colours]
artifact = "mine-condition"
[prior.gpt]
artifact = "mine"
"""
REST = """
[conditioner.small]
use = "low-resolution"
config = {{ tokenizer = "colours", factor = 4 }}
[runtime]
device = "cpu"
[matrix]
dataset = ["blobs"]
tokenizer = ["{tokenizer}"]
prior = ["gpt"]
ordering = ["alternate"]
conditioner = {conditioners}
[evaluate]
metrics = ["nll", "reconstruction"]
samples = 2
"""


def _write(folder: Path, blobs: Path, models: str, tokenizer: str, conditioners: list[str]) -> Path:
    path = folder / "small.toml"
    data = f'train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = 8'
    path.write_text(
        f'schema = 1\nname = "small"\n[dataset.blobs]\nuse = "parquet"\nconfig = {{ {data} }}\n'
        + models
        + REST.format(tokenizer=tokenizer, conditioners=json.dumps(conditioners))
    )
    return path


@pytest.fixture(scope="module")
def trained(blobs: Path, tmp_path_factory: pytest.TempPathFactory, tamingplat_here: Run) -> tuple[Path, Path]:
    """A manifest of two cells, the second of which has run, and its store."""
    folder = tmp_path_factory.mktemp("trained")
    # A weight file of another network: a loss of weight zero loads none.
    save_file({"another": torch.zeros(1)}, folder / "vgg.safetensors")
    models = MODELS.replace("WEIGHTS", "vgg.safetensors")
    ran = tamingplat_here("run", _write(folder, blobs, models, "vq", ["small"]), "--store", folder / "store")
    assert ran.returncode == 0, ran.stderr
    return _write(folder, blobs, models, "vq", ["class", "small"]), folder / "store"


@pytest.fixture(scope="module")
def push(trained: tuple[Path, Path], tamingplat_here: Run) -> Run:
    """Pushes something of the manifest."""

    def run(select: str, to: object, *options: object) -> subprocess.CompletedProcess[str]:
        manifest, store = trained
        return tamingplat_here("push", manifest, "--select", select, "--to", to, "--store", store, *options)

    return run


@pytest.fixture(scope="module")
def shared(push: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior with its tokenizer and that of its condition."""
    folder = tmp_path_factory.mktemp("shared") / "prior"
    done = push("prior=gpt,conditioner=small", folder, "--license", "apache-2.0")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared, tmp_path / "copied"))


def _texts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the description as somebody would who knows how its checksum is made."""
    path = folder / "tamingplat.json"
    content = json.loads(path.read_text())
    content.pop("checksum")
    change(content)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps({**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}))


def _rewrite_tensors(folder: Path, name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a file, and everything that is said of the file."""
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name)
    content = (folder / name).read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    _rewrite(folder, lambda description: description["files"].update({name: entry}))


# There and back.


def test_a_pulled_prior_is_the_model_that_was_pushed(
    trained: tuple[Path, Path], shared: Path, blobs: Path, tmp_path: Path, tamingplat_here: Run
) -> None:
    store = tmp_path / "store"
    pulled = tamingplat_here("pull", shared, "--as", "mine", "--store", store)
    assert pulled.returncode == 0, pulled.stderr
    assert "mine-tokenizer: tokenizer" in pulled.stdout and "licence: apache-2.0" in pulled.stdout
    opened, original = Store(store), Store(trained[1])
    assert opened.names() == ("mine", "mine-condition", "mine-tokenizer")
    weights = {
        artifact.record["files"]["weights.safetensors"]["sha256"]
        for artifact in original.artifacts()
        if "model" in artifact.details
    }
    for name in opened.names():
        assert opened.named(name).record["files"]["weights.safetensors"]["sha256"] in weights
    # The same likelihood as where it was trained, through the same encoding.
    manifest = _write(tmp_path, blobs, USE, "theirs", ["small"])
    ran = tamingplat_here("run", manifest, "--store", store)
    assert ran.returncode == 0, ran.stderr
    theirs = json.loads(tamingplat_here("compare", trained[0], "--store", trained[1], "--format", "json").stdout)
    (row,) = [row for row in theirs if row["conditioner"] == "small"]
    mine = json.loads(tamingplat_here("compare", manifest, "--store", store, "--format", "json").stdout)[0]
    assert mine["status"] == "done" and mine["metrics"] == row["metrics"]
    # Pulled again, it changes nothing.
    assert tamingplat_here("pull", shared, "--as", "mine", "--store", store).stdout.count("had already") == 3


def test_what_was_pulled_is_pushed_as_the_same(shared: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    store, again = tmp_path / "store", tmp_path / "again"
    tamingplat_here("pull", shared, "--as", "mine", "--store", store)
    assert tamingplat_here("push", "--name", "mine", "--to", again, "--store", store).returncode == 0
    before, after = (json.loads((folder / "tamingplat.json").read_text()) for folder in (shared, again))
    before["models"]["tokenizer"]["left_out"] = []  # nothing was left out here: it is the default already
    assert {**before, "checksum": ""} == {**after, "checksum": ""}
    for name in before["files"]:
        assert (shared / name).read_bytes() == (again / name).read_bytes()
        given, got = load_file(shared / name), load_file(again / name)
        assert given.keys() == got.keys() and all(torch.equal(given[key], got[key]) for key in given)


def test_nothing_of_this_machine_is_in_what_is_shared(shared: Path, trained: tuple[Path, Path], blobs: Path) -> None:
    for name in ("tamingplat.json", "README.md"):
        text = (shared / name).read_text()
        for secret in (
            str(trained[0].parent),
            str(blobs),
            str(Path.home()),
            str(Path.cwd()),
            socket.gethostname(),
            "orig_argv",
        ):
            assert secret not in text, (name, secret)
    description = json.loads((shared / "tamingplat.json").read_text())
    assert description["models"]["tokenizer"]["left_out"] == ["perceptual.weights"]
    assert description["models"]["tokenizer"]["config"]["perceptual"] == {"use": "st-vgg"}
    assert set(description["models"]["prior"]["origin"]["code"]) == {
        "git", "packages", "python", "device", "threads", "processes",
    }  # fmt: skip


def test_the_card_has_the_numbers_of_the_table(shared: Path, trained: tuple[Path, Path], tamingplat_here: Run) -> None:
    from huggingface_hub import ModelCard

    text = (shared / "README.md").read_text()
    data = ModelCard(text).data
    assert data.license == "apache-2.0" and data.library_name == "tamingplat" and "gpt" in data.tags
    rows = json.loads(tamingplat_here("compare", trained[0], "--store", trained[1], "--format", "json").stdout)
    (row,) = [row for row in rows if row["conditioner"] == "small"]
    listed = {item.metric_name: item.metric_value for item in data.eval_results if item.task_name.startswith("vq / gpt")}
    assert listed == row["metrics"]
    (heading,) = [line for line in text.splitlines() if "| nll ↓ |" in line]
    (line,) = [line for line in text.splitlines() if line.startswith("| vq / gpt / alternate / small") and "validation" in line]
    cells = dict(zip((cell.strip() for cell in heading.split("|")), (cell.strip() for cell in line.split("|")), strict=True))
    assert cells["nll ↓"] == f"{row['metrics']['nll']:.3f}" and cells["samples"] == "2" and cells["seed"] == "0"
    assert "| (reconstruction) vq | blobs |" in text and "one seed" in text
    assert (
        f"fingerprint `{json.loads((shared / 'tamingplat.json').read_text())['results']['datasets']['blobs']['fingerprint']}`"
        in text
    )
    assert 'artifact = "gpt-tokenizer"' in text and "whose tokenizer is the artifact gpt-condition" in text


def test_a_pushed_folder_is_renewed_and_nothing_else_is_written_over(push: Run, shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tokenizer"
    folder.mkdir(parents=True)  # empty, which is as good as absent
    assert push("tokenizer=vq", folder).returncode == 0
    assert set(_texts(folder)) == {"README.md", "tamingplat.json", "tokenizer.safetensors"}
    assert "stated no licence" in (folder / "README.md").read_text()
    before = _texts(folder)
    (folder / "README.md").write_text("edited")
    (folder / "notes.txt").write_text("kept")
    (folder / "tokenizer.safetensors").write_bytes(b"damaged")
    assert push("tokenizer=vq", folder).returncode == 0
    assert _texts(folder) == {**before, "notes.txt": b"kept"}
    other = push("prior=gpt,conditioner=small", folder)
    assert other.returncode == 2 and "holds another model, tokenizer:vqvae" in other.stderr
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("x")
    foreign = push("tokenizer=vq", tmp_path / "thesis")
    assert foreign.returncode == 2 and "there are files in it already" in foreign.stderr
    assert push("tokenizer=vq", tmp_path / "thesis" / "a.tex").stderr.endswith(
        "name a folder that does not exist, or an empty one\n"
    )
    assert {path.name for path in tmp_path.rglob("*")} == {"new", "tokenizer", *before, "notes.txt", "thesis", "a.tex"}


# What is asked for.


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (
            "prior=gpt",
            "leaves 2 priors; say which of them:\n  dataset=blobs,tokenizer=vq,prior=gpt,ordering=alternate,conditioner=class",
        ),
        ("tokenizer=vg", "no cell has tokenizer vg; there is vq"),
        ("tokenzer=vq", "there is no field tokenzer; did you mean tokenizer"),
        ("tokenizer=vq,tokenizer=vq", "tokenizer stands there twice"),
        ("vq", "must read FIELD=NAME"),
        ("prior=gpt,conditioner=small,seed=7", "no cell has seed 7 beside the fields before it; there is 0"),
    ],
)
def test_a_selection_leaves_one_model_or_says_why_not(push: Run, tmp_path: Path, select: str, message: str) -> None:
    done = push(select, tmp_path / "out")
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_a_manifest_of_tokenizers_alone_has_something_to_share(
    trained: tuple[Path, Path], shared: Path, tmp_path: Path, tamingplat_here: Run
) -> None:
    manifest, store = trained
    head, matrix = manifest.read_text().split("[conditioner.small]")
    left = matrix[matrix.index("[runtime]") : matrix.index("prior = ")] + '[evaluate]\nmetrics = ["reconstruction"]\n'
    (manifest.parent / "alone.toml").write_text(head.split("[prior.gpt]")[0] + left)
    options = ("--select", "tokenizer=vq", "--to", tmp_path / "vq", "--store", store)
    pushed = tamingplat_here("push", manifest.parent / "alone.toml", *options)
    assert pushed.returncode == 0, pushed.stderr
    assert load_file(tmp_path / "vq" / "tokenizer.safetensors").keys() == load_file(shared / "tokenizer.safetensors").keys()


def test_a_label_with_settings_in_brackets_is_one_value() -> None:
    from tamingplat.stages.selection import parse_selection

    text = "prior=gpt [train.steps=1, seed=2],ordering=raster"
    assert parse_selection(text) == {"prior": "gpt [train.steps=1, seed=2]", "ordering": "raster"}


def test_what_cannot_be_pushed_is_told(
    push: Run, trained: tuple[Path, Path], shared: Path, tmp_path: Path, tamingplat_here: Run
) -> None:
    manifest, store = trained
    absent = push("prior=gpt,conditioner=class", tmp_path / "out", "--set", "prior.gpt.train.batch_size=4")
    command = f"tamingplat run {manifest} --store {store} --set prior.gpt.train.batch_size=4"
    assert absent.returncode == 2 and f"it is not in the store; `{command}` makes it" in absent.stderr
    assert "MANIFEST with --select, or --name" in tamingplat_here("push", "--to", tmp_path / "out").stderr
    assert "is no address of a model" in push("tokenizer=vq", "hf://only-one-word").stderr
    assert "--private is for repositories" in push("tokenizer=vq", tmp_path / "out", "--private").stderr
    assert (
        "no artifact of this store is named 'gp'"
        in tamingplat_here("push", "--name", "gp", "--to", tmp_path / "out", "--store", store).stderr
    )
    # A prior that was imported without its tokenizer, and an artifact with a damaged file.
    own = tmp_path / "store"
    checkpoint = ("import", "taming", PARITY / "gpt.ckpt", "--config", PARITY / "gpt.yaml", "--as", "alone")
    tamingplat_here(*checkpoint, "--codes", 19, "--condition-length", 5, "--store", own)
    alone = tamingplat_here("push", "--name", "alone", "--to", tmp_path / "out", "--store", own)
    assert alone.returncode == 2 and "imported without its tokenizer" in alone.stderr
    tamingplat_here("pull", shared, "--as", "mine", "--store", own)
    weights = Store(own).named("mine-condition").path("weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged = tamingplat_here("push", "--name", "mine", "--to", tmp_path / "out", "--store", own)
    assert damaged.returncode == 2 and "the content of the file is not what was written" in damaged.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def made(trained: tuple[Path, Path], tmp_path: Path) -> Callable[..., Artifact]:
    """Makes a prior's artifact like the one that was trained, with something else in it, in a copy of the store."""
    store = Store(Path(shutil.copytree(trained[1], tmp_path / "store")))

    def make(identity: dict[str, Any], model: dict[str, Any], prior: torch.nn.Module | None = None) -> Artifact:
        (trained_prior,) = [artifact for artifact in store.artifacts() if artifact.stage == "train_prior"]
        details = dict(trained_prior.details)
        details |= {"identity": {**details["identity"], **identity}, "model": {**details["model"], **model}}
        with store.lock("train_prior", "0" * 64) as draft:
            if prior is None:
                shutil.copyfile(trained_prior.path("weights.safetensors"), draft.directory / "weights.safetensors")
            else:
                save_weights(prior, draft.directory / "weights.safetensors")
            return draft.commit(details)

    return make


def test_what_a_record_does_not_know_is_not_shared(made: Callable[..., Artifact], tmp_path: Path) -> None:
    registry, store = load_registry(), Store(tmp_path / "store")
    of_ordering = made({"ordering": {"kind": "ordering", "name": "alternate", "config": {"stride": 2}}}, {})
    with pytest.raises(TamingplatError, match="under ordering:alternate with settings of its own"):
        sharing.gather(of_ordering, registry, store)
    store.discard(of_ordering)
    tokenizers = [{"kind": "tokenizer", "name": name, "config": {}} for name in ("vqvae", "kmeans")]
    several = made({"conditioner": {"kind": "conditioner", "config": {"parts": tokenizers}}}, {"condition_tokenizer": None})
    with pytest.raises(TamingplatError, match="its condition has 2 tokenizers of its own"):
        sharing.gather(several, registry, store)


def test_tied_weights_are_shared_once(made: Callable[..., Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tamingplat_gpt.model import GPT

    class Tied(GPT):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.head.weight = self.tok_emb.weight

    module = ModuleType("tied_prior")
    module.Tied = Tied  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tied_prior", module)
    registry, store = load_registry(), Store(tmp_path / "store")
    gpt = registry.registered("prior", "gpt")
    tied = replace(gpt, component=replace(gpt.component, name="tied", factory="tied_prior:Tied"))
    registry = replace(registry, components={**registry.components, ("prior", "tied"): tied})
    settings = {"layers": 1, "heads": 2, "width": 16}
    layout = (ConditionPart("low-resolution", 4, (2, 2)),)
    prior = Tied(CodeSpace(((2, 2),), 8), layout, gpt.component.config(**settings), {})
    artifact = made({}, {"component": "tied", "config": settings}, prior)
    gathered = sharing.gather(artifact, registry, store)
    target = sharing.parse_target(str(tmp_path / "out"))
    sharing.push(gathered, "", target)
    assert len(load_file(tmp_path / "out" / "prior.safetensors")) == len(prior.state_dict()) - 1
    sharing.pull(sharing.PullRequest(target, "mine"), registry, store)
    other = Tied(CodeSpace(((2, 2),), 8), layout, gpt.component.config(**settings), {})
    load_weights(other, store.named("mine").path("weights.safetensors"))
    assert torch.equal(other.head.weight, prior.tok_emb.weight)


def test_a_file_that_a_model_needs_is_not_left_out() -> None:
    class Settings(Config):
        table: FilePath = Field(description="A table.")

    component = Component(kind="tokenizer", name="table", factory="a:B", summary="A table.", config=Settings)
    with pytest.raises(ProblemsError, match="tokenizer:table has a file in its setting table"):
        portable_settings(load_registry(), component, {"table": "/a/b"}, expendable=("perceptual",), where="here")


# What strangers send: one sentence, status 2, and nothing written.


def _damage(folder: Path) -> None:
    content = bytearray((folder / "prior.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "prior.safetensors").write_bytes(content)


def _edit(folder: Path) -> None:
    path = folder / "tamingplat.json"
    path.write_text(path.read_text().replace('"channels": 8', '"channels": 16'))


def _link(folder: Path) -> None:
    shutil.move(folder / "prior.safetensors", folder.parent / "elsewhere")
    (folder / "prior.safetensors").symlink_to(folder.parent / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "prior.safetensors").unlink()
    os.mkfifo(folder / "prior.safetensors")


def _rename_file(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["files"].update({name: content["files"].pop("prior.safetensors")})


def _component(index: int, **values: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["models"]["tokenizer"]["components"][index].update(values)


def _mishandle(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if name != "ln_f.weight"]:
        tensors[f"more.{name}"] = tensors.pop(name)
    tensors["ln_f.weight"] = torch.ones(7)


def _pickle(folder: Path) -> None:
    torch.save({"x": torch.ones(1)}, folder / "prior.safetensors")
    content = (folder / "prior.safetensors").read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    _rewrite(folder, lambda description: description["files"].update({"prior.safetensors": entry}))


def _setting(value: object) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        content["models"]["tokenizer"]["config"]["perceptual"] = value

    return change


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "there is no such folder"),
    "no description": (lambda f: (f / "tamingplat.json").unlink(), "the description of the shared model is missing"),
    "no JSON": (lambda f: (f / "tamingplat.json").write_text("{"), "the description is damaged: it is no JSON"),
    "not ours": (lambda f: (f / "tamingplat.json").write_text("[]"), "this is no description of a shared model"),
    "edited": (_edit, "the description is damaged or was edited"),
    "newer": (
        lambda f: (f / "tamingplat.json").write_text('{"format": 2}'),
        "is of format 2, and this tamingplat reads up to 1; update tamingplat",
    ),
    "outside": (lambda f: _rewrite(f, _rename_file("../prior.safetensors")), "names the file '../prior.safetensors'"),
    "absolute": (lambda f: _rewrite(f, _rename_file("/etc/passwd")), "names the file '/etc/passwd'"),
    "malformed": (lambda f: _rewrite(f, lambda c: c.update(key=3)), "the description is wrong: key: "),
    "shell": (lambda f: _rewrite(f, _component(0, distribution="x; rm -rf ~")), "the description is wrong: models.tokenizer"),
    "incomplete": (lambda f: _rewrite(f, lambda c: c["models"].pop("condition")), "are needed"),
    "damaged": (_damage, "prior.safetensors: the content of the file is not what was written; get it again"),
    "cut off": (lambda f: (f / "prior.safetensors").write_bytes(b""), "the file has 0 bytes where"),
    "missing": (lambda f: (f / "prior.safetensors").unlink(), "prior.safetensors: the file is missing"),
    "link": (_link, "the file is a link"),
    "pipe": (_pipe, "this is no file"),
    "pickle": (_pickle, "is no whole safetensors file"),
    "not installed": (
        lambda f: _rewrite(f, _component(0, name="flow", plugin="p", distribution="flow-kit", version="1.2")),
        "tokenizer:flow (plugin p, flow-kit 1.2) is needed and cannot be used here: there is no tokenizer:flow",
    ),
    "revision": (
        lambda f: _rewrite(f, _component(0, revision=9)),
        "made with revision 9 of tokenizer:vqvae (plugin tamingplat_vq, tamingplat",
    ),
    "file": (
        lambda f: _rewrite(f, _setting({"use": "st-vgg", "config": {"weights": "/etc/passwd"}})),
        "its settings name files of this machine (perceptual.weights)",
    ),
    "settings": (
        lambda f: _rewrite(f, _setting({"use": "none", "config": {"a": 1}})),
        "perceptual:none does not take its setting perceptual.a",
    ),
    "other tensors": (
        lambda f: _rewrite_tensors(f, "prior.safetensors", lambda tensors: tensors["head.weight"].add_(1)),
        "the tensors of the prior are not those that were pushed",
    ),
    "misfit": (lambda f: _rewrite_tensors(f, "prior.safetensors", _mishandle), "missing: prior.safetensors: "),
}  # fmt: skip


@pytest.mark.parametrize("mistake", list(WRONG))
def test_a_wrong_folder_is_one_sentence_and_writes_nothing(
    copied: Path, tmp_path: Path, tamingplat_here: Run, mistake: str
) -> None:
    change, message = WRONG[mistake]
    change(copied)
    done = tamingplat_here("pull", copied, "--as", "mine", "--store", tmp_path / "store")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "store").exists()
    if mistake == "misfit":
        assert (
            "unexpected: prior.safetensors: more." in done.stderr
            and "more; misshapen: prior.safetensors: ln_f.weight" in done.stderr
        )
    if mistake == "not installed":
        assert "pip install 'flow-kit==1.2'" in done.stderr


def test_sizes_and_names_are_minded(shared: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    store = tmp_path / "store"
    large = tamingplat_here("pull", shared, "--as", "mine", "--store", store, "--max-size", 0.00001)
    assert large.returncode == 2 and "raise it with --max-size" in large.stderr
    assert "cannot name an artifact" in tamingplat_here("pull", shared, "--as", "../x", "--store", store).stderr
    assert not store.exists()
    tamingplat_here("pull", shared, "--as", "first", "--store", store)
    opened = Store(store)
    opened.name("mine", opened.named("first-tokenizer"))
    taken = tamingplat_here("pull", shared, "--as", "mine", "--store", store)
    assert taken.returncode == 2 and "the name 'mine' stands for import_tokenizer" in taken.stderr
    assert opened.named("mine").key == opened.named("first-tokenizer").key
    assert tamingplat_here("pull", shared, "--as", "mine", "--store", store, "--replace").returncode == 0


# The hub, in place of which a folder answers.


class FakeApi:
    """The calls of ``HfApi`` that are made, on repositories that are folders."""

    def __init__(self, root: Path, token: str | None = "hf_secret") -> None:
        self.root, self.token = root, token
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def _path(self, repo_id: str) -> Path:
        return self.root / repo_id

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.asked.append(("create_repo", options))
        self._path(repo_id).mkdir(parents=True, exist_ok=True)

    def create_branch(self, repo_id: str, **options: Any) -> None:
        self.asked.append(("create_branch", options))

    def list_repo_files(self, repo_id: str, **options: Any) -> list[str]:
        return [path.name for path in self._path(repo_id).iterdir()]

    def upload_folder(self, repo_id: str, folder_path: str, delete_patterns: list[str], **options: Any) -> Any:
        self.asked.append(("upload_folder", options))
        for path in self._path(repo_id).iterdir():
            if any(fnmatch(path.name, pattern) for pattern in delete_patterns):
                path.unlink()
        shutil.copytree(folder_path, self._path(repo_id), dirs_exist_ok=True)
        return SimpleNamespace(oid="c0ffee" * 6)

    def model_info(self, repo_id: str, *, revision: str | None, files_metadata: bool) -> Any:
        assert files_metadata
        self.asked.append(("model_info", {"revision": revision}))
        files = [SimpleNamespace(rfilename=path.name, size=path.stat().st_size) for path in self._path(repo_id).iterdir()]
        return SimpleNamespace(sha="c0ffee" * 6, siblings=files)

    def snapshot_download(
        self, repo_id: str, *, revision: str, local_dir: str, allow_patterns: list[str], **options: Any
    ) -> str:
        self.asked.append(("snapshot_download", {"revision": revision, "files": allow_patterns}))
        for name in allow_patterns:
            shutil.copyfile(self._path(repo_id) / name, Path(local_dir) / name)
        return local_dir


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: fake)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    return fake


def test_a_model_goes_to_the_hub_and_comes_back(
    push: Run, shared: Path, api: FakeApi, tmp_path: Path, tamingplat_here: Run
) -> None:
    done = push("prior=gpt,conditioner=small", "hf://me/model@trial", "--private", "--license", "apache-2.0")
    assert done.returncode == 0 and "pushed to hf://me/model@trial at c0ffee" in done.stdout, done.stderr
    options = dict(api.asked)
    assert options["create_repo"] == {"repo_type": "model", "private": True, "exist_ok": True}
    assert options["create_branch"]["branch"] == options["upload_folder"]["revision"] == "trial"
    repository = api.root / "me" / "model"
    assert "tamingplat pull hf://me/model@trial --as gpt" in (repository / "README.md").read_text()
    assert (repository / "tamingplat.json").read_bytes() == (shared / "tamingplat.json").read_bytes()
    (repository / "evil.py").write_text("raise SystemExit")
    api.asked.clear()
    store = tmp_path / "store"
    assert tamingplat_here("pull", "hf://me/model@trial", "--as", "mine", "--store", store).returncode == 0
    assert api.asked == [
        ("model_info", {"revision": "trial"}),
        ("snapshot_download", {"revision": "c0ffee" * 6, "files": ["tamingplat.json"]}),
        (
            "snapshot_download",
            {"revision": "c0ffee" * 6, "files": ["condition.safetensors", "prior.safetensors", "tokenizer.safetensors"]},
        ),
    ]
    assert Store(store).named("mine").details["source"]["from"] == f"hf://me/model@{'c0ffee' * 6}"
    # A tokenizer after a prior leaves no weights of the prior behind.
    assert push("tokenizer=vq", "hf://me/model").returncode == 0
    assert {path.name for path in repository.glob("*.safetensors")} == {"tokenizer.safetensors"}


def test_a_repository_is_not_believed(push: Run, shared: Path, api: FakeApi, tmp_path: Path, tamingplat_here: Run) -> None:
    repository = api.root / "me" / "model"
    shutil.copytree(shared, repository)
    with (repository / "prior.safetensors").open("ab") as file:
        file.write(b"more")
    done = tamingplat_here("pull", "hf://me/model", "--as", "mine", "--store", tmp_path / "store")
    assert done.returncode == 2 and "prior.safetensors: the file has" in done.stderr
    assert [name for name, _ in api.asked] == ["model_info", "snapshot_download"], "the weights were fetched all the same"
    (repository / "tamingplat.json").unlink()
    other = push("tokenizer=vq", "hf://me/model")
    assert other.returncode == 2 and "holds condition.safetensors, which tamingplat did not push" in other.stderr


def test_the_hub_says_no_in_one_sentence(
    push: Run, api: FakeApi, tmp_path: Path, tamingplat_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import errors

    def fail(error: Exception) -> Callable[..., Any]:
        def raise_(*arguments: Any, **options: Any) -> Any:
            raise error

        return raise_

    api.token = None
    done = push("tokenizer=vq", "hf://me/model")
    assert done.returncode == 2 and "needs a token, and there is none" in done.stderr and "--to FOLDER" in done.stderr
    api.token = "hf_secret"
    offline = errors.OfflineModeIsEnabled("Cannot reach the hub")
    monkeypatch.setattr(api, "create_repo", fail(offline))
    monkeypatch.setattr(api, "model_info", fail(offline))
    for asked in (push("tokenizer=vq", "hf://me/model"), tamingplat_here("pull", "hf://me/model", "--as", "mine")):
        assert asked.returncode == 2 and asked.stderr.splitlines()[-1].startswith("hf://me/model: the hub cannot be reached")
        assert "a folder does without" in asked.stderr
    library = next(base for base in errors.HfHubHTTPError.__bases__ if base is not OSError)
    answers: dict[Exception, str] = {
        library("refused"): "the hub cannot be reached",
        _answer(errors.RepositoryNotFoundError, 404): "there is no such model on the hub",
        _answer(errors.RevisionNotFoundError, 404): "the repository has no revision main",
        _answer(errors.HfHubHTTPError, 403): "does not let this token do that (403)",
        _answer(errors.HfHubHTTPError, 503): "the hub answered 503",
    }
    for error, message in answers.items():
        monkeypatch.setattr(api, "model_info", fail(error))
        said = tamingplat_here("pull", "hf://me/model", "--as", "mine")
        assert said.returncode == 2 and message in said.stderr and said.stderr.count("\n") == 1, said.stderr


def _answer(kind: type[Exception], status: int) -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, "an answer")
    error.response = SimpleNamespace(status_code=status)
    return error


def test_help_says_what_a_target_is(tamingplat_here: Run) -> None:
    for command in ("push", "pull"):
        assert "A folder, or hf://owner/name" in " ".join(tamingplat_here(command, "--help").stdout.split())
