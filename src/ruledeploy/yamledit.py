"""YAML that people wrote, edited in place: comments, key order, quotes and indentation stay.

`yamldoc` reads; this writes. Inserted texts are quoted where YAML 1.1 would read them as
something else, since other Sigma tools read our files too.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    LiteralScalarString,
    SingleQuotedScalarString,
)

from ruledeploy.errors import Location, YamlError
from ruledeploy.yamldoc import LOADER

_WIDE = 1_000_000  # never wrap what the author did not wrap
_BLOCK_LIST = re.compile(
    r"^( *)(?:- )?[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", re.MULTILINE
)
_BLOCK_MAP = re.compile(
    r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]", re.MULTILINE
)


_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Stamp(str):
    """A date or time as its author wrote it."""

    __slots__ = ()


class _Constructor(RoundTripConstructor):
    """Reads dates as text, so that they are written as they were."""


class _Representer(RoundTripRepresenter):
    """Writes dates as they were, and nothing as null: an empty value looks like a mistake."""


_Constructor.add_constructor(_TIMESTAMP, lambda _, node: _Stamp(node.value))
_Representer.add_representer(_Stamp, lambda here, text: here.represent_scalar(_TIMESTAMP, text))
_Representer.add_representer(
    type(None), lambda here, _: here.represent_scalar("tag:yaml.org,2002:null", "null")
)


class YamlEdit:
    """The documents of one file as mappings to edit; `to_bytes` gives the file again."""

    def __init__(self, data: bytes, path: str) -> None:
        text = data.decode("utf-8-sig")
        self._newline = "\r\n" if "\r\n" in text else "\n"
        text = text.replace("\r\n", "\n")
        self._yaml = _round_trip(text)
        try:
            self.documents: list[Any] = list(self._yaml.load_all(text))
        except YAMLError as error:
            raise YamlError(f"not editable as YAML: {error}", location=Location(path)) from error
        self._read, self._unedited = data, self._dumped()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> YamlEdit:
        """A file that is not there yet, of one document in the order of its keys."""
        made = cls(b"", "")
        made.documents = [plain(value)]
        return made

    def to_bytes(self) -> bytes:
        """The file with its edits; byte for byte as it was read when there are none."""
        made = self._dumped()
        return self._read if made == self._unedited else self._with_authors_lines(made)

    def _with_authors_lines(self, made: bytes) -> bytes:
        """The lines that no edit touched, as their author indented and spaced them."""
        read, unedited, edited = (
            data.splitlines(keepends=True) for data in (self._read, self._unedited, made)
        )
        if len(read) != len(unedited):
            return made
        lines: list[bytes] = []
        matcher = difflib.SequenceMatcher(None, unedited, edited, autojunk=False)
        for verdict, start, end, there, until in matcher.get_opcodes():
            lines += read[start:end] if verdict == "equal" else edited[there:until]
        return b"".join(lines)

    def _dumped(self) -> bytes:
        out = io.StringIO()
        self._yaml.dump_all(self.documents, out)
        return out.getvalue().replace("\n", self._newline).encode("utf-8")


def cut_item(data: bytes, items: yaml.Node, index: int) -> bytes:
    """The file without one item of a block list (`items`, as `yamldoc` read it).

    By lines, since a comment belongs to what follows it: the comment lines right above the item go
    with it, those above the next one stay. A list that becomes empty is written as `[]`.
    """
    lines = data.decode("utf-8-sig").splitlines(keepends=True)
    starts = [node.start_mark.line for node in items.value]
    first = starts[index]
    last = starts[index + 1] if index + 1 < len(starts) else items.end_mark.line
    if items.end_mark.column and index + 1 == len(starts):
        last += 1  # the list ends inside its last line
    while last > first + 1 and _is_aside(lines[last - 1]):
        last -= 1
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    if len(starts) == 1:
        lines[first - 1] = lines[first - 1].replace(":", ": []", 1)
    return "".join(lines[:first] + lines[last:]).encode("utf-8")


def _is_aside(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def new_document(value: Mapping[str, Any]) -> bytes:
    """A file of one document, in the order of its keys."""
    return YamlEdit.of(value).to_bytes()


def _round_trip(text: str) -> YAML:
    made = YAML(typ="rt")
    made.preserve_quotes = True
    made.width = _WIDE
    made.explicit_start = text.startswith("---")
    offset = _indent(_BLOCK_LIST, text, 2)
    made.indent(mapping=_indent(_BLOCK_MAP, text, 2) or 2, sequence=offset + 2, offset=offset)
    made.Constructor = _Constructor
    made.Representer = _Representer
    return made


def _indent(found: re.Pattern[str], text: str, default: int) -> int:
    """How far the file's first block lies inside its parent."""
    match = found.search(text)
    return max(0, len(match.group(2)) - len(match.group(1))) if match else default


def plain(value: Any) -> Any:
    """A JSON value as nodes to insert: mappings and lists in block form, texts quoted safely."""
    if isinstance(value, Mapping):
        made = CommentedMap()
        for key, inner in value.items():
            made[_text(str(key))] = plain(inner)
        return made
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Sequence):
        return CommentedSeq([plain(inner) for inner in value])
    return value


def _text(value: str) -> Any:
    if not value.isprintable() and not _lines(value):
        return DoubleQuotedScalarString(value)
    if "\n" in value:
        return LiteralScalarString(value)
    return value if _reads_back(value) else SingleQuotedScalarString(value)


def _lines(value: str) -> bool:
    """Whether a literal block can hold the text: whole printable lines without loose blanks."""
    lines = value.split("\n")
    return (
        len(lines) > 1
        and bool(lines[0])
        and not lines[0].startswith(" ")
        and all(line.isprintable() and line == line.rstrip() for line in lines)
    )


@lru_cache(maxsize=4096)
def _reads_back(value: str) -> bool:
    """Whether the bare text is the same text to a YAML 1.1 reader."""
    try:
        return bool(yaml.load(f"- {value}", Loader=LOADER) == [value])  # noqa: S506  # a safe loader
    except yaml.YAMLError:
        return False
