"""Tables against models: TOML's own types, unions, containers, and every sort of message."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

from tamingplat.interfaces import Config, Selection
from tamingplat.manifest.checking import check
from tamingplat.registry import KeyPath


class Inner(Config):
    a: int = Field(1, ge=1)
    b: float | None = 1.0


class Other(Config):
    c: str


class Settings(Config):
    i: int = 1
    f: float = 1.0
    t: str = "x"
    flag: bool = False
    word: Literal["one", "two", 3] = "one"
    path: Path | None = None
    number_or_text: int | str = 1
    model_or_text: Inner | str | None = None
    models: Inner | Other | None = None
    pair: tuple[float, float] = (0.0, 0.0)
    many: tuple[Inner, ...] = ()
    table: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    choice: Literal["auto"] | int = "auto"
    short: Annotated[tuple[int, ...], Field(min_length=2, max_length=3)] = (1, 2)
    code: Annotated[str, Field(pattern="[a-z]+", min_length=2)] = "ab"
    even: Annotated[int, Field(multiple_of=2)] = 2
    selection: Selection | None = None
    separated: tuple[int, ...] = ()
    closed: Annotated[float, Field(gt=0, le=1)] = 1.0

    @field_validator("separated", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(map(int, value.split())) if isinstance(value, str) else value


NONE = '"none"'

FAULTS: list[tuple[dict[str, Any], list[tuple[KeyPath, str, str]]]] = [
    ({"i": "3"}, [(("i",), 'must be an integer, not "3"', "write it without quotation marks")]),
    ({"i": "x"}, [(("i",), 'must be an integer, not "x"', "")]),
    ({"i": 1.5}, [(("i",), "must be an integer, not 1.5", "")]),
    ({"i": []}, [(("i",), "must be an integer, not an empty list", "")]),
    ({"f": "0.5"}, [(("f",), 'must be a number, not "0.5"', "write it without quotation marks")]),
    ({"f": False}, [(("f",), "must be a number, not false", "")]),
    ({"f": float("nan")}, [(("f",), "must be a finite number, not nan", "")]),
    ({"t": 3}, [(("t",), "must be text, not 3", "write it in quotation marks")]),
    ({"t": {}}, [(("t",), "must be text, not a table", "")]),
    ({"flag": "true"}, [(("flag",), 'must be true or false, not "true"', "write it without quotation marks")]),
    ({"flag": 1}, [(("flag",), "must be true or false, not 1", "")]),
    ({"word": "Two"}, [(("word",), 'must be "one", "two" or 3, not "Two"', "did you mean two?")]),
    ({"path": 3}, [(("path",), f"must be a path or {NONE}, not 3", "")]),
    ({"number_or_text": True}, [(("number_or_text",), "must be an integer or text, not true", "write it in quotation marks")]),
    ({"model_or_text": 3}, [(("model_or_text",), "must be a table or text, not 3", "write it in quotation marks")]),
    ({"model_or_text": {"a": 0}}, [(("model_or_text", "a"), "must be at least 1, not 0", "")]),
    ({"model_or_text": {"d": 0}}, [(("model_or_text", "d"), "unknown field of settings", "its fields are a, b")]),
    (
        {"models": {"cc": "x"}},
        [
            (("models", "cc"), "unknown field of settings", "did you mean c?"),
            (("models", "c"), "is required", ""),
        ],
    ),
    ({"pair": [1]}, [(("pair",), "must have 2 values, not 1", "")]),
    ({"pair": []}, [(("pair",), "must have 2 values, not 0", "")]),
    ({"pair": [1, 2, 3]}, [(("pair",), "must have 2 values, not 3", "")]),
    ({"pair": [1, "2"]}, [(("pair", 1), 'must be a number, not "2"', "write it without quotation marks")]),
    ({"pair": 1}, [(("pair",), "must be a list, not 1", "write [1]")]),
    ({"many": [{"a": 1}, {"a": "1"}]}, [(("many", 1, "a"), 'must be an integer, not "1"', "write it without quotation marks")]),
    ({"many": [{"b": "x"}]}, [(("many", 0, "b"), f'must be a number or {NONE}, not "x"', "")]),
    ({"table": {"x": 0, "y": 1}}, [(("table", "x"), "must be above 0, not 0", "")]),
    ({"choice": "aut"}, [(("choice",), 'must be "auto" or an integer, not "aut"', "did you mean auto?")]),
    ({"short": [1]}, [(("short",), "must have at least 2 values, not 1", "")]),
    ({"short": [1, 2, 3, 4]}, [(("short",), "must have at most 3 values, not 4", "")]),
    ({"short": []}, [(("short",), "must not be empty", "")]),
    ({"code": "A1"}, [(("code",), 'must match [a-z]+, not "A1"', "")]),
    ({"code": ""}, [(("code",), "must not be empty", "")]),
    ({"code": "a"}, [(("code",), 'must have at least 2 characters, not "a"', "")]),
    ({"even": 3}, [(("even",), "must be a multiple of 2, not 3", "")]),
    (
        {"selection": {"us": "x"}},
        [(("selection", "us"), "unknown field of settings", "did you mean use?"), (("selection", "use"), "is required", "")],
    ),
    ({"selection": {"use": 1}}, [(("selection", "use"), "must be text, not 1", "write it in quotation marks")]),
    ({"selection": 1}, [(("selection",), f"must be a name, a table or {NONE}, not 1", "")]),
    ({"closed": 0}, [(("closed",), "must be above 0 and at most 1, not 0", "")]),
    (
        {"t": 1, "i": True},
        [(("t",), "must be text, not 1", "write it in quotation marks"), (("i",), "must be an integer, not true", "")],
    ),
]


@pytest.mark.parametrize(("table", "expected"), FAULTS, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_faults_are_said_in_plain_words_at_their_path(table: dict[str, Any], expected: list[tuple[KeyPath, str, str]]) -> None:
    checked = check(Settings, table, "settings")
    found = [(fault.path, fault.what, fault.remedy) for fault in checked.faults]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert checked.value is None
    assert checked.partial == Settings()


@pytest.mark.parametrize(
    "table",
    [
        {"f": 3},
        {"path": "a/b"},
        {"separated": "1 2 3"},
        {"pair": [1, 2.5]},
        {"selection": "name"},
        {"selection": {"use": "name", "config": {"x": [1, {"y": True}]}}},
        {"number_or_text": "3"},
        {"choice": 3},
        {"models": {"c": "x"}},
        {"word": 3},
    ],
    ids=str,
)
def test_what_toml_writes_is_taken(table: dict[str, Any]) -> None:
    checked = check(Settings, table, "settings")
    assert checked.faults == ()
    assert checked.value == checked.partial == Settings(**table)


def test_the_text_none_is_none_only_where_it_means_nothing_else() -> None:
    checked = check(Settings, {"path": "none", "model_or_text": "none", "models": "none", "many": [{"b": "none"}]}, "settings")
    assert checked.value is not None
    assert checked.value.models is None and checked.value.many[0].b is None
    assert checked.value.path == Path("none") and checked.value.model_or_text == "none"


def test_what_is_wrong_is_left_out_to_look_further() -> None:
    checked = check(Settings, {"i": "x", "t": "kept", "zz": 1, "pair": [1]}, "settings")
    assert checked.wrong("i") and checked.wrong("t", "pair") and not checked.wrong("t")
    assert checked.partial == Settings(t="kept")


def test_without_what_is_required_there_is_nothing_to_look_at() -> None:
    class Required(BaseModel):
        a: int
        b: int = 1

    checked = check(Required, {"b": "x"}, "settings")
    assert [fault.path for fault in checked.faults] == [("a",), ("b",)]
    assert checked.partial is None
