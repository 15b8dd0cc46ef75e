"""Wrong manifests: exactly what is said of each, all of it at once, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.interfaces import ProblemsError
from tamingplat.manifest import load_manifest

# The text of each stands from line 3 on, after the head; a matrix follows where it has none.
VQ = """\
[tokenizer.vq]
use = "vqgan"
"""
ELSEWHERE = "which starts from the manifest's folder FOLDER"

MISTAKES: dict[str, tuple[str, list[str]]] = {
    "a misspelt setting": (
        VQ + "config = { codebok_size = 3 }\n",
        ["m.toml:5: tokenizer.vq.config.codebok_size: unknown field of vqgan; did you mean codebook_size?"],
    ),
    "a setting like no other": (
        "[prior.g]\nuse = 'gpt'\nconfig.zzz = 1\n",
        ["m.toml:5: prior.g.config.zzz: unknown field of gpt; its fields are layers, dropout, width"],
    ),
    "a setting of what has none": (
        "[ordering.raster.config]\nx = 1\n",
        ["m.toml:4: ordering.raster.config.x: unknown field of raster; it has none"],
    ),
    "ranges": (
        VQ
        + "config.downsampling = 6\n[prior.gpt.config]\nlayers = 0\ndropout = 1\n"
        + "[sampler.ancestral]\nconfig.temperature = -1.5\n",
        [
            "m.toml:5: tokenizer.vq.config.downsampling: must be between 0 and 5, not 6",
            "m.toml:7: prior.gpt.config.layers: must be at least 1, not 0",
            "m.toml:8: prior.gpt.config.dropout: must be at least 0 and below 1, not 1",
            "m.toml:10: sampler.ancestral.config.temperature: must be above 0, not -1.5",
        ],
    ),
    "types": (
        VQ
        + """\
