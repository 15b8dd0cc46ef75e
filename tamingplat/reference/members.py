"""What a class or a function promises, read from its source: signatures as they are written, and docstrings."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Member:
    """A method, a property or a class variable.

    Attributes:
        signature: As it is written, without ``self``.
        docstring: What it says of itself.
        role: ``required`` for what has to be implemented; else ``optional``, or ``given`` for what is not meant to be changed.
    """

    signature: str
    docstring: str
    role: str


def members(cls: type) -> Iterator[Member]:
    """The public members that a class itself defines, in the order of its source."""
    definition = _definition(cls)
    assert isinstance(definition, ast.ClassDef), cls
    dataclass_like = any("dataclass" in ast.unparse(decorator) for decorator in definition.decorator_list)
    for place, node in enumerate(definition.body):
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__getitem__"):
            yield _method(node, fixed=dataclass_like)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not dataclass_like:
            if node.target.id.startswith("_") or not _is_class_variable(node.annotation):
                continue
            after = definition.body[place + 1] if place + 1 < len(definition.body) else None
            yield Member(ast.unparse(node), _text(after), "required" if node.value is None else "optional")


def function_signature(function: Callable[..., Any]) -> str:
    """A function's name, arguments and result as they are written."""
    definition = _definition(function)
    assert isinstance(definition, ast.FunctionDef), function
    return _signature(definition, ast.unparse(definition.args))


def _definition(thing: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def _method(node: ast.FunctionDef, *, fixed: bool) -> Member:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    arguments = node.args
    if arguments.args and "staticmethod" not in decorators:
        arguments.args = arguments.args[1:]
    text = node.name if "property" in decorators else _signature(node, ast.unparse(arguments))
    if "property" in decorators and node.returns is not None:
        text = f"{node.name}: {ast.unparse(node.returns)}"
    kind = "classmethod " if "classmethod" in decorators else "property " if "property" in decorators else ""
    role = "required" if "abstractmethod" in decorators else "given" if fixed else "optional"
    return Member(kind + text, ast.get_docstring(node) or "", role)


def _signature(node: ast.FunctionDef, arguments: str) -> str:
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{node.name}({arguments}){result}"


def _is_class_variable(annotation: ast.expr) -> bool:
    return isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "ClassVar"


def _text(node: ast.stmt | None) -> str:
    """The text below a class variable that says what it is."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""
