"""Writing a new plugin's project from templates.

Templates are ``string.Template`` texts: ``$name`` and the like in them are what ``_values`` says. They lie in
``templates/common`` and ``templates/KIND``, and their paths become the project's: ``package`` is the package's folder,
``manifest.toml`` the manifest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import tamingplat
from tamingplat.interfaces import INTERFACE_VERSION, TamingplatError
from tamingplat.scaffold.naming import PluginNames
from tamingplat.scaffold.pictures import draw_pictures

TEMPLATES = Path(__file__).parent / "templates"
_SUFFIX = ".template"


@dataclass(frozen=True)
class NewProject:
    """A project that was written.

    Attributes:
        names: What its parts are called.
        folder: Where it is.
        files: Its files, relative to the folder, in the order of their names; the images are not among them.
        images: How many images it has.
    """

    names: PluginNames
    folder: Path
    files: tuple[Path, ...]
    images: int

    @property
    def manifest(self) -> Path:
        """The manifest, relative to the folder."""
        return Path(f"{self.names.name}.toml")


def write_project(names: PluginNames, into: Path) -> NewProject:
    """Write the project ``into/NAME``. It appears as a whole or not at all.

    Raises:
        TamingplatError: There is something of that name already, or it cannot be written.
    """
    folder = into / names.name
    if folder.exists():
        raise TamingplatError(f"{folder}: exists already; choose another name, another --into, or move it away")
    try:
        into.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{names.name}-", dir=into))
    except OSError as error:
        raise TamingplatError(f"{into}: cannot be written to ({error.strerror}); choose another folder with --into") from None
    try:
        draft.chmod(0o755)
        files = tuple(sorted(_write(draft, names)))
        images = draw_pictures(draft / "images")
        draft.rename(folder)
    except OSError as error:
        raise TamingplatError(f"{folder}: cannot be written ({error.strerror}); choose another folder with --into") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # after renaming there is nothing left of it
    return NewProject(names, folder, files, images)


def render(names: PluginNames) -> dict[Path, str]:
    """Every text of a new project by its path in it."""
    values = _values(names)
    texts = {_place(path, names): template.read_text("utf-8") for path, template in _templates(names)}
    return {path: Template(text).substitute(values) for path, text in texts.items()}


def _write(folder: Path, names: PluginNames) -> Iterator[Path]:
    for path, text in render(names).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        yield path


def _templates(names: PluginNames) -> Iterator[tuple[Path, Path]]:
    for origin in (TEMPLATES / "common", TEMPLATES / names.kind):
        for template in sorted(origin.rglob(f"*{_SUFFIX}")):
            yield template.relative_to(origin), template


def _place(template: Path, names: PluginNames) -> Path:
    """Where a template's text goes in the project."""
    parts = []
    for part in template.parts:
        part = part.removesuffix(_SUFFIX)
        part = {"package": names.package, "manifest.toml": f"{names.name}.toml", "gitignore": ".gitignore"}.get(part, part)
        parts.append(f"test_{names.package}.py" if part == "test_package.py" else part)
    return Path(*parts)


def _values(names: PluginNames) -> dict[str, str]:
    kind = names.kind.replace("_", " ")
    return {
        "name": names.name,
        "package": names.package,
        "kind": names.kind,
        "kind_words": kind,
        "a_kind": f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}",
        "words": names.words,
        "class_name": names.class_name,
        "config_name": names.config_name,
        "version": tamingplat.__version__,
        "interface": str(INTERFACE_VERSION),
    }