config = { codebook_size = "8", downsampling = true, strides = 3, compile = "yes", loss = 1, perceptual = 1 }
train = { steps = 1e3, betas = [0.9, 0.9, 0.9], optimizer = "Adam", gradient_clip = [] }
views = 1.5
preset = 2
""",
        [
            'm.toml:5: tokenizer.vq.config.codebook_size: must be an integer, not "8"; write it without quotation marks',
            "m.toml:5: tokenizer.vq.config.downsampling: must be an integer, not true",
            "m.toml:5: tokenizer.vq.config.strides: must be a list, not 3; write [3]",
            'm.toml:5: tokenizer.vq.config.compile: must be true or false, not "yes"',
            "m.toml:5: tokenizer.vq.config.loss: must be a table, not 1",
            'm.toml:5: tokenizer.vq.config.perceptual: must be a name, a table or "none", not 1',
            "m.toml:6: tokenizer.vq.train.steps: must be an integer, not 1000.0; write 1000",
            "m.toml:6: tokenizer.vq.train.betas: must have 2 values, not 3",
            'm.toml:6: tokenizer.vq.train.optimizer: must be "adam" or "adamw", not "Adam"; did you mean adam or adamw?',
            'm.toml:6: tokenizer.vq.train.gradient_clip: must be a number or "none", not an empty list',
            "m.toml:7: tokenizer.vq.views: must be an integer, not 1.5",
            "m.toml:8: tokenizer.vq.preset: must be text, not 2; write it in quotation marks",
        ],
    ),
    "a setting inside a setting": (
        VQ + "[tokenizer.vq.config.loss]\nweight = -1\nknd = 'plain'\nkind = 'hing'\n",
        [
            "m.toml:6: tokenizer.vq.config.loss.weight: must be at least 0, not -1",
            "m.toml:7: tokenizer.vq.config.loss.knd: unknown field of vqgan; did you mean kind?",
            'm.toml:8: tokenizer.vq.config.loss.kind: must be "hinge" or "plain", not "hing"; did you mean hinge?',
        ],
    ),
    "what a component demands": (
        VQ + "config = { codebook_size = 7 }\n[tokenizer.big]\nuse = 'vqgan'\n[tokenizer.big.config]\n"
        "codebook_size = 1024\ndownsampling = 0\nperceptual = 'lpips'\n",
        [
            "m.toml:5: tokenizer.vq.config.codebook_size: must be even, not 7",
            "m.toml:8: tokenizer.big.config: a codebook above 1000 needs downsampling",
            "m.toml:11: tokenizer.big.config.perceptual: there is no perceptual:lpips; there are vgg, alex",
        ],
    ),
    "what training demands": (
        "[prior.gpt]\ntrain = { warmup_steps = 200 }\n[prior.snail]\ntrain.batch_size = 30\ntrain.accumulation_steps = 4\n",
        [
            "m.toml:4: prior.gpt.train: warmup_steps 200 exceeds steps 100",
            "m.toml:6: prior.snail.train: batch_size 30 is not divisible by accumulation_steps 4",
        ],
    ),
    "a setting that is required": (
        "[dataset.pictures]\nuse = 'folder'\n[matrix]\ndataset = ['folder', 'pictures']\ntokenizer = ['kmeans']\n"
        "prior = ['gpt']\nordering = ['raster']\n",
        [
            "m.toml:3: dataset.pictures.config.root: is required",
            "m.toml:6: matrix.dataset[0]: folder.config.root: is required",
        ],
    ),
    "files that are absent": (
        "compare_with = ['table.toml', 'images']\n"
        "[dataset.pictures]\nuse = 'folder'\nconfig = { root = 'nowhere', masks = { a = 'images', b = '/no/where' } }\n"
        "[perceptual.vgg]\nconfig.weights = ''\n",
        [
            "m.toml:3: compare_with[0]: there is no file or folder FOLDER/table.toml; "
            f"put it there, or correct the path, {ELSEWHERE}",
            "m.toml:3: compare_with[1]: FOLDER/images is a folder; name a file",
            "m.toml:6: dataset.pictures.config.root: there is no file or folder FOLDER/nowhere; "
            f"put it there, or correct the path, {ELSEWHERE}",
            "m.toml:6: dataset.pictures.config.masks.b: there is no file or folder /no/where; "
            "put it there, or correct the path",
            "m.toml:8: perceptual.vgg.config.weights: must not be empty; name a file or a folder",
        ],
    ),
    "names that do not exist": (
        """\
[tokenizer.vq]
use = "vqgn"
[prior.large]
config.layers = 3
[prior.small]
use = "gpt"
[evaluate]
metrics = ["nll", "nil"]
[runtime]
executor = "remote"
[matrix]
dataset = ["noise"]
tokenizer = ["vq", "kmean"]
prior = ["smal", "gpt"]
ordering = ["raster", "spiral"]
""",
        [
            "m.toml:4: tokenizer.vq.use: there is no tokenizer:vqgn; did you mean vqgan?",
            "m.toml:5: prior.large: there is no prior:large; there are gpt, snail; "
            'a block that is not named after its component says use = "…"',
            "m.toml:10: evaluate.metrics[1]: there is no metric:nil; did you mean nll?",
            "m.toml:12: runtime.executor: there is no executor:remote; there are inline, local",
            "m.toml:15: matrix.tokenizer[1]: there is no tokenizer:kmean; did you mean kmeans?",
            "m.toml:16: matrix.prior[0]: there is no prior:smal; did you mean snail, or the block small?",
            "m.toml:17: matrix.ordering[1]: there is no ordering:spiral; did you mean spiral-in or spiral-out?",
        ],
    ),
    "presets": (
        VQ
        + "preset = 'huge'\n[tokenizer.odd]\nuse = 'vqgan'\npreset = 'lopsided'\n"
        + "[tokenizer.flat]\nuse = 'vqgan'\npreset = 'large'\nconfig.downsampling = 0\n",
        [
            "m.toml:5: tokenizer.vq.preset: tokenizer:vqgan has no preset 'huge'",
            "m.toml:8: tokenizer.odd.preset: config.strides: must have 2 values, not 1",
            "m.toml:12: tokenizer.flat.config: a codebook above 1000 needs downsampling",
        ],
    ),
    "training of what is not trained": (
        "[tokenizer.kmeans]\ntrain.steps = 5\n[sampler.ancestral]\ntrain = { steps = 5 }\n"
        + VQ
        + "artifact = 'mine'\ntrain = { steps = 3 }\n",
        [
            "m.toml:4: tokenizer.kmeans.train: kmeans is not trained and takes no such settings; remove it",
            "m.toml:6: sampler.ancestral.train: no sampler is trained; remove it",
            "m.toml:10: tokenizer.vq.train: an imported artifact is not trained; remove it, or artifact to train one",
        ],
    ),
    "fields that do not exist": (
        """\
