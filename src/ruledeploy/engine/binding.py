"""A query bound to one field table: every leaf becomes a test on a slot.

A slot is one way to look at one field: its index terms, or the values that ES|QL sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TypeAlias

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldTable, FieldType
from ruledeploy.query.ir import (
    Always,
    And,
    Column,
    Exists,
    Glob,
    Leaf,
    Matcher,
    Never,
    Node,
    Not,
    Or,
    Prefix,
    Range,
    Regexp,
    Within,
)
from ruledeploy.query.kql import Types
from ruledeploy.query.meaning import NOTHING, Dropped, Meaning, meaning
from ruledeploy.query.terms import DATES, KEYED, TEXTS

# Fields that every document has, outside the mapping.
UNLISTED = FieldType("keyword", ignore_above=1024)
METADATA = {"_id": FieldType("keyword"), "_index": FieldType("keyword")}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A field's type, and the path in the event where its values lie.

    `root` is the flattened field that the path is, or is a key of.
    """

    path: str
    type: FieldType
    root: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """`field` is the name as mapped; `column` looks at it as ES|QL does."""

    field: str
    path: str
    type: FieldType
    column: bool
    root: str


@dataclass(frozen=True, slots=True)
class Test:
    """One leaf, bound.

    `leaf` is where the meaning comes from, and `now` the moment if that has a part in it: unlike
    the meaning they can be written down.
    """

    slot: Slot
    meaning: Meaning
    leaf: Leaf = field(compare=False)
    now: datetime | None = field(compare=False, default=None)


@dataclass(frozen=True, slots=True)
class Objects:
    """A nested leaf: some object at `path` satisfies `node`."""

    path: str
    node: Bound


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; none is always true."""

    parts: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class AnyPart:
    """Some part holds; none is never true."""

    parts: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class Except:
    """The part does not hold."""

    part: Bound


Bound: TypeAlias = Test | Objects | AllOf | AnyPart | Except

TRUE = AllOf(())
FALSE = AnyPart(())


def resolve(table: FieldTable, name: str) -> Resolved | None:
    """The field behind a name: alias, multi-field, key of a flattened field; None if unmapped."""
    if name in METADATA:
        return Resolved(name, METADATA[name])
    name = table.resolve(name)
    found = table.get(name)
    if found is not None:
        parent = name.rpartition(".")[0]
        is_multi = name not in table.fields and parent in table.fields
        path = parent if is_multi and name_in(table, parent, name) else name
        return Resolved(path, found, path if found.type == "flattened" else "")
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = table.fields.get(".".join(parts[:length]))
        if above is not None and above.type == "flattened":
            return Resolved(name, replace(above, type=KEYED), ".".join(parts[:length]))
    # Indices that nobody has described map what they get, text to keyword.
    return Resolved(name, UNLISTED) if table.open and not table.lacks(name) else None


def name_in(table: FieldTable, parent: str, name: str) -> bool:
    """Whether `name` is a multi-field of `parent`."""
    return name.rpartition(".")[2] in table.fields[parent].fields


def innermost_nested(table: FieldTable, name: str) -> str:
    """The nearest nested object above a field, or nothing."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = ".".join(parts[:length])
        if above in table.fields and table.fields[above].type == "nested":
            return above
    return ""


def types_of(tables: Sequence[FieldTable]) -> Types:
    """The type of each field that one of the tables has, as EQL sees it; None for one of none."""

    def type_of(name: str) -> str | None:
        for table in tables:
            found = None if name in METADATA else resolve(table, name)
            if found is not None:
                return "nested" if innermost_nested(table, found.path) else found.type.type
        return None

    return type_of


