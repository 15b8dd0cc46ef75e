"""Published checkpoints through the real commands: import, use in a manifest, export, and everything that can be wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import Accelerator
from safetensors.torch import load_file

from tamingplat.cli import main
from tamingplat.engine import read_checkpoint
from tamingplat.interfaces.models import VisitPlan
from tamingplat.manifest import load_manifest, resolve_component
from tamingplat.registry import load_registry
from tamingplat.stages import StageContext, StoredArtifacts, collect_results, make_plan
from tamingplat.stages.build import Builder
from tamingplat.stages.imported import ImportedPrior, PriorOrigin
from tamingplat.stages.model_record import PriorRecord, TokenizerRecord, read_model_record
from tamingplat.stages.prior_stage import load_prior
from tamingplat.stages.tokenizer_stage import load_tokenizer
from tamingplat.store import Store

PARITY = Path(__file__).parents[1] / "fixtures" / "parity"


class Commands:
    """Runs the command line in this process on one store."""

    def __init__(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = store
        self.capsys = capsys

    @property
    def store(self) -> Store:
        return Store(self.path)

    def __call__(self, *arguments: object, status: int = 0) -> str:
        """What was printed: to standard error where it fails."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments), "--store", str(self.path)])
        captured = self.capsys.readouterr()
        assert caught.value.code == status, captured.err
        return captured.err if status else captured.out

    def take(self, checkpoint: Path, configuration: Path, name: str, *options: object, status: int = 0) -> str:
        return self("import", "taming", checkpoint, "--config", configuration, "--as", name, *options, status=status)

    def parity(self, name: str, *options: object) -> str:
        return self.take(PARITY / f"{name}.ckpt", PARITY / f"{name}.yaml", name.replace("_", "-"), *options)


@pytest.fixture
def commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(tmp_path / "store", capsys)


@pytest.fixture(scope="module")
def registry() -> Any:
    return load_registry()


def _close(given: torch.Tensor, expected: torch.Tensor) -> None:
    spread = float(expected.max() - expected.min())
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-5 * spread)


# Tokenizers and priors of the golden files, from the store, through the code that every run uses.


def _manifest(tmp_path: Path, blobs: Path, size: int, body: str, name: str = "used", **evaluate: object) -> Path:
    path = tmp_path / f"{name}.toml"
    settings = {"metrics": ["nll"], "samples": 4, "batch_size": 32, **evaluate}
    path.write_text(
        f"""schema = 1
name = "{name}"
[runtime]
device = "cpu"
[dataset.blobs]
use = "parquet"
config = {{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = {size} }}
{body}
[evaluate]
{chr(10).join(f"{key} = {json.dumps(value)}" for key, value in settings.items())}
"""
    )
    return path


MATRIX = """
[matrix]
dataset = ["blobs"]
tokenizer = ["{tokenizer}"]
prior = ["{prior}"]
ordering = ["{ordering}"]
conditioner = ["{conditioner}"]
"""

TINY = """
[prior.tiny]
use = "gpt"
config = { layers = 1, heads = 2, width = 16 }
train = { steps = 2, batch_size = 8 }
"""


def _plan(commands: Commands, registry: Any, manifest: Path) -> Any:
    loaded = load_manifest(manifest, registry, artifacts=StoredArtifacts(commands.store))
    return make_plan(loaded, registry, commands.store)


def _context(commands: Commands, builder: Builder, tmp_path: Path) -> StageContext:
    def silent(progress: object) -> None:
        pass

    return StageContext(commands.store, builder, Accelerator(cpu=True), tmp_path, tmp_path, silent, 8)