sede = [1]
colour = 1
[tokeniser.vq]
[prior.gpt]
confg = {}
views = 2
[ordering.raster]
artifact = "x"
[evaluate]
sample = 3
[runtime]
thread = 1
[matrix]
datasets = ["noise"]
dataset = ["noise"]
tokenizer = ["kmeans"]
prior = ["gpt"]
ordering = ["raster"]
""",
        [
            "m.toml:3: sede: unknown field of a manifest; did you mean seeds?",
            "m.toml:4: colour: unknown field of a manifest; its fields are schema, name, seeds, tokenizer_seeds, compare_with, "
            "dataset, tokenizer, prior, ordering, conditioner, sampler, metric, feature_extractor, perceptual, classifier, "
            "executor, matrix, axes, evaluate, runtime",
            "m.toml:5: tokeniser: unknown field of a manifest; did you mean tokenizer or tokenizer_seeds?",
            "m.toml:7: prior.gpt.confg: unknown field of a prior block; did you mean config?",
            "m.toml:8: prior.gpt.views: unknown field of a prior block; its fields are use, preset, config, train, tuning, "
            "artifact, window",
            "m.toml:10: ordering.raster.artifact: unknown field of an ordering block; its fields are use, preset, config",
            "m.toml:12: evaluate.sample: unknown field of [evaluate]; did you mean samples?",
            "m.toml:14: runtime.thread: unknown field of [runtime]; did you mean threads?",
            "m.toml:16: matrix.datasets: unknown field of the matrix; did you mean dataset?",
        ],
    ),
    "tables that are none": (
        "evaluate = 1\nruntime = []\naxes = 'x'\nprior = 'gpt'\nsampler.temperature = 2\n"
        "[tokenizer]\nuse = 'vqgan'\n[tokenizer.'a b']\n",
        [
            "m.toml:3: evaluate: must be a table, not 1; write it as [evaluate]",
            "m.toml:4: runtime: must be a table, not an empty list; write it as [runtime]",
            'm.toml:5: axes: must be a table, not "x"',
            'm.toml:6: prior: must be a table of blocks, not "gpt"; write [prior.NAME]',
            "m.toml:7: sampler.temperature: must be a block, not 2; blocks have names: write [sampler.NAME]",
            'm.toml:9: tokenizer.use: must be a block, not "vqgan"; blocks have names: write [tokenizer.NAME]',
            "m.toml:10: tokenizer.\"a b\": the name must be at most 100 letters, digits, '.', '_' and '-', "
            "and begin with a letter or a digit; rename the block",
            'm.toml:10: tokenizer."a b": there is no tokenizer:a b; there are vqgan, kmeans; '
            'a block that is not named after its component says use = "…"',
        ],
    ),
    "seeds": (
        "seeds = []\ntokenizer_seeds = [1, 2, 1]\n",
        ["m.toml:3: seeds: must not be empty", "m.toml:4: tokenizer_seeds: names 1 more than once"],
    ),
    "seeds of another type": (
        "seeds = [-1, 'x', 1.0]\ntokenizer_seeds = 3\n",
        [
            "m.toml:3: seeds[0]: must be at least 0, not -1",
            'm.toml:3: seeds[1]: must be an integer, not "x"',
            "m.toml:3: seeds[2]: must be an integer, not 1.0; write 1",
            "m.toml:4: tokenizer_seeds: must be a list, not 3; write [3]",
        ],
    ),
    "numbers that are none": (
        "[prior.gpt]\nconfig.dropout = nan\ntrain = { learning_rate = inf }\n[evaluate]\nsamples = -inf\n"
        "[axes]\n'prior.gpt.config.width' = [nan, 8]\n",
        [
            "m.toml:4: prior.gpt.config.dropout: must be a finite number, not nan",
            "m.toml:5: prior.gpt.train.learning_rate: must be a finite number, not inf",
            "m.toml:7: evaluate.samples: must be a finite number, not -inf",
            'm.toml:9: axes."prior.gpt.config.width"[0]: must be a finite number, not nan',
        ],
    ),
    "evaluation and device": (
        "[evaluate]\nsamples = 0\nmetrics = 'nll'\nreference = ''\n[runtime]\ndevice = 'gpu'\nthreads = -1\n",
        [
            "m.toml:4: evaluate.samples: must be at least 1, not 0",
            'm.toml:5: evaluate.metrics: must be a list, not "nll"; write ["nll"]',
            "m.toml:6: evaluate.reference: must not be empty",
            'm.toml:8: runtime.device: must be "auto", "cpu", "cuda", "cuda:N" or "mps", not "gpu"',
            "m.toml:9: runtime.threads: must be at least 0, not -1",
        ],
    ),
    "references": (
        """\