@dataclass(frozen=True, slots=True)
class Binder:
    """Binds nodes to `table`; `scope` is the nested object the fields lie in."""

    table: FieldTable
    now: datetime
    scope: str = ""
    # Equal leaves of all queries become one test. As text, for to Python 1, 1.0 and True are equal.
    _leaves: dict[str, Bound | None] = field(default_factory=dict, compare=False)

    def bind(self, node: Node) -> Bound:
        """The bound query. Raises QueryError where Elasticsearch would fail the search."""
        return self._bind(node) or FALSE

    def _bind(self, node: Node) -> Bound | None:
        """The bound node; None for a clause that falls out of the query."""
        match node:
            case Always():
                return TRUE
            case Never():
                return FALSE
            case Not(child):
                inner = self._bind(child)
                return None if inner is None else Except(inner)
            case And(children):
                if any(self._is_never(child) for child in children):
                    # Known to match nothing before the rest is looked at, errors in it included.
                    return FALSE
                return _joined(AllOf, [self._bind(child) for child in children])
            case Or(children):
                return _joined(AnyPart, [self._bind(child) for child in children])
            case Leaf():
                return self._leaf(node)

    def _is_never(self, node: Node) -> bool:
        match node:
            case Leaf(field, Exists(), False):
                return self._exists(field) == FALSE
            case _:
                return False

    def _leaf(self, leaf: Leaf) -> Bound | None:
        key = repr(leaf)
        if key not in self._leaves:
            self._leaves[key] = self._bind_leaf(leaf)
        return self._leaves[key]

    def _bind_leaf(self, leaf: Leaf) -> Bound | None:
        if isinstance(leaf.matcher, Within):
            return self._within(leaf.field, leaf.matcher)
        if "*" in leaf.field:
            return AnyPart(tuple(self._fields_like(leaf)))
        if isinstance(leaf.matcher, Exists):
            return self._exists(leaf.field)
        return self._test(leaf)

    def _within(self, path: str, within: Within) -> Bound:
        entry = self.table.fields.get(path)
        if entry is None or entry.type != "nested":
            raise QueryError(f"{path} is not a nested object")
        return Objects(path, Binder(self.table, self.now, path).bind(within.node))

    def _visible(self, name: str) -> Resolved | None:
        """The field, if it is mapped, searchable and in this scope."""
        found = resolve(self.table, name)
        if found is None or not found.type.searchable or found.type.type == "nested":
            return None
        return found if innermost_nested(self.table, found.path) == self.scope else None

    def _test(self, leaf: Leaf) -> Bound | None:
        found = self._visible(leaf.field)
        if found is None:
            return FALSE
        if leaf.field in METADATA and not _answers(leaf.field, leaf.matcher):
            if leaf.lenient:
                return FALSE
            raise QueryError(f"{leaf.field} cannot be asked for a pattern or a range")
        asked = meaning(leaf.matcher, found.type, self.now, lenient=leaf.lenient)
        if isinstance(asked, Dropped):
            return None if leaf.lenient else FALSE
        if asked == NOTHING:
            return FALSE
        column = isinstance(leaf.matcher, Column)
        type_ = self._column_type(found) if column else found.type
        name = self.table.resolve(leaf.field)
        moving = found.type.type in DATES and "now" in repr(leaf.matcher)
        now = self.now if moving else None
        return Test(Slot(name, found.path, type_, column, found.root), asked, leaf, now)

    def _column_type(self, found: Resolved) -> FieldType:
        """What ES|QL reads: of a text below a keyword it reads the keyword."""
        above = self.table.fields.get(found.path, found.type)
        below_keyword = above.type == "keyword" and above.normalizer is None
        return above if found.type.type in TEXTS and below_keyword else found.type

    def _exists(self, name: str) -> Bound:
        """A field has a value; an object exists where any field below it does."""
        if self._visible(name) is not None:
            return self._test(Leaf(name, Exists())) or FALSE
        below = [field for field in self.table.fields if field.startswith(f"{name}.")]
        tests = [self._test(Leaf(field, Exists())) for field in below if self._visible(field)]
        return AnyPart(tuple(test for test in tests if test is not None))

    def _fields_like(self, leaf: Leaf) -> list[Bound]:
        """The leaf on every field that the pattern names."""
        names = [
            name
            for field, type_ in self.table.fields.items()
            for name in (field, *(f"{field}.{sub}" for sub in type_.fields))
            if fnmatchcase(name, leaf.field) and type_.type != "alias"
        ]
        tests = [self._test(Leaf(name, leaf.matcher, lenient=True)) for name in names]
        return [test for test in tests if test is not None and test != FALSE]


def _answers(name: str, matcher: Matcher) -> bool:
    """Whether Elasticsearch asks a metadata field so: `_id` as a whole, `_index` by its start."""
    match matcher:
        case Regexp() | Range():
            return False
        case Prefix():
            return name == "_index"
        case Glob(analysed=analysed):
            return name == "_index" and not analysed
        case _:
            return True


def _joined(kind: type[AllOf | AnyPart], parts: list[Bound | None]) -> AllOf | AnyPart | None:
    kept = tuple(part for part in parts if part is not None)
    return kind(kept) if kept or not parts else None