@pytest.mark.parametrize("name", ["vqgan", "gumbel"])
def test_an_imported_tokenizer_computes_what_the_reference_does(
    commands: Commands, registry: Any, tmp_path: Path, blobs: Path, name: str
) -> None:
    printed = commands.parity(name)
    assert printed.startswith(f"{name}: tokenizer, 7") and "not looked at, beside the tensors: epoch (a number)" in printed
    expected = load_file(PARITY / f"{name}_expected.safetensors")
    size = expected["image"].shape[-1]
    body = f'[tokenizer.x]\nartifact = "{name}"\n{TINY}' + MATRIX.format(
        tokenizer="x", prior="tiny", ordering="raster", conditioner="none"
    )
    plan = _plan(commands, registry, _manifest(tmp_path, blobs, size, body))
    assert not plan.refused
    stage = plan.cells[0].tokenizer
    tokenizer = load_tokenizer(stage, _context(commands, plan.builder, tmp_path))
    with torch.no_grad():
        codes = tokenizer.encode(expected["image"])
        reconstruction = tokenizer.decode(codes, (size, size))
    assert torch.equal(codes, expected["codes"].flatten(1))
    _close(reconstruction, expected["reconstruction"])
    artifact = commands.store.named(name)
    assert (artifact.stage, artifact.key) == (stage.kind, stage.key)
    assert artifact.details["source"]["file"] == f"{name}.ckpt"


@pytest.mark.parametrize("name", ["gpt", "gpt_bidirectional_prefix"])
def test_an_imported_prior_computes_what_the_reference_does(
    commands: Commands, registry: Any, tmp_path: Path, name: str
) -> None:
    printed = commands.parity(name, "--codes", "19", "--condition-length", 5)
    assert "dropped permuter.forward_shuffle_idx and 1 more" in printed and "transformer.blocks.0.attn.mask" in printed
    artifact = commands.store.named(name.replace("_", "-"))
    record = read_model_record(artifact)
    assert isinstance(record, PriorRecord) and record.ordering == "raster" and record.tokenizer is None
    expected = load_file(PARITY / f"{name}_expected.safetensors")
    builder = Builder(registry, commands.store.fingerprint)
    resolved = resolve_component(registry, "prior", record.component, record.config, where="record")
    ordering = resolve_component(registry, "ordering", record.ordering, {}, where="record")
    nothing = resolve_component(registry, "conditioner", "none", {}, where="record")
    digest = artifact.details["weights"]
    origin = PriorOrigin(resolved, ordering, record.space, record.layout, record.conditioner, None, None, digest)
    # What gave the condition is not in the file: it is given to the prior as it is.
    codes: Any = None
    stage = ImportedPrior(builder, codes, None, resolved, ordering, nothing, 0, record.space, record.layout, origin)
    assert stage.key == artifact.key
    prior = load_prior(stage, _context(commands, builder, tmp_path))
    plan = VisitPlan.repeat(torch.arange(record.space.length), len(expected["codes"]))
    with torch.no_grad():
        nll = prior.nll(expected["codes"], expected["condition"], plan)
    torch.testing.assert_close(nll.mean(), expected["nll_nats_per_token"], rtol=1e-5, atol=0)
    assert set(artifact.details["source"]["dropped"]) == {
        *(f"transformer.blocks.{layer}.attn.mask" for layer in range(2)),
        "permuter.forward_shuffle_idx",
        "permuter.backward_shuffle_idx",
    }


# A two-stage checkpoint on 4×4 codes, made of the golden ones.


def two_stage(
    folder: Path,
    *,
    permuter: str = "AlternateParsing",
    condition: Any = "__is_unconditional__",
    rows: int = 64,
    change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object] | None = None,
) -> tuple[Path, Path]:
    """A checkpoint and its configuration."""
    first = read_checkpoint(PARITY / "vqgan.ckpt").tensors
    second = read_checkpoint(PARITY / "gpt.ckpt").tensors
    state = {f"first_stage_model.{name}": value for name, value in first.items()}
    state |= {name: value for name, value in second.items() if name.startswith("transformer.")}
    generator = torch.Generator().manual_seed(0)
    for name in ("transformer.tok_emb.weight", "transformer.head.weight"):
        state[name] = torch.randn(rows, 32, generator=generator)
    order = torch.arange(16).view(4, 4)
    order[1::2] = order[1::2].flip(1)
    order = order.flatten() if permuter == "AlternateParsing" else torch.randperm(16, generator=generator)
    if permuter != "Identity":
        state |= {"permuter.forward_shuffle_idx": order, "permuter.backward_shuffle_idx": torch.argsort(order)}
    tokenizer = yaml.safe_load((PARITY / "vqgan.yaml").read_text())["model"]
    tokenizer.pop("base_learning_rate")
    tokenizer["params"]["lossconfig"] = {"target": "taming.modules.losses.DummyLoss"}
    configuration = yaml.safe_load((PARITY / "gpt.yaml").read_text())
    params = configuration["model"]["params"]
    params["first_stage_config"] = tokenizer
    params["cond_stage_config"] = condition
    params["permuter_config"] = {"target": f"taming.modules.transformer.permuter.{permuter}", "params": {"H": 4, "W": 4}}
    params["transformer_config"]["params"]["vocab_size"] = rows
    if change is not None:
        change(configuration, state)
    folder.mkdir(exist_ok=True)
    torch.save({"state_dict": state, "epoch": 1}, folder / "two.ckpt")
    (folder / "two.yaml").write_text(yaml.safe_dump(configuration))
    return folder / "two.ckpt", folder / "two.yaml"