[sampler.a]
use = "rejection"
config = { inner = { use = "b" }, judges = ["vgg", "vg"] }
[sampler.b]
use = "rejection"
config.inner = "a"
[sampler.c]
use = "rejection"
[sampler.c.config.inner]
use = "ancestral"
config = { temperature = 0, top_p = 1 }
[sampler.d]
use = "rejection"
config.inner = { use = "ancestrl", config = { temperature = 0 } }
[sampler.e]
use = "loop"
""",
        [
            "m.toml:5: sampler.a.config.judges[1]: there is no perceptual:vg; did you mean vgg?",
            "m.toml:8: sampler.b.config.inner: refers to itself: a → b → a; break the circle",
            "m.toml:13: sampler.c.config.inner.config.temperature: must be above 0, not 0",
            "m.toml:13: sampler.c.config.inner.config.top_p: unknown field of ancestral; did you mean top_k?",
            "m.toml:16: sampler.d.config.inner.use: there is no sampler:ancestrl; did you mean ancestral?",
            "m.toml:17: sampler.e.config.inner: loop.config.inner: refers to itself: sampler:loop → sampler:loop; "
            "break the circle",
        ],
    ),
    "a matrix without lists": (
        "[matrix]\ndataset = []\ntokenizer = 'kmeans'\nprior = ['gpt', 3, '']\n",
        [
            "m.toml:3: matrix.ordering: is required",
            "m.toml:4: matrix.dataset: must not be empty",
            'm.toml:5: matrix.tokenizer: must be a list, not "kmeans"; write ["kmeans"]',
            "m.toml:6: matrix.prior[1]: must be text, not 3; write it in quotation marks",
            "m.toml:6: matrix.prior[2]: must not be empty",
        ],
    ),
    "exclusions": (
        """\
