"""Tables of published numbers of parameters: their layout, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamingplat.interfaces import ProblemsError
from tamingplat.report import PublishedSizes, compare_sizes, load_published
from tamingplat.stages import StageEstimate

REFERENCES = Path(__file__).parents[2] / "experiments" / "references"
HEAD = 'schema = 1\ntable = "parameters"\ntitle = "t"\nsource = "s"\n'


def estimate(kind: str, label: str, **sizes: int) -> StageEstimate:
    names = {name.replace("__", "."): size for name, size in sizes.items()}
    return StageEstimate(kind, label, names, 0, {}, 1, None, 1, None)


def sizes_of(path: Path) -> PublishedSizes:
    table = load_published(path)
    assert isinstance(table, PublishedSizes)
    return table


def test_every_row_of_the_published_table_is_there_with_the_blocks_that_are_its_model() -> None:
    table = sizes_of(REFERENCES / "taming-tab3.toml")
    assert len(table.row) == 21 and len({block for row in table.row for block in row.blocks}) == 21
    of = {row.label: row for row in table.row}
    assert (of["COCO-Stuff"].parameters, of["COCO-Stuff"].codebook_size, of["COCO-Stuff"].dropout) == (470_000_000, 4096, 0.1)
    assert (of["D-RINv1"].width, of["D-RINv1"].counted_width) == (768, 1024)
    assert all(of[label].note for label in ("RIN", "D-RINv1", "COCO-Stuff", "ADE20K"))


def test_a_row_is_matched_by_its_block_alone(tmp_path: Path) -> None:
    path = tmp_path / "sizes.toml"
    rows = '[[row]]\nlabel = "a"\nprior = ["one", "two"]\nparameters = 200\n'
    rows += '[[row]]\nlabel = "b"\ntokenizer = "one"\npart = "encoder.in"\nparameters = 7\n'
    path.write_text(HEAD + rows)
    tables = [sizes_of(path)]
    for label in ("one", "two", "two[dropout=0.1]"):
        assert [one.row.label for one in compare_sizes(estimate("prior", label, w=202), tables)] == ["a"]
    assert not compare_sizes(estimate("prior", "three", w=202), tables)
    near, far = (compare_sizes(estimate("prior", "one", w=size), tables)[0] for size in (202, 203))
    assert not near.differs and near.percent == "+1.0%" and far.differs and far.percent == "+1.5% ≠"
    part = compare_sizes(estimate("tokenizer", "one", encoder__in__w=4, encoder__in__b=3, encoder__inner=9), tables)[0]
    assert part.counted == 7 and part.percent == "equal"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, ["row", "field required", "write it"]),
        (HEAD.replace('"parameters"', '"sizes"') + "row = []\n", ["table", "row"]),
        (HEAD + '[[row]]\nlabel = "x"\nprior = "p"\n', ["row 1 (x): parameters", "field required"]),
        (HEAD + '[[row]]\nlabel = "x"\nprior = "p"\nparameters = 0\n', ["row 1 (x): parameters", "greater than 0"]),
        (HEAD + '[[row]]\nlabel = "x"\nparameters = 1\n', ["row 1 (x)", "either prior, or tokenizer"]),
        (HEAD + '[[row]]\nlabel = "x"\nprior = "p"\nparameters = 1\ncolour = 2\n', ["row 1 (x): colour", "correct its name"]),
        (HEAD + '[[row]]\nlabel = "x"\nprior = "p"\nparameters = 1\n' * 2, ["more than one row is about prior p"]),
        ("table = ", ["cannot be read"]),
    ],
)
def test_a_wrong_table_is_told_with_its_place(text: str, said: list[str], tmp_path: Path) -> None:
    path = tmp_path / "sizes.toml"
    path.write_text(text)
    with pytest.raises(ProblemsError) as caught:
        load_published(path)
    assert str(path) in str(caught.value)
    for words in said:
        assert words in str(caught.value), caught.value
