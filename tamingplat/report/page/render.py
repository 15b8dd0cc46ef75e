"""A page as HTML: one file that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tamingplat.report.page import plot, verdicts
from tamingplat.report.page.model import Page

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("table.js", "charts.js", "details.js")


def render_page(page: Page) -> str:
    """The HTML of a page.

    Whatever a user or a plugin named is text in it, never markup. The page's own policy forbids every request and every script
    but its own.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    style = _source("page.css")
    script = "\n".join(_source(name) for name in _SCRIPTS)
    return environment.get_template("page.html.jinja").render(
        page=page,
        plot=plot,
        span=verdicts.SPAN,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        charts=embedded({chart.anchor: chart.script() for chart in page.charts}),
    )


def _source(name: str) -> str:
    """A style sheet or script of ours, which must not end the element that it stands in."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    assert "</" not in text, f"{name} would end its element"
    return text


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: show pictures that are in it, and use this style and this script."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def embedded(value: Any) -> Markup:
    """JSON for a script element: no character of it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
