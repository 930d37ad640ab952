"""YAML that keeps its positions, read safely and fast.

Reading is three passes over libyaml's output: events (refuse what would hurt: deep nesting,
aliases that multiply), composition into nodes (they know line and column), construction into
plain Python values. The node tree stays with the document, so any later check can name the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ruledeploy.errors import Location, YamlError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 4_000_000
# libyaml's own recursion ends the process near 100,000 levels; no real file passes 20.
MAX_DEPTH = 64
# An alias repeats its anchor's nodes: a "billion laughs" file is small until someone walks it.
MAX_NODES = 500_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_OPENING = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSING = (yaml.SequenceEndEvent, yaml.MappingEndEvent)

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _PlainLoader(_Loader):  # type: ignore[misc]  # the C loader has no typed base
    """Builds plain values; dates stay text, because JSON has none and rules quote them freely."""


_PlainLoader.add_constructor(_TIMESTAMP, yaml.SafeLoader.construct_yaml_str)


@dataclass(frozen=True, slots=True)
class YamlDoc:
    """One document of a file: its plain value, and the node tree that knows the positions."""

    path: str
    value: Any
    node: yaml.Node

    def at(self, *keys: str | int) -> Location:
        """Where `value[k1][k2]…` is written: the key's line for mappings, the item's for lists.

        A path that does not exist gives the deepest place that does.
        """
        node = self.node
        mark = node.start_mark
        for key in keys:
            step = _step(node, key)
            if step is None:
                break
            mark, node = step
        return Location(self.path, mark.line + 1, mark.column + 1)


def _step(node: yaml.Node, key: str | int) -> tuple[Any, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if key_node.value == str(key):
                return key_node.start_mark, value_node
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
        size = f"{len(data):,} bytes, more than the {MAX_BYTES:,} allowed"
        raise YamlError(f"the file has {size}", location=Location(path), hint="split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError("the file is not UTF-8", location=Location(path, line)) from error
    # libyaml stops silently at NUL, which would hide the rest of a file.
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise YamlError("the file contains a NUL character", location=Location(path, line))
    return text


def _refuse_depth(text: str, path: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, _OPENING):
            depth += 1
        elif isinstance(event, _CLOSING):
            depth -= 1
        if depth > MAX_DEPTH:
            mark = event.start_mark
            place = Location(path, mark.line + 1 if mark else 0)
            raise YamlError(f"the file nests deeper than {MAX_DEPTH}", location=place)


def _documents(text: str, path: str) -> Iterator[YamlDoc]:
    loader = _PlainLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            _Inspection(path).size(node, frozenset())
            value = loader.construct_document(node)
            if value is not None:
                yield YamlDoc(path, value, node)
    finally:
        loader.dispose()


class _Inspection:
    """One walk over a node tree that refuses what construction would accept in silence."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.sizes: dict[int, int] = {}

    def size(self, node: yaml.Node, above: frozenset[int]) -> int:
        """How many nodes `node` has once its aliases are written out.

        Raises `YamlError` for a cycle, a repeated key (YAML keeps the last), a key that is not
        plain text, and a tree past `MAX_NODES`.
        """
        if id(node) in above:
            raise YamlError("the document contains itself", location=_place(self.path, node))
        if id(node) not in self.sizes:
            inside = above | {id(node)}
            total = 1 + sum(self.size(child, inside) for child in self._children(node))
            if total > MAX_NODES:
                message = f"aliases make the document larger than {MAX_NODES:,} nodes"
                raise YamlError(message, location=_place(self.path, node))
            self.sizes[id(node)] = total
        return self.sizes[id(node)]

    def _children(self, node: yaml.Node) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if isinstance(node, yaml.MappingNode):
            self._refuse_repeats(node)
            return [value for _, value in node.value]
        return []

    def _refuse_repeats(self, node: yaml.MappingNode) -> None:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("a key must be plain text", location=_place(self.path, key))
            if key.value in seen:
                first = f"first on line {seen[key.value]}"
                message = f"the key {key.value!r} is written twice ({first})"
                place = _place(self.path, key)
                raise YamlError(message, location=place, hint="keep one of them")
            seen[key.value] = key.start_mark.line + 1


def _place(path: str, node: yaml.Node) -> Location:
    return Location(path, node.start_mark.line + 1, node.start_mark.column + 1)


def _first_line(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "the text is not YAML"
    return problem.splitlines()[0]


def _hint(text: str, place: Location) -> str:
    lines = text.splitlines()
    shown = lines[place.line - 1].strip() if 0 < place.line <= len(lines) else ""
    if "\t" in shown or (0 < place.line <= len(lines) and lines[place.line - 1].startswith("\t")):
        return "indent with spaces, not tabs"
    return f"near {shown[:60]!r}" if shown else "the file ends too early"