def test_a_two_stage_checkpoint_runs_like_a_trained_model(
    commands: Commands, registry: Any, tmp_path: Path, blobs: Path
) -> None:
    printed = commands.take(*two_stage(tmp_path / "in", rows=70), "faces")
    assert "faces: prior" in printed and "faces-tokenizer: tokenizer" in printed
    assert "dropped first_stage_model.loss.discriminator.main.0.weight" in printed
    body = '[tokenizer.t]\nartifact = "faces-tokenizer"\n[prior.p]\nartifact = "faces"\n' + MATRIX.format(
        tokenizer="t", prior="p", ordering="alternate", conditioner="none"
    )
    manifest = _manifest(tmp_path, blobs, 8, body, metrics=["nll", "codebook"])
    planned = commands("plan", manifest)
    assert "imported" in planned and "to import" not in planned
    commands("run", manifest)
    rows = json.loads(commands("compare", manifest, "--format", "json"))
    row = next(row for row in rows if row["prior"] == "p")
    assert row["status"] == "done" and any(name.startswith("nll") for name in row["metrics"])
    assert row["cost"]["prior_parameters"] > 0 and "prior_training_seconds" not in row["cost"]
    assert row["cost"]["sampling_seconds"] > 0
    plan = _plan(commands, registry, manifest)
    assert collect_results(plan, commands.store).rows[0].status == "done"
    assert not plan.missing(commands.store)
    # Nothing that is named goes, and what a run made of it goes when nobody wants it.
    commands("store", "prune", "--keep", manifest, "--yes")
    assert commands.store.named("faces").key == plan.cells[0].prior.key
    listed = commands("store", "list", "--json")
    names = {row["key"]: row["names"] for row in json.loads(listed)}
    assert names[plan.cells[0].tokenizer.key] == ["faces-tokenizer"]
    # Codes are drawn along the ordering that the checkpoint was trained under, from the rows that are codes.
    prior = load_prior(plan.cells[0].prior, _context(commands, plan.builder, tmp_path))
    logits, _ = prior.logits(
        torch.zeros(1, 16).long(), torch.empty(1, 0).long(), torch.zeros(1, 1).long(), torch.empty(1, 0).long()
    )
    assert logits.shape == (1, 1, 64)


def test_a_prior_is_trained_on_an_imported_tokenizer(commands: Commands, registry: Any, tmp_path: Path, blobs: Path) -> None:
    commands.take(*two_stage(tmp_path / "in"), "faces")
    body = f'[tokenizer.t]\nartifact = "faces-tokenizer"\nuse = "vqvae"\n{TINY}' + MATRIX.format(
        tokenizer="t", prior="tiny", ordering="alternate", conditioner="none"
    )
    manifest = _manifest(tmp_path, blobs, 8, body)
    commands("run", manifest)
    row = json.loads(commands("compare", manifest, "--format", "json"))[0]
    assert row["status"] == "done" and row["components"]["tokenizer"] == "vqvae"
    assert "tokenizer_training_seconds" not in row["cost"] and row["cost"]["prior_training_seconds"] > 0
    # A trained prior goes out with its imported tokenizer and comes back as the same function, positions by time.
    commands("store", "name", row["artifacts"]["prior"][:12], "tiny")
    commands("export", "taming", "tiny", "--out", tmp_path / "tiny.safetensors")
    commands.take(tmp_path / "tiny.safetensors", tmp_path / "tiny.yaml", "again")
    assert commands.store.named("again-tokenizer").key == commands.store.named("faces-tokenizer").key
    imported = body.replace(TINY, '\n[prior.tiny]\nartifact = "again"\n')
    plans = [_plan(commands, registry, path) for path in (manifest, _manifest(tmp_path, blobs, 8, imported, "again"))]
    assert not plans[1].refused, plans[1].refused[0].reason
    stages = [plan.cells[0].prior for plan in plans]
    trained, again = (
        load_prior(stage, _context(commands, plan.builder, tmp_path)) for stage, plan in zip(stages, plans, strict=True)
    )
    codes = torch.randint(64, (3, 16), generator=torch.Generator().manual_seed(0))
    order, condition = plans[0].builder.ordering(stages[0].ordering).plan(stages[0].space, 3), torch.empty(3, 0).long()
    with torch.no_grad():
        assert torch.equal(trained.nll(codes, condition, order), again.nll(codes, condition, order))
    assert not torch.equal(trained.pos_emb, again.pos_emb)


