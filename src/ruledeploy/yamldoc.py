"""YAML that keeps its positions, read safely and fast.

libyaml composes nodes, which know line and column; one walk turns them into plain values and
refuses what would hurt: deep nesting, cycles, aliases that multiply, repeated keys. The node tree
stays with the document, so any later check can name the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from ruledeploy.errors import Location, YamlError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 4_000_000
# libyaml's own recursion ends the process near 100,000 levels; no real file passes 20.
MAX_DEPTH = 64
# An alias repeats its anchor's nodes: a "billion laughs" file is small until someone walks it.
MAX_NODES = 500_000

_OPENING = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSING = (yaml.SequenceEndEvent, yaml.MappingEndEvent)

_TEXT = "tag:yaml.org,2002:str"
_MAPPING = "tag:yaml.org,2002:map"
_SEQUENCE = "tag:yaml.org,2002:seq"
_MERGE = "tag:yaml.org,2002:merge"
# Scalars that stay text; `<<` and `=` alone are YAML 1.1's merge and default-value marks.
_AS_WRITTEN = frozenset({_TEXT, _MERGE, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
# Levels that libyaml takes without a thought on the smallest stack a thread gets.
_HARMLESS = 1_000
# A long run of what may stand before a line's first text without closing a collection above it.
_INDENTED = re.compile(r"^[ ?:-]{500}", re.MULTILINE)
_LARGEST = 2**63


# Where a key or an item starts, and what it holds.
_Step: TypeAlias = tuple[Any, yaml.Node]


# What a plain scalar may be besides text, by its first character.
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of two
    """PyYAML's safe loader without what only its path resolvers need, which nobody uses here."""

    def descend_resolver(self, *_: object) -> None:
        """Called before every node."""

    def ascend_resolver(self) -> None:
        """Called after every node."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
        """The tag of a node written without one; only a plain scalar is anything but text."""
        if kind is yaml.ScalarNode:
            for tag, pattern in _RESOLVERS.get(value[:1], ()) if implicit[0] else ():
                if pattern.match(value):
                    return tag
            return _TEXT
        return _MAPPING if kind is yaml.MappingNode else _SEQUENCE


LOADER: Any = _Loader


@dataclass(frozen=True, slots=True)
class YamlDoc:
    """One document of a file: its plain value, and the node tree that knows the positions.

    `behind` is a document that this one was laid over, for the places of what it lacks. `_keys` has
    those of the mappings that were asked for, by the node's identity.
    """

    path: str
    value: Any
    node: yaml.Node
    behind: YamlDoc | None = None
    _keys: dict[int, dict[str, _Step]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, *keys: str | int) -> Location:
        """Where `value[k1][k2]…` is written: the key's line for mappings, the item's for lists.

        A path that does not exist gives the deepest place that does.
        """
        depth, place = self._find(keys)
        if depth == len(keys) or self.behind is None:
            return place
        other, there = self.behind._find(keys)  # noqa: SLF001 - of our own kind
        return there if other > depth else place

    def _find(self, keys: tuple[str | int, ...]) -> tuple[int, Location]:
        """How many of the keys there are, and where the last of those is."""
        node, depth = self.node, 0
        mark = node.start_mark
        for key in keys:
            step = self._step(node, key)
            if step is None:
                break
            mark, node = step
            depth += 1
        return depth, Location(self.path, mark.line + 1, mark.column + 1)

    def _step(self, node: yaml.Node, key: str | int) -> _Step | None:
        if isinstance(node, yaml.MappingNode):
            known = self._keys.get(id(node))
            if known is None:
                pairs = reversed(node.value)  # the first of equal keys counts
                known = {each.value: (each.start_mark, child) for each, child in pairs}
                self._keys[id(node)] = known
            return known.get(str(key))
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            item = node.value[key]
            return item.start_mark, item
        return None


def load_all(data: bytes, path: str) -> list[YamlDoc]:
    """Every non-empty document of a file.

    Raises `YamlError` with a position for anything that is not UTF-8 YAML, repeats a key, is
    larger than `MAX_BYTES`, nests deeper than `MAX_DEPTH`, or passes `MAX_NODES` by its aliases.
    """
    text = _decode(data, path)
    try:
        _refuse_depth(text, path)
        return list(_documents(text, path))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(path, mark.line + 1, mark.column + 1) if mark else Location(path)
        raise YamlError(_first_line(error), location=place, hint=_hint(text, place)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(error.reason, location=Location(path, line)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlError(f"not readable as YAML: {error}", location=Location(path)) from error


def load_one(data: bytes, path: str) -> YamlDoc:
    """The single document of a file. Raises `YamlError` when there is none, or more than one."""
    documents = load_all(data, path)
    if not documents:
        raise YamlError("the file is empty", location=Location(path, 1))
    if len(documents) > 1:
        raise YamlError("only one document is allowed here", location=documents[1].at())
    return documents[0]


def _decode(data: bytes, path: str) -> str:
    if len(data) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES:,} bytes"
        raise YamlError(message, location=Location(path, 1), hint="split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = Location(path, line)
        raise YamlError("the file is not UTF-8", location=place, hint="save it as UTF-8") from error
    # libyaml stops silently at NUL, which would hide the rest of a file.
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise YamlError("the file contains a NUL character", location=Location(path, line))
    return text


def _refuse_depth(text: str, path: str) -> None:
    """Refuse what would overflow libyaml's own stack, before it composes anything.

    Brackets, and the run of indents and `- ` before a line's text, bound the depth from above;
    only a file whose bound is large is worth a pass over its events.
    """
    brackets = text.count("[") + text.count("{")
    if brackets < _HARMLESS and _INDENTED.search(text) is None:
        return
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, _OPENING):
            depth += 1
        elif isinstance(event, _CLOSING):
            depth -= 1
        if depth > MAX_DEPTH:
            mark = event.start_mark
            raise _too_deep(Location(path, mark.line + 1 if mark else 1))


def _too_deep(place: Location) -> YamlError:
    return YamlError(f"the file nests deeper than {MAX_DEPTH}", location=place)


def _documents(text: str, path: str) -> Iterator[YamlDoc]:
    loader = LOADER(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            value = _Construction(loader, path).node(node, 0)
            if value is not None:
                yield YamlDoc(path, value, node)
    finally:
        loader.dispose()


class _Construction:
    """Nodes to values in one walk, which refuses what PyYAML would accept in silence.

    Keys and dates stay the text that was written: JSON knows no other keys and no dates, and an
    author who writes `on:` or `2024/01/02` means the word.

    `nodes` counts what was seen, aliases written out, and `sizes` has how many of it lie below a
    collection; `built` is what that became, and None while it is being built.
    """

    def __init__(self, loader: Any, path: str) -> None:
        self.loader = loader
        self.path = path
        self.built: dict[int, Any] = {}
        self.sizes: dict[int, int] = {}
        self.nodes = 0

    def node(self, node: yaml.Node, depth: int) -> Any:
        """One node's value, `depth` collections below the top.

        Raises `YamlError` for a cycle, a repeated key (YAML keeps the last), a key that is not
        plain text, a tag, a number no JSON holds, and a tree past `MAX_DEPTH` or `MAX_NODES`.
        """
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.tag in _AS_WRITTEN else self._scalar(node)
        known = id(node)
        if known in self.built:
            if self.built[known] is None:
                raise YamlError("the document contains itself", location=self._place(node))
            self.nodes += self.sizes[known]
            return self.built[known]
        if depth == MAX_DEPTH:
            raise _too_deep(self._place(node))
        self.built[known] = None
        made = self._collection(node, depth + 1)
        self.built[known] = made
        return made

    def _collection(self, node: yaml.Node, depth: int) -> Any:
        before = self.nodes
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            self._refuse_repeats(node)
            self.nodes += len(node.value)
            made: Any = self._mapping(node, depth)
        elif isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            self.nodes += len(node.value)
            # Texts, as most are, are taken here: a call for each would cost as much as the rest.
            made = [
                child.value
                if child.tag in _AS_WRITTEN and isinstance(child, yaml.ScalarNode)
                else self.node(child, depth)
                for child in node.value
            ]
        else:
            raise self._no_tag(node)
        size = self.nodes - before
        if size >= MAX_NODES:
            message = f"the document has more than {MAX_NODES:,} nodes, aliases written out"
            raise YamlError(message, location=self._place(node))
        self.sizes[id(node)] = size
        return made

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        """A mapping; `<<: *anchor` (or a list of anchors) gives the keys that it lacks."""
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if child.tag in _AS_WRITTEN and isinstance(child, yaml.ScalarNode):
                value = child.value
            else:
                value = self.node(child, depth)
            if key.tag != _MERGE:
                own[key.value] = value
                continue
            for each in value if isinstance(value, list) else [value]:
                if not isinstance(each, dict):
                    message = "`<<` takes mappings"
                    raise YamlError(message, location=self._place(child))
                merged = each | merged
        return merged | own if merged else own

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        """A number, a truth value or null."""
        try:
            value = self.loader.construct_object(node)
        except yaml.YAMLError as error:
            raise self._no_tag(node) from error
        except (ValueError, LookupError) as error:
            hint = "quote it to keep the text"
            message = f"{node.value[:40]!r} is no value"
            raise YamlError(message, location=self._place(node), hint=hint) from error
        if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
            message = "this number is beyond 64 bits"
            raise YamlError(message, location=self._place(node), hint="quote it to keep the text")
        if value is None or isinstance(value, int | float):
            return value
        raise self._no_tag(node)

    def _refuse_repeats(self, node: yaml.MappingNode) -> None:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) == len(node.value):
            return
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("a key must be plain text", location=self._place(key))
            if key.value in seen:
                first = f"first on line {seen[key.value]}"
                message = f"the key {key.value!r} is written twice ({first})"
                raise YamlError(message, location=self._place(key), hint="keep one of them")
            seen[key.value] = key.start_mark.line + 1

    def _no_tag(self, node: yaml.Node) -> YamlError:
        return YamlError(f"the tag {node.tag!r} is not allowed", location=self._place(node))

    def _place(self, node: yaml.Node) -> Location:
        return Location(self.path, node.start_mark.line + 1, node.start_mark.column + 1)


def _first_line(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "the text is not YAML"
    return problem.splitlines()[0]


def _hint(text: str, place: Location) -> str:
    lines = text.splitlines()
    shown = lines[place.line - 1].strip() if 0 < place.line <= len(lines) else ""
    if "\t" in shown or (0 < place.line <= len(lines) and lines[place.line - 1].startswith("\t")):
        return "indent with spaces, not tabs"
    return f"near {shown[:60]!r}" if shown else "the file ends too early"
