"""Value lists: text files of values, and the lists in Kibana that items make of them."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ruledeploy.errors import Collector, Location, OverlayError
from ruledeploy.fields import FieldType
from ruledeploy.model import Finding, Provenance, ValueList
from ruledeploy.query.exceptions import MAX_DASH_RANGES, MAX_QUERY_VALUES

ListType = Literal["keyword", "ip", "ip_range"]
_TEXTUAL = frozenset({"keyword", "wildcard", "constant_keyword"})


@dataclass(frozen=True, slots=True)
class ValueFile:
    """One file: its values in file order, each once, with the line it stands on."""

    name: str
    path: str
    values: Mapping[str, int]


def parse_value_files(files: Mapping[str, bytes]) -> dict[str, ValueFile]:
    """The files by name: one value a line; empty lines and lines that start with # are left out.

    Raises `OverlayError` or `Problems`: text that is not UTF-8, a file without any value.
    """
    collector = Collector()
    found: dict[str, ValueFile] = {}
    for path, data in files.items():
        with collector.collect():
            name = PurePosixPath(path).stem
            found[name] = ValueFile(name, path, dict(_values(path, data)))
            if not found[name].values:
                raise OverlayError(
                    "the value list is empty",
                    location=Location(path),
                    hint="write one value a line, or remove the file and the items that use it",
                )
    collector.raise_if_any()
    return found


def _values(path: str, data: bytes) -> Iterator[tuple[str, int]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Location(path, data[: error.start].count(b"\n") + 1)
        raise OverlayError("the value list is not UTF-8", location=place) from error
    seen = set()
    for number, line in enumerate(text.splitlines(), start=1):
        value = line.strip()
        if value and not value.startswith("#") and value not in seen:
            seen.add(value)
            yield value, number


@dataclass(frozen=True, slots=True)
class UsedList:
    """A value list as an entry names it. A `large` one is applied after the search."""

    id: str
    type: ListType
    large: bool


class ValueLists:
    """The value files of a project, and which lists the items of one environment use.

    A list's type follows from the field it is compared with, so its id names the type: a file
    used on a keyword and on an address becomes two lists.
    """

    def __init__(self, files: Mapping[str, ValueFile], project: str, marker: str) -> None:
        self._files = files
        self._project = project
        self._marker = marker
        self._used: dict[str, ValueList] = {}
        self._large: set[str] = set()

    def use(self, name: str, field: FieldType, place: Location) -> UsedList:
        """The list to name in an entry on such a field.

        Raises `OverlayError` (many: `Problems`): no such file, values that the field cannot hold.
        """
        file = self._files.get(name)
        if file is None:
            near = difflib.get_close_matches(name, self._files, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "keep it under value_lists/ as .txt"
            raise OverlayError(f"there is no value list {name!r}", location=place, hint=hint)
        type_ = self._type(file, field, place)
        list_id = f"rd-{self._project}-{name}-{type_}"
        body = {
            "id": list_id,
            "name": f"{name} ({self._project})",
            "description": f"Kept in {file.path} by ruledeploy; edit it there.",
            "type": type_,
            "meta": {"ruledeploy": self._marker},
        }
        place_of_file = Provenance(file.path, 1, name)
        self._used[list_id] = ValueList(body, tuple(file.values), place_of_file)
        large = _large(type_, file)
        if large:
            self._large.add(list_id)
        return UsedList(list_id, type_, large)

    def large(self, list_id: str) -> bool:
        """Whether Kibana applies a list after the search."""
        return list_id in self._large

    def finished(self) -> tuple[ValueList, ...]:
        """Every list in use, sorted by id."""
        return tuple(self._used[key] for key in sorted(self._used))

    def unused(self) -> Iterator[Finding]:
        """A word on each file that no item of this environment uses."""
        used = {one.provenance.source_id for one in self._used.values()}
        for file in self._files.values():
            if file.name not in used:
                message = f"no item of this environment uses the value list {file.name!r}"
                yield Finding("info", "value-list-unused", message, Location(file.path, 1))

    @staticmethod
    def _type(file: ValueFile, field: FieldType, place: Location) -> ListType:
        if field.type in _TEXTUAL:
            return "keyword"
        if field.type != "ip":
            raise OverlayError(
                f"a field of type {field.type} cannot be compared with a value list",
                location=place,
                hint="value lists hold keywords or addresses",
            )
        collector = Collector()
        kinds = set()
        for value, line in file.values.items():
            with collector.collect():
                kinds.add(_address(value, Location(file.path, line)))
        collector.raise_if_any()
        return "ip_range" if "ip_range" in kinds else "ip"


def _address(value: str, place: Location) -> ListType:
    """`ip` for one address, `ip_range` for a network or `first-last`."""
    try:
        if "-" in value:
            first, last = (ipaddress.ip_address(part.strip()) for part in value.split("-"))
            if first.version != last.version or int(first) > int(last):
                raise ValueError
            return "ip_range"
        if "/" in value:
            ipaddress.ip_network(value, strict=False)
            return "ip_range"
        ipaddress.ip_address(value)
    except ValueError:
        raise OverlayError(
            f"{value!r} is no address, network or first-last range",
            location=place,
            hint="the list is compared with a field of type ip",
        ) from None
    return "ip"


def _large(type_: ListType, file: ValueFile) -> bool:
    dashed = sum("-" in value for value in file.values) if type_ == "ip_range" else 0
    return len(file.values) > MAX_QUERY_VALUES or dashed > MAX_DASH_RANGES
