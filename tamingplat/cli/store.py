"""``tamingplat store``: what is in a store, whether it is whole, and removing what nobody needs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tamingplat.cli.console import make_console, make_table, print_json
from tamingplat.cli.request import StoreOption, load, store_path
from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.store import Artifact, Pruning, Store

app = typer.Typer(no_args_is_help=True, help="Look into a store of results, check it, and remove what nobody needs.")


@app.command("list")
def list_artifacts(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """List the finished artifacts, the oldest first."""
    opened = _open(store)
    names = _names(opened)
    artifacts = sorted(opened.artifacts(), key=lambda artifact: (str(artifact.record["created"]), artifact.stage, artifact.key))
    if as_json:
        print_json([_row(artifact, names) for artifact in artifacts])
        return
    table = make_table("stage", "key", "what")
    for heading in ("files", "size", "age"):
        table.add_column(heading, justify="right", no_wrap=True)
    now = datetime.now(UTC)
    for artifact in artifacts:
        row = _row(artifact, names)
        what = " ".join([*(f"[{name}]" for name in row["names"]), row["label"]]).strip()
        age = human_age((now - datetime.fromisoformat(row["created"])).total_seconds())
        table.add_row(artifact.stage, artifact.key[:12], what, str(len(row["files"])), human_size(row["size"]), age)
    make_console().print(table)
    total = human_size(sum(artifact.size for artifact in artifacts))
    typer.echo(f"{_count(len(artifacts), 'artifact')}, {total} in {opened.root}")
    problems = opened.verify()
    if problems:
        typer.echo(f"{_count(len(problems), 'problem')} found; `tamingplat store verify` names them", err=True)


@app.command()
def verify(
    store: StoreOption = None,
    hashes: Annotated[bool, typer.Option("--hashes", help="Also read every file and compare its SHA-256.")] = False,
) -> None:
    """Check that every artifact is whole; exit with 1 where one is not."""
    opened = _open(store)
    problems = opened.verify(hashes=hashes)
    for problem in problems:
        typer.echo(str(problem))
    checked = "sizes and contents" if hashes else "sizes"
    typer.echo(f"{_count(len(opened.artifacts()), 'artifact')} checked ({checked}), {_count(len(problems), 'problem')} found")
    if problems:
        raise typer.Exit(1)


@app.command()
def name(
    key: Annotated[str, typer.Argument(help="An artifact's key, or the beginning of it.")],
    name: Annotated[str, typer.Argument(help="What it is to be called.")],
    store: StoreOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the name from the artifact that has it.")] = False,
) -> None:
    """Give an artifact a name, which keeps it from being pruned and by which `tamingplat export` finds it."""
    opened = _open(store)
    found = [artifact for artifact in opened.artifacts() if artifact.key.startswith(key)]
    if len(found) != 1:
        told = "no artifact has" if not found else f"{len(found)} artifacts have"
        raise TamingplatError(f"{opened.root}: {told} a key that begins with {key!r}; `tamingplat store list` shows them")
    opened.name(name, found[0], replace=replace)
    typer.echo(f"{name}: {found[0].stage} {found[0].key[:12]}")


@app.command()
def prune(
    store: StoreOption = None,
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            "--keep",
            metavar="MANIFEST",
            help="Remove what no kept manifest (as it stands, without --set) needs. Can be repeated.",
        ),
    ] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Also remove artifacts with missing or altered files.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> None:
    """Remove what dead processes left and, with --keep, every artifact and checkpoint that no kept manifest needs.

    Artifacts with a name (imported ones), what a running process works on, and folders that the store did not make stay.
    """
    opened = _open(store)
    keys: set[str] | None = None
    if keep:
        from tamingplat.stages import planned_keys

        keys = set()
        for manifest in keep:
            registry, loaded = load(manifest, None, store)
            keys |= planned_keys(loaded, registry, opened)
    would = opened.prune(keys, damaged=damaged, dry_run=True)
    _show(opened, would)
    if dry_run or not would.removed:
        return
    if not yes:
        typer.confirm("Remove these?", abort=True)
    done = opened.prune(keys, damaged=damaged)
    for problem in done.left:
        if problem not in would.left:
            typer.echo(f"left {problem}")
    typer.echo(f"removed {_count(len(done.removed), 'item')}, {human_size(sum(item.size for item in done.removed))}")


def human_size(size: int) -> str:
    """Bytes in the largest decimal unit that leaves at least one of it."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"


def human_age(seconds: float) -> str:
    """A length of time in its largest whole unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _open(option: Path | None) -> Store:
    path = store_path(option)
    store = Store(path)
    if not path.exists():
        remedy = "name one with --store or $TAMINGPLAT_STORE; `tamingplat run` makes it"
        raise TamingplatError(f"{path}: there is no store here; {remedy}")
    return store


def _names(store: Store) -> dict[tuple[str, str], list[str]]:
    """The names of each artifact that has one."""
    names: dict[tuple[str, str], list[str]] = {}
    for name in store.names():
        try:
            artifact = store.named(name)
        except DataError as error:
            typer.echo(str(error), err=True)
            continue
        names.setdefault((artifact.stage, artifact.key), []).append(name)
    return names


def _row(artifact: Artifact, names: dict[tuple[str, str], list[str]]) -> dict[str, Any]:
    return {
        "stage": artifact.stage,
        "key": artifact.key,
        "label": str(artifact.details.get("label", "")),
        "names": names.get((artifact.stage, artifact.key), []),
        "created": artifact.record["created"],
        "size": artifact.size,
        "files": list(artifact.files),
        "directory": str(artifact.directory),
    }


def _show(store: Store, pruning: Pruning) -> None:
    for item in pruning.removed:
        typer.echo(f"would remove {item.what} {item.path.relative_to(store.root)} ({human_size(item.size)})")
    for problem in pruning.left:
        typer.echo(f"leaves {problem}")
    size = human_size(sum(item.size for item in pruning.removed))
    typer.echo(f"{_count(len(pruning.removed), 'item')} to remove, {size}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
