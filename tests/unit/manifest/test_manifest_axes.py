"""Settings as axes: which cells they cross with, and what the variants are called."""

from __future__ import annotations

from collections.abc import Callable

from tamingplat.manifest import Manifest

Load = Callable[..., Manifest]

TWO_PRIORS = """\
[tokenizer.vq]
use = "vqgan"
[prior.g]
use = "gpt"
[matrix]
dataset = ["noise"]
tokenizer = ["vq", "kmeans"]
prior = ["g", "snail"]
ordering = ["raster"]
[axes]
"""


def test_an_axis_crosses_with_the_cells_that_use_its_block(load: Load) -> None:
    manifest = load(TWO_PRIORS + '"prior.g.train.learning_rate" = [1e-3, 3e-4]\n')
    assert [(cell.tokenizer.label, cell.prior.label, dict(cell.axes)) for cell in manifest.cells] == [
        ("vq", "g[learning_rate=0.001]", {"prior.g.train.learning_rate": 1e-3}),
        ("vq", "g[learning_rate=0.0003]", {"prior.g.train.learning_rate": 3e-4}),
        ("vq", "snail", {}),
        ("kmeans", "g[learning_rate=0.001]", {"prior.g.train.learning_rate": 1e-3}),
        ("kmeans", "g[learning_rate=0.0003]", {"prior.g.train.learning_rate": 3e-4}),
        ("kmeans", "snail", {}),
    ]
    rates = [cell.prior.train.learning_rate for cell in manifest.cells if cell.prior.train]
    assert rates == [1e-3, 3e-4, 3e-4, 1e-3, 3e-4, 3e-4]
    assert len({cell.prior for cell in manifest.cells}) == 3


def test_axes_cross_with_each_other_and_with_seeds(load: Load) -> None:
    text = TWO_PRIORS + "prior.g.config.layers = [1, 2, 1]\ntokenizer.vq.views = [1, 4]\n'tokenizer.vq.preset' = ['large']\n"
    manifest = load(text, "seeds=[0,1]")
    labels = [(cell.tokenizer.label, cell.prior.label) for cell in manifest.cells]
    assert labels[::2] == [
        ("vq[views=1,preset=large]", "g[layers=1]"),
        ("vq[views=1,preset=large]", "g[layers=2]"),
        ("vq[views=4,preset=large]", "g[layers=1]"),
        ("vq[views=4,preset=large]", "g[layers=2]"),
        ("vq[views=1,preset=large]", "snail"),
        ("vq[views=4,preset=large]", "snail"),
        ("kmeans", "g[layers=1]"),
        ("kmeans", "g[layers=2]"),
        ("kmeans", "snail"),
    ]
    assert [cell.seed for cell in manifest.cells] == [0, 1] * 9
    assert manifest.cells[4].tokenizer.views == 4
    assert manifest.cells[0].tokenizer.config.model_dump()["codebook_size"] == 1024


def test_labels_show_as_much_of_a_path_as_tells_it_from_the_others(load: Load) -> None:
    text = TWO_PRIORS + "tokenizer.vq.config.compile = [true]\ntokenizer.vq.train.compile = [false]\n"
    text += "tokenizer.vq.config.loss.kind = ['plain']\ntokenizer.vq.config.strides = [[1, 2]]\n"
    label = load(text).cells[0].tokenizer.label
    assert label == "vq[config.compile=true,kind=plain,strides=[1, 2],train.compile=false]"


def test_an_axis_of_a_part_varies_what_uses_the_part(load: Load) -> None:
    text = "[perceptual.deep]\nuse = 'vgg'\n" + TWO_PRIORS
    text = text.replace(
        'use = "vqgan"\n', 'use = "vqgan"\nconfig.perceptual = { use = "deep", config.weights = "weights.bin" }\n'
    )
    manifest = load(text + '"perceptual.deep.config.layers" = [[1], [2]]\n')
    assert [(cell.tokenizer.label, cell.prior.label) for cell in manifest.cells] == [
        ("vq[layers=[1]]", "g"),
        ("vq[layers=[2]]", "g"),
        ("vq[layers=[1]]", "snail"),
        ("vq[layers=[2]]", "snail"),
        ("kmeans", "g"),
        ("kmeans", "snail"),
    ]
    parts = [cell.tokenizer.parts["perceptual"] for cell in manifest.cells[:2]]
    assert [part.label for part in parts] == ["deep[layers=[1]]", "deep[layers=[2]]"]
    assert [part.config.model_dump()["layers"] for part in parts] == [(1,), (2,)]


def test_an_axis_can_choose_a_part_on_which_other_axes_depend(load: Load) -> None:
    text = "[perceptual.deep]\nuse = 'vgg'\n" + TWO_PRIORS.replace('"vq", "kmeans"', '"vq"').replace(', "snail"', "")
    text += '"tokenizer.vq.config.perceptual" = ["deep", "alex", "none"]\n"perceptual.deep.config.layers" = [[1], [2]]\n'
    cells = load(text).cells
    assert [cell.tokenizer.label for cell in cells] == [
        "vq[perceptual=deep,layers=[1]]",
        "vq[perceptual=deep,layers=[2]]",
        "vq[perceptual=alex]",
        "vq[perceptual=none]",
    ]
    assert [list(cell.axes) for cell in cells][2:] == [["tokenizer.vq.config.perceptual"]] * 2


def test_a_setting_that_only_an_axis_gives_is_given(load: Load) -> None:
    text = "[dataset.pictures]\nuse = 'folder'\n[matrix]\ndataset = ['pictures']\ntokenizer = ['kmeans']\nprior = ['gpt']\n"
    text += "ordering = ['raster']\n[axes]\n'dataset.pictures.config.root' = ['images', '.']\n"
    assert [cell.dataset.label for cell in load(text).cells] == ["pictures[root=images]", "pictures[root=.]"]
