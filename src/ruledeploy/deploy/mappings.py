"""What an index's fields are, asked of the server: the tables that rules are compiled against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from elasticsearch import ApiError, AuthorizationException, NotFoundError

from ruledeploy.fields import FieldType, load_table
from ruledeploy.model import JsonObject


class Indices(Protocol):
    """What is asked of an Elasticsearch client's `indices`."""

    def get_mapping(self, *, index: str) -> Any:
        """`{index: {mappings: …}}`."""


class Client(Protocol):
    """What is asked of an Elasticsearch client."""

    @property
    def indices(self) -> Any:
        """See `Indices`."""

    def field_caps(self, *, index: str, fields: str) -> Any:
        """`{fields: {name: {type: …}}}`."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A family's field table as `parse_table` reads it, and what was odd about the answer."""

    table: dict[str, Any] | None
    remarks: tuple[str, ...] = ()


def pull_table(client: Client, family: str, patterns: Iterable[str]) -> Pulled:
    """The fields of a family's indices; no table when no index matches.

    Mappings are read where the key may, since only they know `ignore_above`, normalizers and
    multi-fields; else `_field_caps`, which any reader may ask, with those facts from the bundled
    table where the types agree. Raises what the client does for anything but a missing privilege.
    """
    index = ",".join(sorted(patterns))
    try:
        answer = client.indices.get_mapping(index=index)
        found, remarks = _from_mappings(answer)
    except AuthorizationException:
        found, remarks = _from_caps(client.field_caps(index=index, fields="*"), family)
        remarks = [*remarks, f"{family}: mappings may not be read; `_field_caps` had to do"]
    except NotFoundError:
        found, remarks = {}, []
    except ApiError as error:
        if error.status_code != 404:  # noqa: PLR2004 - HTTP's "not there"
            raise
        found, remarks = {}, []
    if not found:
        return Pulled(None, (f"{family}: no index matches {index}; the bundled table stays",))
    dynamic = list(load_table(family).dynamic_keyword)
    table = {"family": family, "index": index, "fields": dict(sorted(found.items()))}
    return Pulled(table | ({"dynamic_keyword": dynamic} if dynamic else {}), tuple(remarks))


def _from_mappings(answer: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """All indices' fields; where they differ in type, the last index by name (the newest) wins."""
    fields: dict[str, Any] = {}
    odd: set[str] = set()
    for index in sorted(answer):
        for name, entry in flatten(answer[index]["mappings"].get("properties", {})):
            before = fields.get(name)
            if before is not None and before["type"] != entry["type"]:
                odd.add(f"{name} is {before['type']} in older indices, {entry['type']} in {index}")
            fields[name] = entry
    return fields, sorted(odd)


def flatten(properties: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, dict[str, Any]]]:
    """Full names of mapped fields, with what of their mapping changes what matches."""
    for name, entry in properties.items():
        full = f"{above}{name}"
        inner = entry.get("properties")
        if inner is None or entry.get("type") == "nested" or not entry.get("enabled", True):
            yield full, FieldType.from_mapping(entry).to_mapping()
        if inner is not None:
            yield from flatten(inner, f"{full}.")


def _from_caps(answer: Mapping[str, Any], family: str) -> tuple[dict[str, Any], list[str]]:
    bundled = load_table(family)
    fields: dict[str, Any] = {}
    odd = []
    for name, types in answer["fields"].items():
        caps: list[JsonObject] = [each for type_, each in types.items() if type_ != "unmapped"]
        if not caps or caps[0].get("metadata_field") or caps[0]["type"] == "object":
            continue
        if len(caps) > 1:
            odd.append(f"{name} is {' and '.join(sorted(types))}; the bundled table stays")
        known = bundled.fields.get(name)
        if known is not None and (len(caps) > 1 or known.type == caps[0]["type"]):
            fields[name] = known.to_mapping()
        elif not _is_multi_field(name, answer["fields"]):
            type_ = FieldType(str(caps[0]["type"]), index=bool(caps[0].get("searchable", True)))
            fields[name] = type_.to_mapping()
    return fields, odd


def _is_multi_field(name: str, fields: Mapping[str, Any]) -> bool:
    """Whether the name above is a field with a value of its own."""
    types = fields.get(name.rpartition(".")[0], {})
    return bool(types) and not {"object", "nested"} & set(types)