seeds = [0, 1]
[matrix]
dataset = ["noise"]
tokenizer = ["kmeans"]
prior = ["gpt", "snail"]
ordering = ["raster", "spiral-in"]
exclude = [
    { prior = "gtp" },
    { prior = ["gpt", "vqgan"], seed = [0, 2] },
    { metric = "nll" },
    { prior = "gpt", ordering = "row-major" },
    { prior = "gpt", ordering = "raster", seed = 1 },
    {},
    { tokenizer_seed = 7, ordering = [] },
    { dataset = 3 },
]
""",
        [
            'm.toml:10: matrix.exclude[0].prior: "gtp" is none of the matrix\'s priors; did you mean gpt?',
            'm.toml:11: matrix.exclude[1].prior[1]: "vqgan" is none of the matrix\'s priors; they are gpt, snail',
            "m.toml:11: matrix.exclude[1].seed[1]: 2 is none of the manifest's seeds; they are 0, 1",
            "m.toml:12: matrix.exclude[2].metric: unknown field of the matrix; "
            "its fields are dataset, tokenizer, prior, ordering, conditioner, sampler, seed, tokenizer_seed",
            "m.toml:15: matrix.exclude[5]: must not be empty; "
            "name one of dataset, tokenizer, prior, ordering, conditioner, sampler, seed, tokenizer_seed",
            "m.toml:16: matrix.exclude[6].tokenizer_seed: 7 is none of the manifest's tokenizer_seeds; they are 0",
            "m.toml:16: matrix.exclude[6].ordering: must not be empty; name a value, or leave the field out",
            "m.toml:17: matrix.exclude[7].dataset: must be text or a list, not 3; write [3]",
        ],
    ),
    "an exclusion that excludes nothing": (
        "[matrix]\ndataset = ['noise']\ntokenizer = ['kmeans']\nprior = ['gpt']\nordering = ['raster', 'spiral-in']\n"
        "exclude = [{ ordering = 'row-major' }, { prior = 'gpt', ordering = 'raster' }]\n",
        ["m.toml:8: matrix.exclude[1]: leaves out no cell that an earlier entry keeps; remove it"],
    ),
    "everything excluded": (
        "[matrix]\ndataset = ['noise']\ntokenizer = ['kmeans']\nprior = ['gpt']\nordering = ['raster']\n"
        "exclude = [{ seed = 0 }]\n",
        ["m.toml:8: matrix.exclude: leaves out every cell; remove an entry, or include a cell"],
    ),
    "inclusions": (
        """\
[matrix]
dataset = ["noise"]
tokenizer = ["kmeans"]
prior = ["gpt", "snail"]
ordering = ["raster", "spiral-in"]
include = [
    { tokenizer = "vqgan", prior = ["gpt"] },
    { tokenizer = "vqgan" },
    { tokenizer = "vqgn", prior = "gpt", ordering = "raster" },
    { prior = "gpt", ordering = "raster", seed = -1 },
]
""",
        [
            "m.toml:9: matrix.include[0].prior: must be text, not a list",
            'm.toml:10: matrix.include[1]: names no prior, and the matrix has 2; add prior = "…"',
            'm.toml:10: matrix.include[1]: names no ordering, and the matrix has 2; add ordering = "…"',
            "m.toml:11: matrix.include[2].tokenizer: there is no tokenizer:vqgn; did you mean vqgan?",
            "m.toml:12: matrix.include[3].seed: must be at least 0, not -1",
        ],
    ),
    "axes": (
        VQ
        + """\
