"""The generated reference: docstrings become Markdown, and everything that is shipped is in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.interfaces import TamingplatError
from tamingplat.reference import component_document, written_value
from tamingplat.reference.docstrings import first_sentence, markdown
from tamingplat.reference.members import members
from tamingplat.registry import Registry, load_registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(directory=ROOT / "tests")


def test_sections_of_a_docstring_become_lists() -> None:
    text = markdown(
        """What it does, in ``code`` and
        in two lines.

        Args:
            first: The first one, told
                in two lines.
            second: The second one: with a colon.

        Returns:
            A number, or

            * nothing;
            * everything.

        Raises:
            ValueError: It is wrong.
        """
    )
    assert text.split("\n\n") == [
        "What it does, in `code` and in two lines.",
        "*Args*",
        "- `first`: The first one, told in two lines.\n- `second`: The second one: with a colon.",
        "*Returns*",
        "A number, or",
        "* nothing;\n* everything.",
        "*Raises*",
        "- `ValueError`: It is wrong.",
    ]
    assert first_sentence("One ``word``\nand more.\n\nFurther.") == "One `word` and more."
    assert markdown(None) == ""


def test_members_are_as_they_are_written() -> None:
    from tamingplat.interfaces.models import Prior, VisitPlan

    described = {member.signature.partition("(")[0]: member for member in members(Prior)}
    assert described["nll"].role == "required" and described["unused_parameters"].role == "optional"
    assert described["nll"].signature == "nll(codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor"
    assert "masked model" in described["visits: ClassVar[Visits] = 'in_order'"].docstring
    assert "_private" not in described and "__init__" not in described
    assert {member.role for member in members(VisitPlan)} == {"given"}


def test_settings_are_written_as_toml_has_them() -> None:
    assert written_value({"use": "st-vgg", "config": {}}) == '{ use = "st-vgg", config = {} }'
    assert [written_value(value) for value in (None, True, 1e-4, [1, "a"], (2,))] == [
        "none",
        "true",
        "0.0001",
        '[1, "a"]',
        "[2]",
    ]


def test_every_shipped_setting_is_in_the_reference(registry: Registry) -> None:
    text = component_document(registry, "tamingplat")
    for (kind, name), entry in registry.components.items():
        section = re.search(rf"^#### `{re.escape(f'{kind}:{name}')}`\n(.*?)(?=^####? |\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, (kind, name)
        for field, info in entry.component.config.model_fields.items():
            row = next(line for line in section[1].splitlines() if line.startswith(f"| `{field}` |"))
            assert len(re.split(r"(?<!\\)\|", row)) == 7, row
            assert " ".join((info.description or "").replace("|", "\\|").split()).rstrip(".") in row


def test_another_distribution_has_a_reference_of_its_own(registry: Registry, tamingplat_here: Callable[..., Any]) -> None:
    with pytest.raises(TamingplatError, match="did you mean tamingplat"):
        component_document(registry, "taming-plat")
    refused = tamingplat_here("plugins", "reference", "--from", "nobody")
    assert refused.returncode == 2 and "no usable component comes from the distribution 'nobody'" in refused.stderr