@pytest.mark.parametrize(
    ("body", "ordering", "conditioner", "reason"),
    [
        ('[tokenizer.t]\nartifact = "faces"\n', "raster", "none", "the artifact 'faces' is a prior, not a tokenizer"),
        (
            '[tokenizer.t]\nartifact = "facs"\n',
            "raster",
            "none",
            "is named 'facs'; did you mean faces",
        ),
        (
            '[tokenizer.t]\nuse = "vqgan"\nartifact = "faces-tokenizer"\n',
            "raster",
            "none",
            "is of tokenizer:vqvae, not of tokenizer:vqgan",
        ),
        (
            '[tokenizer.t]\nartifact = "faces-tokenizer"\nconfig = { embedding_dim = 8 }\n',
            "alternate",
            "none",
            "tokenizer.t.config.embedding_dim: the artifact faces-tokenizer has 16 here, and cannot be changed",
        ),
    ],
)
def test_what_is_wrong_with_a_block_is_said_at_its_place(
    commands: Commands, tmp_path: Path, blobs: Path, body: str, ordering: str, conditioner: str, reason: str
) -> None:
    commands.take(*two_stage(tmp_path / "in"), "faces")
    text = body + TINY + MATRIX.format(tokenizer="t", prior="tiny", ordering=ordering, conditioner=conditioner)
    manifest = _manifest(tmp_path, blobs, 8, text)
    said = commands("plan", manifest, status=2)
    assert said.startswith(f"{manifest}:") and reason in said and said.count("\n") == 1
    assert commands("validate", manifest, status=2) == said


def test_an_imported_prior_is_refused_where_it_does_not_belong(
    commands: Commands, registry: Any, tmp_path: Path, blobs: Path
) -> None:
    commands.take(*two_stage(tmp_path / "in"), "faces")
    commands.parity("vqgan")
    tokenizers = """
[tokenizer.t]
artifact = "faces-tokenizer"
[tokenizer.other]
artifact = "vqgan"
[tokenizer.trained]
use = "vqvae"
config = { codebook_size = 32, embedding_dim = 8, downsampling = 2, channels = 32, channel_multipliers = [1, 1, 1] }
[prior.p]
artifact = "faces"
"""
    reasons = {
        ("t", "raster", "none", 8): "was trained under ordering:alternate, not ordering:raster",
        ("t", "alternate", "class", 8): "was trained under conditioner:none, not conditioner:class",
        (
            "other",
            "alternate",
            "none",
            8,
        ): "with its own tokenizer, faces-tokenizer, and has learned",
        ("trained", "alternate", "none", 8): "models 4×4 codes of 64, and trained gives 2×2 codes of 32",
        ("t", "alternate", "none", 16): "models 4×4 codes of 64, and t gives 8×8 codes of 64",
        ("t", "alternate", "none", 9): "not divisible by 2",
    }
    for number, ((tokenizer, ordering, conditioner, size), reason) in enumerate(reasons.items()):
        text = tokenizers + MATRIX.format(tokenizer=tokenizer, prior="p", ordering=ordering, conditioner=conditioner)
        plan = _plan(commands, registry, _manifest(tmp_path, blobs, size, text, f"m{number}"))
        assert [reason in cell.reason for cell in plan.refused] == [True], [cell.reason for cell in plan.cells]


