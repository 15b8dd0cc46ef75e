"""Reading the file, and overrides laid over it: values, places, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamingplat.interfaces import ProblemsError
from tamingplat.manifest import Manifest
from tamingplat.manifest.document import read_document
from tamingplat.manifest.paths import format_path, parse_key, split_assignment

Load = Callable[..., Manifest]
Problems = Callable[..., list[str]]


def _refused(content: bytes | None, *overrides: str) -> list[str]:
    path = Path("m.toml")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProblemsError) as raised:
        read_document(path, overrides)
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "m.toml: no such file"),
        (b"a = 1\nb = \n", "m.toml:2: not valid TOML: invalid value (column 5)"),
        (b"a = 1\na = 2\n", "m.toml:2: not valid TOML: cannot overwrite a value (column 6)"),
        (b"[a.b]\n[x]\n[a.b]\n", "m.toml:3: not valid TOML: the table a.b is declared twice (column 5)"),
        (b"a = [1,\n2\n\n", "m.toml:4: not valid TOML: unclosed array"),
        (b"a = 1\r\n\r\nb c = 1", "m.toml:3: not valid TOML: expected '=' after a key in a key/value pair (column 3)"),
        (b"a = 1\nb = '\xff'\n", "m.toml:2: not UTF-8 text; save the file as UTF-8"),
        (b"a = 1\nb = " + b"[" * 60 + b"]" * 60, "m.toml:2: lists or tables are nested too deeply"),
        (b"b = " + b"[" * 5000 + b"]" * 5000, "m.toml: lists or tables are nested too deeply"),
    ],
)
def test_what_is_no_toml_is_refused_at_its_line(content: bytes | None, expected: str, folder: Path) -> None:
    assert _refused(content) == [expected]


def test_a_folder_is_no_manifest(folder: Path) -> None:
    with pytest.raises(ProblemsError, match="images: cannot be read: Is a directory"):
        read_document(Path("images"))


def test_windows_line_ends_and_a_byte_order_mark_are_read(folder: Path) -> None:
    Path("m.toml").write_bytes('\ufeffa = 1\r\n\r\nb = """x\r\ny"""\r\nc = 2\r\n'.encode())
    document = read_document(Path("m.toml"))
    assert document.data == {"a": 1, "b": "x\ny", "c": 2}
    assert [document.locate((key,)).text for key in "abc"] == ["m.toml:1: a", "m.toml:3: b", "m.toml:5: c"]


def test_overrides_that_cannot_be_read_are_all_named_beside_a_broken_file(folder: Path) -> None:
    overrides = ["seeds", "a b=1", "=3", "seeds=", "name='x", "seeds=[0", "x=1\ny=2", "a.=1", "x=@"]
    assert _refused(b"a = \n", *overrides) == [
        "m.toml:1: not valid TOML: invalid value (column 5)",
        "--set seeds: not key=value; write --set prior.gpt.train.steps=100 or the like",
        "--set a b=1: not key=value; write --set prior.gpt.train.steps=100 or the like",
        "--set =3: not key=value; write --set prior.gpt.train.steps=100 or the like",
        '--set seeds=: no value; for an empty text write seeds=""',
        "--set name='x: not a TOML value: Expected \"'\"",
        "--set seeds=[0: not a TOML value: Unclosed array",
        "--set x=1",
        "y=2: more than one value",
        "--set a.=1: not key=value; write --set prior.gpt.train.steps=100 or the like",
    ]


def test_overrides_that_have_no_place_are_all_named(folder: Path) -> None:
    assert _refused(b"seeds = [0, 1]\nname = 'x'\n", "seeds.2=1", "seeds.x=1", "name.first=1", "seeds.0.a=1") == [
        "--set seeds.2=1: seeds is a list of 2, which has no 2; count along it from 0, or set the whole list",
        "--set seeds.x=1: seeds is a list of 2, which has no x; count along it from 0, or set the whole list",
        "--set name.first=1: name is not a table, so nothing can be set in it",
        "--set seeds.0.a=1: seeds[0] is not a table, so nothing can be set in it",
    ]


def test_overrides_set_values_of_every_type(folder: Path) -> None:
    Path("m.toml").write_text("seeds = [0]\n[prior.'g.x']\nconfig = { layers = 3, width = 4 }\n[[list]]\na = 1\n")
    document = read_document(
        Path("m.toml"),
        [
            "seeds=[1, 2]",
            "name=my-run",
            "runtime.device=cuda:1",
            'prior."g.x".config.layers=5',
            "prior.'g=y'.use=gpt",
            "list.0.a = 1e-3",
            "list.0.b.c=true",
            "evaluate = { samples = 3 }",
            'note="a=b # c"',
        ],
    )
    assert document.data == {
        "seeds": [1, 2],
        "name": "my-run",
        "runtime": {"device": "cuda:1"},
        "prior": {"g.x": {"config": {"layers": 5, "width": 4}}, "g=y": {"use": "gpt"}},
        "list": [{"a": 1e-3, "b": {"c": True}}],
        "evaluate": {"samples": 3},
        "note": "a=b # c",
    }
    assert document.locate(("seeds", 1)).text == "--set seeds=[1, 2]: seeds[1]"
    assert document.locate(("prior", "g.x", "config", "width")).text == 'm.toml:3: prior."g.x".config.width'
    assert document.locate(("prior", "g=y", "config")).text == "--set prior.'g=y'.use=gpt: prior.\"g=y\".config"
    assert document.locate(("list", 0, "b", "d")).text == "--set list.0.b.c=true: list[0].b.d"
    assert document.locate(("list", 0, "d")).text == "m.toml:4: list[0].d"


def test_the_last_override_of_a_value_is_the_one_that_is_named(folder: Path) -> None:
    Path("m.toml").write_text("a.b = 1\n")
    document = read_document(Path("m.toml"), ["a.b=2", "a={ b = 3, c = 4 }", "a.c=5"])
    assert document.data == {"a": {"b": 3, "c": 5}}
    assert document.locate(("a", "b")).text == "--set a={ b = 3, c = 4 }: a.b"
    assert document.locate(("a", "c")).text == "--set a.c=5: a.c"


def test_mistakes_of_overrides_are_located_at_them_and_come_after_those_of_the_file(problems: Problems) -> None:
    text = "[prior.gpt]\ntrain = { steps = -1 }\n"
    overrides = ["seeds=[]", "prior.gpt.config.layrs=3", "prior.gpt.train.batch_size=many", "matrix.ordering=[raster]"]
    assert problems(text, *overrides[:3], "matrix.ordering=['rastr']") == [
        "m.toml:4: prior.gpt.train.steps: must be at least 0, not -1",
        "--set seeds=[]: seeds: must not be empty",
        "--set prior.gpt.config.layrs=3: prior.gpt.config.layrs: unknown field of gpt; did you mean layers?",
        '--set prior.gpt.train.batch_size=many: prior.gpt.train.batch_size: must be an integer, not "many"',
        "--set matrix.ordering=['rastr']: matrix.ordering[0]: there is no ordering:rastr; did you mean raster?",
    ]
    assert problems(text, overrides[3]) == ["--set matrix.ordering=[raster]: not a TOML value: Invalid value"]


def test_overrides_are_part_of_the_manifest(load: Load) -> None:
    manifest = load("[prior.gpt]\ntrain.steps = 5\n", "prior.gpt.train.steps=7", "seeds=[3]", "matrix.ordering=['spiral-in']")
    (cell,) = manifest.cells
    assert (cell.seed, cell.ordering.label) == (3, "spiral-in")
    assert cell.prior.train is not None and cell.prior.train.steps == 7


_PARTS = st.lists(st.text(st.sampled_from("ab-_1 .='\"\\é\n"), max_size=4), min_size=1, max_size=4)


@given(_PARTS, st.text(st.sampled_from("ab= '\""), max_size=4))
def test_keys_survive_being_written(parts: list[str], value: str) -> None:
    written = format_path(tuple(parts))
    assert parse_key(written) == tuple(parts)
    assert split_assignment(f"{written}={value}") == (tuple(parts), value)


@pytest.mark.parametrize("text", ["", ".", "a.", "a b", "a = 1\nb", "'a", "[a]", "a #"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a dotted key"):
        parse_key(text)


def test_paths_are_written_as_in_toml() -> None:
    assert format_path(("matrix", "exclude", 0, "a b", "c.d", "é")) == 'matrix.exclude[0]."a b"."c.d"."é"'
    assert format_path(()) == ""
