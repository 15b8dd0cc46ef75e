"""The matrix: which components make a cell together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tamingplat.interfaces import Kind
from tamingplat.manifest.checking import Checked, check
from tamingplat.manifest.document import Document
from tamingplat.manifest.problems import Location, ProblemCollector
from tamingplat.manifest.resolve import Resolver
from tamingplat.manifest.schema import MATRIX_KINDS, PRIOR_KINDS, SEED_FIELDS, TOKENIZER_KINDS, Matrix
from tamingplat.manifest.sentences import shown
from tamingplat.registry import KeyPath, did_you_mean

Names = tuple[str, ...]
"""What one block or component of each kind goes by, in the order of the kinds."""

SeedPair = tuple[int, int]
"""A seed of the tokenizer and one of the prior."""


@dataclass(frozen=True)
class Named:
    """What a block or a component goes by, and where the matrix names it first."""

    name: str
    location: Location


@dataclass(frozen=True)
class Combination:
    """One block or component of each kind, the seeds that it is run with, and what of the manifest asks for it."""

    kinds: tuple[Kind, ...]
    members: tuple[Named, ...]
    seeds: tuple[SeedPair, ...]
    location: Location


@dataclass(frozen=True)
class _Pattern:
    """What an entry of ``exclude`` fits: the values that it allows, by kind or seed."""

    allowed: Mapping[str, frozenset[str | int]]
    location: Location

    def fits(self, values: Mapping[str, str | int]) -> bool:
        return all(values[field] in allowed for field, allowed in self.allowed.items())


class MatrixReader:
    """Reads ``[matrix]``. What is wrong is noted.

    Args:
        document: The manifest.
        resolver: Knows which names there are.
        seeds: The manifest's seeds; ``None`` where they are wrong.
        tokenizer_seeds: The manifest's tokenizer seeds; ``None`` where they are wrong.
        problems: Where problems are noted.
    """

    def __init__(
        self,
        document: Document,
        resolver: Resolver,
        seeds: tuple[int, ...] | None,
        tokenizer_seeds: tuple[int, ...] | None,
        problems: ProblemCollector,
    ) -> None:
        self._document = document
        self._resolver = resolver
        self._problems = problems
        self._seeds: Mapping[str, tuple[int, ...] | None] = {"seed": seeds, "tokenizer_seed": tokenizer_seeds}
        self._values: dict[Kind, tuple[Named, ...]] = {}
        self._unsure: set[str] = {field for field, values in self._seeds.items() if values is None}
        self._kinds = MATRIX_KINDS

    @property
    def priors(self) -> bool:
        """Whether there are priors to train and to sample from; else tokenizers are compared alone. Known after reading."""
        return self._kinds == MATRIX_KINDS

    @property
    def complete(self) -> bool:
        """Whether everything that was read was right."""
        return not self._unsure

    def read(self) -> list[Combination]:
        """The product of the lists, in the order of the kinds, without what is excluded; then what is included."""
        table = self._document.data.get("matrix")
        if not isinstance(table, Mapping):
            self._unsure.add("matrix")
            what = "is required" if table is None else f"must be a table, not {shown(table)}"
            self._note((), what, "write a table [matrix] with lists of dataset, tokenizer, prior and ordering")
            return []
        checked = check(Matrix, table, "the matrix")
        for fault in checked.faults:
            self._note(fault.path, fault.what, fault.remedy)
            self._unsure.add(str(fault.path[0]))
        self._kinds = self._combined(table)
        for kind in self._kinds:
            self._values[kind] = tuple(self._named(kind, table))
        combinations = self._product(list(self._patterns(table, checked)))
        combinations += self._included(table, checked, combinations)
        if self.complete and not combinations:
            self._note(("exclude",), "leaves out every cell", "remove an entry, or include a cell")
        return combinations

    def _combined(self, table: Mapping[str, Any]) -> tuple[Kind, ...]:
        """The kinds that are combined: all of them, or none of those that belong to a prior."""
        named = [kind for kind in PRIOR_KINDS if kind in table]
        if not named:
            return TOKENIZER_KINDS
        if "prior" not in named:
            others = " and ".join((", ".join(named[:-1]), named[-1]) if len(named) > 1 else named)
            remedy = f'add prior = ["…"], or leave {others} out to compare tokenizers alone'
            self._note((named[0],), "needs a prior, and the matrix names none", remedy)
            self._unsure.update(PRIOR_KINDS)
        elif "ordering" not in named:
            self._note(("ordering",), "is required")
            self._unsure.add("ordering")
        return MATRIX_KINDS

    @property
    def _fields(self) -> tuple[str, ...]:
        """What tells a cell from the others, as entries of ``exclude`` and ``include`` name it."""
        return (*self._kinds, *SEED_FIELDS) if self.priors else (*self._kinds, "tokenizer_seed")

    def _belongs(self, path: KeyPath, field: str) -> bool:
        """Whether an entry of ``exclude`` or ``include`` may name a field; noted where the matrix has no priors for it."""
        if field in self._fields:
            return True
        remedy = f"remove it, or name priors and orderings in the matrix; without them there are {', '.join(self._fields)}"
        self._note((*path, field), "needs a prior, and the matrix names none", remedy)
        return False

    def _named(self, kind: Kind, table: Mapping[str, Any]) -> Iterator[Named]:
        written = table.get(kind, Matrix.model_fields[kind].get_default() if kind not in self._unsure else ())
        seen: set[str] = set()
        for index, name in enumerate(written if isinstance(written, list | tuple) else ()):
            if not isinstance(name, str) or not name:
                continue
            location = self._document.locate(("matrix", kind, index) if kind in table else ("matrix", kind))
            known = self._resolver.identify(kind, name, location)
            if known is None:
                self._unsure.add(kind)
            elif known not in seen:
                seen.add(known)
                yield Named(known, location)

    def _entries(
        self, field: str, table: Mapping[str, Any], checked: Checked[Matrix]
    ) -> Iterator[tuple[int, Mapping[str, Any]]]:
        written = table.get(field, ())
        faulty = {fault.path[:2] for fault in checked.faults}
        for index, entry in enumerate(written if isinstance(written, list) else ()):
            if (field, index) not in faulty and (field,) not in faulty and isinstance(entry, Mapping):
                yield index, entry

    def _patterns(self, table: Mapping[str, Any], checked: Checked[Matrix]) -> Iterator[_Pattern]:
        for index, entry in self._entries("exclude", table, checked):
            path: KeyPath = ("exclude", index)
            if not entry:
                self._note(path, "must not be empty", f"name one of {', '.join(self._fields)}")
                self._unsure.add("exclude")
                continue
            allowed: dict[str, frozenset[str | int]] = {}
            for field, written in entry.items():
                if not self._belongs(path, field):
                    self._unsure.add("exclude")
                    continue
                meant = [self._of_matrix(field, value, at) for value, at in _listed(written, (*path, field))]
                values = frozenset(value for value in meant if value is not None)
                if isinstance(written, list) and not written:
                    self._note((*path, field), "must not be empty", "name a value, or leave the field out")
                if not values:
                    self._unsure.add("exclude")
                allowed[field] = values
            yield _Pattern(allowed, self._locate(path))

    def _of_matrix(self, field: str, value: str | int, path: KeyPath) -> str | int | None:
        """What a value of an entry of ``exclude`` goes by; ``None`` where the matrix does not have it, which is noted."""
        if field in SEED_FIELDS:
            seeds = self._seeds[field]
            if seeds is None or value in seeds:
                return value
            self._note(path, f"{value} is none of the manifest's {field}s", f"they are {', '.join(map(str, seeds))}")
        else:
            kind = next(kind for kind in self._kinds if kind == field)
            names = [named.name for named in self._values[kind]]
            known = self._resolver.known_as(kind, str(value))
            if known in names:
                return known
            if kind not in self._unsure:
                remedy = did_you_mean(str(value), names) or f"they are {', '.join(names)}"
                self._note(path, f"{shown(value)} is none of the matrix's {kind}s", remedy)
        self._unsure.add("exclude")
        return None

    def _product(self, patterns: list[_Pattern]) -> list[Combination]:
        every = tuple(itertools.product(self._seeds["tokenizer_seed"] or (), self._seeds["seed"] or ()))
        location = self._document.locate(("matrix",))
        combinations = []
        left_out = dict.fromkeys(range(len(patterns)), 0)
        for members in itertools.product(*(self._values[kind] for kind in self._kinds)):
            values: dict[str, str | int] = dict(zip(self._kinds, _names(members), strict=True))
            kept = []
            for seeds in every:
                values |= dict(zip(("tokenizer_seed", "seed"), seeds, strict=True))
                fitting = next((index for index, pattern in enumerate(patterns) if pattern.fits(values)), None)
                if fitting is None:
                    kept.append(seeds)
                else:
                    left_out[fitting] += 1
            if kept:
                combinations.append(Combination(self._kinds, members, tuple(kept), location))
        for index, pattern in enumerate(patterns):
            if self.complete and not left_out[index]:
                self._problems.add(pattern.location, "leaves out no cell that an earlier entry keeps", "remove it")
        return combinations

    def _included(self, table: Mapping[str, Any], checked: Checked[Matrix], product: list[Combination]) -> list[Combination]:
        present = {_names(combination.members): set(combination.seeds) for combination in product}
        added = []
        for index, entry in self._entries("include", table, checked):
            members = self._members(index, entry)
            if members is None:
                self._unsure.add("include")
                continue
            fields = {field: (entry[field],) if field in entry else self._seeds[field] or () for field in SEED_FIELDS}
            seen = present.setdefault(_names(members), set())
            pairs = itertools.product(fields["tokenizer_seed"], fields["seed"])
            new = tuple(pair for pair in pairs if pair not in seen)
            seen.update(new)
            if new:
                added.append(Combination(self._kinds, members, new, self._locate(("include", index))))
        return added

    def _members(self, index: int, entry: Mapping[str, Any]) -> tuple[Named, ...] | None:
        members: list[Named] = []
        if [field for field in entry if not self._belongs(("include", index), field)]:
            return None
        for kind in self._kinds:
            values = self._values[kind]
            if kind in entry:
                location = self._locate(("include", index, kind))
                known = self._resolver.identify(kind, entry[kind], location)
                members += [] if known is None else [Named(known, location)]
            elif len(values) == 1:
                members += values
            elif kind not in self._unsure:
                self._note(("include", index), f"names no {kind}, and the matrix has {len(values)}", f'add {kind} = "…"')
        return tuple(members) if len(members) == len(self._kinds) else None

    def _locate(self, path: KeyPath) -> Location:
        return self._document.locate(("matrix", *path))

    def _note(self, path: KeyPath, what: str, remedy: str = "") -> None:
        self._problems.add(self._locate(path), what, remedy)


def _listed(value: Any, path: KeyPath) -> list[tuple[Any, KeyPath]]:
    if isinstance(value, list):
        return [(item, (*path, index)) for index, item in enumerate(value)]
    return [(value, path)]


def _names(members: tuple[Named, ...]) -> Names:
    return tuple(member.name for member in members)