[prior.g]
use = "gpt"
[axes]
"prior.g.config.width" = []
"prior.g.config.layers" = 3
"prior.g" = [1]
"prior.f.config.layers" = [1]
"pior.g.config.layers" = [1]
"sampler.ancestral.config.top_k" = [1]
"prior.g.config" = [{ layers = 1 }]
"sampler. .x" = [1]
"tokenizer.vq.config.downsampling" = [1, 9]
tokenizer.vq.config.downsamplng = [1, 2]
"tokenizer.vq.config.loss.weight" = [1.0]
"tokenizer.vq.config.loss" = [{}]
"tokenizer.vq.use" = ["kmeans"]
[matrix]
dataset = ["noise"]
tokenizer = ["vq"]
prior = ["g"]
ordering = ["raster"]
""",
        [
            'm.toml:8: axes."prior.g.config.width": must not be empty; give at least one value',
            'm.toml:9: axes."prior.g.config.layers": must be a list of values, not 3; write [3]',
            'm.toml:10: axes."prior.g": must name a kind, a block and a setting; '
            'write "prior.NAME.train.learning_rate" or the like',
            'm.toml:11: axes."prior.f.config.layers": there is no block prior.f; write a table [prior.f], even an empty one',
            'm.toml:12: axes."pior.g.config.layers": there is no kind "pior"; did you mean prior?',
            'm.toml:13: axes."sampler.ancestral.config.top_k": there is no block sampler.ancestral; '
            "write a table [sampler.ancestral], even an empty one",
            'm.toml:14: axes."prior.g.config": config of a prior block cannot be varied; '
            "vary config.SETTING or train.SETTING or preset or window",
            'm.toml:15: axes."sampler. .x": is not a dotted path; write "prior.NAME.train.learning_rate" or the like',
            'm.toml:16: axes."tokenizer.vq.config.downsampling"[1]: must be between 0 and 5, not 9',
            "m.toml:17: axes.tokenizer.vq.config.downsamplng: unknown field of vqgan; did you mean downsampling?",
            'm.toml:19: axes."tokenizer.vq.config.loss": sets the same as the axis tokenizer.vq.config.loss.weight; '
            "keep one of them",
            'm.toml:20: axes."tokenizer.vq.use": use of a tokenizer block cannot be varied; '
            "vary config.SETTING or train.SETTING or preset or views",
        ],
    ),
    "an axis of what no cell uses": (
        "[prior.g]\nuse = 'gpt'\n[axes]\n'prior.g.config.layers' = [1, 2]\n",
        [
            'm.toml:6: axes."prior.g.config.layers": no cell uses the block prior.g; '
            "name the block in the matrix, or remove the axis"
        ],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_everything_that_is_wrong_is_said_at_once(case: str, problems: Callable[..., list[str]], folder: Path) -> None:
    text, expected = MISTAKES[case]
    assert problems(text) == [line.replace("FOLDER", str(folder)) for line in expected]


def test_an_empty_manifest(folder: Path, catalogue: object) -> None:
    Path("m.toml").write_text("")
    with pytest.raises(ProblemsError) as raised:
        load_manifest(Path("m.toml"), catalogue)  # type: ignore[arg-type]
    assert str(raised.value).splitlines() == [
        "m.toml:1: schema: is required; write schema = 1",
        'm.toml:1: name: is required; write name = "…"',
        "m.toml:1: matrix: is required; write a table [matrix] with lists of dataset, tokenizer, prior and ordering",
    ]


def test_a_wrong_head(folder: Path, catalogue: object) -> None:
    (folder / "sub").mkdir()
    path = Path("sub") / "m.toml"
    path.write_text('schema = 2\nname = "../x"\ncompare_with = 3\nmatrix = []\n')
    with pytest.raises(ProblemsError) as raised:
        load_manifest(path, catalogue)  # type: ignore[arg-type]
    assert str(raised.value).splitlines() == [
        "sub/m.toml:1: schema: must be 1, not 2",
        "sub/m.toml:2: name: must be at most 100 letters, digits, '.', '_' and '-', and begin with a letter or a digit",
        "sub/m.toml:3: compare_with: must be text or a list, not 3; write [3]",
        "sub/m.toml:4: matrix: must be a table, not an empty list; "
        "write a table [matrix] with lists of dataset, tokenizer, prior and ordering",
    ]


def test_faults_of_several_values_of_an_axis_are_each_said_once(problems: Callable[..., list[str]]) -> None:
    text = "[prior.gpt]\nconfig = { layers = 0 }\n[axes]\n'prior.gpt.config.width' = [1, 0]\n'prior.gpt.train.steps' = [5, 6]\n"
    assert problems(text) == [
        "m.toml:4: prior.gpt.config.layers: must be at least 1, not 0",
        'm.toml:6: axes."prior.gpt.config.width"[1]: must be at least 1, not 0',
    ]