def test_a_class_conditional_prior_takes_the_class_conditioner(
    commands: Commands, registry: Any, tmp_path: Path, blobs: Path
) -> None:
    labels = {"target": "taming.modules.util.Labelator", "params": {"n_classes": 2}}
    commands.take(*two_stage(tmp_path / "in", condition=labels), "classes")
    text = '[tokenizer.t]\nartifact = "classes-tokenizer"\n[prior.p]\nartifact = "classes"\n[conditioner.c]\nuse = "class"\n'
    text += MATRIX.format(tokenizer="t", prior="p", ordering="alternate", conditioner="c")
    plan = _plan(commands, registry, _manifest(tmp_path, blobs, 8, text))
    assert not plan.refused and plan.cells[0].prior.layout[0].vocab_size == 2
    dropping = text.replace('use = "class"', 'use = "class"\nconfig = { dropout = 0.1 }')
    plan = _plan(commands, registry, _manifest(tmp_path, blobs, 8, dropping, "dropping"))
    assert "was trained with a condition of 1 of 2 tokens" in plan.cells[0].reason


def tied(folder: Path) -> tuple[Path, Path]:
    """A checkpoint whose first stage also gives the condition, as many tokens as there are codes."""

    def share(table: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        names = [name for name in state if name.startswith("first_stage_model.")]
        state |= {name.replace("first_stage_model.", "cond_stage_model."): state[name] for name in names}
        # Sixteen more tokens than the golden transformer has room for.
        state["transformer.pos_emb"] = torch.ones(1, 40, 32)
        state |= {f"transformer.blocks.{layer}.attn.mask": torch.ones(1, 1, 40, 40).tril() for layer in range(2)}
        table["model"]["params"]["transformer_config"]["params"]["block_size"] = 40

    return two_stage(folder, condition="__is_first_stage__", change=share)


def test_a_spatial_condition_needs_the_tokenizer_that_came_with_the_prior(
    commands: Commands, registry: Any, tmp_path: Path, blobs: Path
) -> None:
    commands.take(*tied(tmp_path / "in"), "sharper")
    commands.parity("vqgan")
    text = """[tokenizer.t]
artifact = "sharper-tokenizer"
[tokenizer.of-the-condition]
artifact = "NAME"
[prior.p]
artifact = "sharper"
[conditioner.small]
use = "low-resolution"
config = { tokenizer = "of-the-condition", factor = 2, enlarge = true }
""" + MATRIX.format(tokenizer="t", prior="p", ordering="alternate", conditioner="small")
    other = _plan(commands, registry, _manifest(tmp_path, blobs, 8, text.replace("NAME", "vqgan"), "other"))
    assert "imported with a tokenizer of its condition, sharper-tokenizer" in other.cells[0].reason
    manifest = _manifest(tmp_path, blobs, 8, text.replace("NAME", "sharper-tokenizer"))
    # Other processes plan again, one stage each.
    stages = json.loads(commands("plan", manifest, "--json"))["stages"]
    (encoding,) = [stage["key"] for stage in stages if stage["kind"] == "encode_conditions"]
    assert {stage["kind"] for stage in stages if stage["imported"]} == {"import_tokenizer", "import_prior"}
    commands("stage", encoding, "--manifest", manifest)
    commands("run", manifest)
    assert json.loads(commands("compare", manifest, "--format", "json"))[0]["status"] == "done"


def test_an_artifact_that_is_not_there_yet_can_be_planned_with(
    commands: Commands, registry: Any, tmp_path: Path, blobs: Path
) -> None:
    body = (
        """[tokenizer.t]
artifact = "published"
use = "vqvae"
config = { codebook_size = 16, embedding_dim = 8, downsampling = 1, channels = 32 }
"""
        + TINY
    )
    manifest = _manifest(
        tmp_path, blobs, 8, body + MATRIX.format(tokenizer="t", prior="tiny", ordering="raster", conditioner="none")
    )
    assert "to import" in commands("plan", manifest)
    said = commands("run", manifest, status=2)
    assert "no artifact of this store is named 'published'" in said and "tamingplat import" in said


# There and back.


def segmentation(folder: Path) -> tuple[Path, Path]:
    """A segmentation tokenizer of five classes in the published layout."""
    configuration = yaml.safe_load((PARITY / "vqgan.yaml").read_text())
    model = configuration["model"]
    model["target"] = "taming.models.vqgan.VQSegmentationModel"
    model["params"] |= {"n_labels": 5, "image_key": "segmentation"}
    model["params"]["ddconfig"] |= {"in_channels": 5, "out_ch": 5}
    model["params"]["lossconfig"] = {
        "target": "taming.modules.losses.segmentation.BCELossWithQuant",
        "params": {"codebook_weight": 0.5},
    }
    state = {
        name: value for name, value in read_checkpoint(PARITY / "vqgan.ckpt").tensors.items() if not name.startswith("loss.")
    }
    generator = torch.Generator().manual_seed(0)
    state["encoder.conv_in.weight"] = torch.randn(32, 5, 3, 3, generator=generator)
    state["decoder.conv_out.weight"] = torch.randn(5, 32, 3, 3, generator=generator)
    state["decoder.conv_out.bias"] = torch.randn(5, generator=generator)
    state["colorize"] = torch.randn(3, 5, 1, 1, generator=generator)
    folder.mkdir(exist_ok=True)
    torch.save({"state_dict": state}, folder / "segmentation.ckpt", _use_new_zipfile_serialization=False)
    (folder / "segmentation.yaml").write_text(json.dumps(configuration))
    return folder / "segmentation.ckpt", folder / "segmentation.yaml"


@pytest.mark.parametrize("model", ["vqgan", "gumbel", "segmentation", "gpt", "class", "tied"])
def test_what_is_exported_is_imported_as_the_same_artifact(commands: Commands, tmp_path: Path, model: str) -> None:
    options: tuple[object, ...] = ()
    if model in ("vqgan", "gumbel", "gpt"):
        source, configuration = PARITY / f"{model}.ckpt", PARITY / f"{model}.yaml"
        options = ("--codes", "19", "--condition-length", 5) if model == "gpt" else ()
    elif model == "segmentation":
        source, configuration = segmentation(tmp_path / "in")
    elif model == "tied":
        source, configuration = tied(tmp_path / "in")
    else:
        labels = {"target": "taming.modules.util.Labelator", "params": {"n_classes": 2}}
        source, configuration = two_stage(tmp_path / "in", condition=labels, rows=80)
    commands.take(source, configuration, "once", *options)
    commands("export", "taming", "once", "--out", tmp_path / "out.safetensors")
    commands.take(tmp_path / "out.safetensors", tmp_path / "out.yaml", "twice")
    names = commands.store.names()
    assert {name.replace("once", "twice") for name in names} <= set(names)
    for name in names:
        if name.startswith("once"):
            assert commands.store.named(name).key == commands.store.named(name.replace("once", "twice")).key
    # The same state dict, but for what was dropped.
    original, written = read_checkpoint(source).tensors, load_file(tmp_path / "out.safetensors")
    artifact = commands.store.named("once")
    dropped = {name for name in artifact.details["source"]["dropped"] if name not in written}
    assert written.keys() == original.keys() - dropped
    for name, value in written.items():
        assert torch.equal(value, original[name]), name
    assert all(name.endswith("colorize") or ".loss." in name or name.startswith("permuter.") for name in dropped)
    assert yaml.safe_load((tmp_path / "out.yaml").read_text())["model"]["base_learning_rate"] == 4.5e-6
    assert "there is such a file already" in commands(
        "export", "taming", "once", "--out", tmp_path / "out.safetensors", status=2
    )


def test_a_trained_tokenizer_keeps_every_setting_on_the_way(commands: Commands, tmp_path: Path, blobs: Path) -> None:
    body = (
        """[tokenizer.ema]
use = "vqgan"
config = { codebook_size = 16, embedding_dim = 8, downsampling = 1, channels = 32, channel_multipliers = [1, 1], \
residual_blocks = 1, codebook_update = "ema", commitment_placement = "paper", revive_after = 5, perceptual = "none", \
discriminator_layers = 1, discriminator_channels = 8, adaptive_weight = false }
train = { steps = 1, batch_size = 4 }
"""
        + TINY
    )
    manifest = _manifest(
        tmp_path, blobs, 8, body + MATRIX.format(tokenizer="ema", prior="tiny", ordering="raster", conditioner="none")
    )
    commands("run", manifest)
    key = json.loads(commands("compare", manifest, "--format", "json"))[0]["artifacts"]["tokenizer"]
    commands("store", "name", key, "ema")
    commands("export", "taming", "ema", "--out", tmp_path / "ema.safetensors")
    written = load_file(tmp_path / "ema.safetensors")
    assert {"quantize.embedding.weight", "quantize.embedding.cluster_size", "quantize.embedding.embed_avg"} <= written.keys()
    commands.take(tmp_path / "ema.safetensors", tmp_path / "ema.yaml", "back")
    trained, back = (read_model_record(commands.store.named(name)) for name in ("ema", "back"))
    assert isinstance(trained, TokenizerRecord) and isinstance(back, TokenizerRecord)
    assert {**trained.config, "revive_after": None} | _LEFT_OPEN == {**back.config} | _LEFT_OPEN


_LEFT_OPEN = {"latent_channels": 8}
"""Settings with a default that depends on others, which comes back as its value."""


# Everything that can be wrong: one sentence, status 2, and nothing written.


Files = Callable[[], tuple[Path, Path]]


def _mistakes(folder: Path) -> dict[str, tuple[Files, tuple[object, ...], str]]:
    def changed(change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object], **options: Any) -> Files:
        return lambda: two_stage(folder, change=change, **options)

    def params(table: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = table["model"]["params"]
        return found

    def misfit(table: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        for layer in range(2):
            for part in ("key", "query", "value", "proj"):
                state[f"transformer.blocks.{layer}.attn.{part}.more"] = state.pop(
                    f"transformer.blocks.{layer}.attn.{part}.bias"
                )
        for number in range(4):
            state[f"optimizer.{number}"] = torch.ones(1)
        state["transformer.ln_f.weight"] = torch.ones(7)

    def written(name: str, content: bytes) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    def cut() -> tuple[Path, Path]:
        content = (PARITY / "vqgan.ckpt").read_bytes()
        return written("cut.ckpt", content[: len(content) // 2]), PARITY / "vqgan.yaml"

    def network(**values: object) -> Files:
        return changed(lambda t, s: params(t)["first_stage_config"]["params"]["ddconfig"].update(values))

    def sizes(**values: object) -> Files:
        return changed(lambda t, s: params(t)["transformer_config"]["params"].update(values))

    vqgan = PARITY / "vqgan.ckpt"
    return {
        "no such file": (lambda: (folder / "absent.ckpt", PARITY / "vqgan.yaml"), (), "there is no such file"),
        "no configuration": (lambda: (vqgan, folder / "absent.yaml"), (), "there is no such file"),
        "cut off": (cut, (), "the file is damaged or cut off"),
        "not YAML": (lambda: (vqgan, written("x.yaml", b"a: [b")), (), "the configuration is not YAML"),
        "unsafe YAML": (lambda: (vqgan, written("x.yaml", b"!!python/object/apply:os.system ['true']")), (), "is not YAML"),
        "no model": (lambda: (vqgan, written("x.yaml", b"{}")), (), "model.target: names no class"),
        "another class": (
            lambda: (vqgan, written("x.yaml", b"model: {target: ldm.models.DDPM, params: {}}")),
            (),
            "there is no model ldm.models.DDPM; the classes that can be read are Net2NetTransformer, VQModel",
        ),
        "keys": (
            changed(misfit),
            (),
            "missing: transformer.blocks.0.attn.key.bias",
        ),
        "distribution": (network(double_z=True), (), "ddconfig.double_z: is true"),
        "channels": (
            network(out_ch=1),
            (),
            "ddconfig.out_ch: is 1, and in_channels 3",
        ),
        "groups": (network(ch=48), (), "is not divisible by norm_groups 32"),
        "attention": (
            network(attn_resolutions=[7]),
            (),
            "attention resolution 7 never",
        ),
        "heads": (
            sizes(n_head=3),
            (),
            "not divisible by heads 3",
        ),
        "block size": (
            sizes(block_size=8),
            (),
            "block_size 8 is below the 16 tokens",
        ),
        "remapped": (
            changed(lambda t, s: s.update({"first_stage_model.quantize.used": torch.arange(3)})),
            (),
            "first_stage_model.quantize.used: the codes are restricted",
        ),
        "start token": (changed(lambda t, s: params(t).update(sos_token=3)), (), "sos_token: is 3"),
        "another order": (changed(lambda t, s: None, permuter="Random"), (), "is not that of the orderings that are installed"),
        "wrong order": (
            changed(lambda t, s: params(t)["permuter_config"].update(target="a.ZCurve")),
            (),
            "its order of codes on a grid of 4×4 is not that of ordering:z-curve",
        ),
        "grid": (changed(lambda t, s: None), ("--codes", "4x5"), "orders 16 codes, and a grid of 4×5 has 20"),
        "grid's text": (changed(lambda t, s: None), ("--codes", "four"), "--codes four: must be the sides of a grid"),
        "conditional": (
            lambda: two_stage(folder, condition={"target": "some.Stage"}),
            (),
            "there is no conditional stage some.Stage; those that can be read are Labelator",
        ),
        "dummy": (
            lambda: two_stage(folder, condition={"target": "taming.models.dummy_cond_stage.DummyCondStage"}),
            (),
            "does not say how many tokens the condition has; state it with --condition-length",
        ),
        "unmasked": (
            sizes(n_unmasked=4),
            (),
            "n_unmasked: is 4, and the condition has 0 tokens",
        ),
    }


@pytest.mark.parametrize("mistake", list(_mistakes(Path())))
def test_a_mistake_is_one_sentence_and_writes_nothing(commands: Commands, tmp_path: Path, mistake: str) -> None:
    make, options, message = _mistakes(tmp_path / "in")[mistake]
    checkpoint, configuration = make()
    said = commands.take(checkpoint, configuration, "x", *options, status=2)
    assert message in said and said.count("\n") == 1, said
    assert not commands.path.exists()
    if mistake == "keys":
        assert "unexpected: transformer.blocks.0.attn.key.more" in said and "and 2 more" in said
        assert "misshapen: transformer.ln_f.weight is float32 (7,) and not float32 (32,)" in said


def test_a_name_is_not_taken_away_unless_asked_for(commands: Commands, tmp_path: Path) -> None:
    commands.parity("vqgan")
    before = commands.store.named("vqgan").key
    said = commands.take(*two_stage(tmp_path / "in"), "vqgan", status=2)
    assert "the name 'vqgan' stands for import_tokenizer" in said and "--replace" in said
    assert commands.store.names() == ("vqgan",) and len(commands.store.artifacts()) == 1
    assert "which the store had already" in commands.parity("vqgan")
    commands.take(*two_stage(tmp_path / "in"), "vqgan", "--replace")
    assert commands.store.named("vqgan").key != before
    assert "did you mean taming" in commands("import", "tamin", "x", "--config", "y", "--as", "z", status=2)


def test_an_import_of_another_revision_is_refused(commands: Commands, registry: Any, tmp_path: Path, blobs: Path) -> None:
    commands.parity("vqgan")
    artifact = commands.store.named("vqgan")
    path = artifact.directory / "stage.json"
    text = path.read_text()
    path.chmod(0o644)
    path.write_text(text.replace(f'"weights": "{artifact.details["weights"]}"', f'"weights": "{"0" * 64}"'))
    body = '[tokenizer.x]\nartifact = "vqgan"\n' + TINY
    manifest = _manifest(
        tmp_path, blobs, 8, body + MATRIX.format(tokenizer="x", prior="tiny", ordering="raster", conditioner="none")
    )
    assert "import it again" in _plan(commands, registry, manifest).cells[0].reason
    shutil.rmtree(artifact.directory)
    assert "the artifact named 'vqgan' is gone; import it again" in commands("plan", manifest, status=2)


def test_importing_again_mends_a_damaged_artifact(commands: Commands) -> None:
    commands.parity("gumbel")
    artifact = commands.store.named("gumbel")
    path = artifact.path("weights.safetensors")
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "import it again" in commands("store", "prune", "--damaged", "--dry-run")
    assert "which the store had already" not in commands.parity("gumbel")
    assert commands.store.verify(hashes=True) == () and path.read_bytes() == content


def test_a_name_that_is_none_writes_nothing(commands: Commands) -> None:
    said = commands.take(PARITY / "gumbel.ckpt", PARITY / "gumbel.yaml", "a/b", status=2)
    assert "'a/b' cannot name an artifact" in said and not commands.path.exists()
