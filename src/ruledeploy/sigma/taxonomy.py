"""Sigma's field names and categories in the words of one telemetry family.

One mapping per family, never one query over two. Names with a dot are ECS already and pass
untouched, and so does every name the family's table knows. What is left is an event-data field
of Windows events (`winlog.event_data.*`), a field of Zeek's (`zeek.<log>.*`), or unknown.

Sources: the ingest pipelines of Elastic's Windows integration and Winlogbeat (where each Sysmon
field goes), and the documented fields of Elastic Defend's event streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from ruledeploy.fields import FieldTable
from ruledeploy.sigma.taxonomy_data import (
    DEFEND_CATEGORIES,
    DEFEND_FIELDS,
    SYSMON_CATEGORIES,
    SYSMON_CATEGORY_FIELDS,
    SYSMON_FIELDS,
    WINDOWS_SERVICES,
)
from ruledeploy.sigma.taxonomy_network import NETWORK_CATEGORIES, ZEEK_FIELDS, ZEEK_LOGS

SYSMON_PROVIDER = "Microsoft-Windows-Sysmon"
_EVENT_DATA = "winlog.event_data."
Condition = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """How a rule of one log source reads in one family.

    `names` maps a Sigma field to one or more fields (any of them may match). `condition` is what
    every event of the log source has; None when the family has no such events, for `refusal`.
    `prefix` is where fields that no one names stay under their own name. `hashes` prefixes `md5`,
    `sha1`, `sha256`; `imphash` is that field's whole name.
    """

    family: str
    names: Mapping[str, tuple[str, ...]]
    condition: Condition = field(default_factory=lambda: MappingProxyType({}))
    prefix: str = ""
    hashes: str = "process.hash."
    imphash: str = "process.pe.imphash"
    refusal: str | None = None

    def fields(self, name: str, table: FieldTable) -> tuple[str, ...]:
        """The fields that a rule's field name stands for."""
        mapped = self.names.get(name)
        if mapped is not None:
            return mapped
        if "." in name or name.startswith("@") or table.get(name) is not None:
            return (name,)
        return (f"{self.prefix}{name}",)


@cache
def taxonomy_for(
    family: str, product: str | None, category: str | None, service: str | None
) -> Taxonomy:
    """The taxonomy of a log source in a family."""
    if family.startswith("endpoint-"):
        return _defend(family, category)
    if family == "ecs" and product == "zeek":
        names = ZEEK_FIELDS | ZEEK_LOGS.get(service or "", {})
        return Taxonomy(family, _freeze(names), prefix=f"zeek.{service}." if service else "zeek.")
    if family == "ecs" and category in NETWORK_CATEGORIES:
        return Taxonomy(family, _freeze(SYSMON_FIELDS | NETWORK_CATEGORIES[category]))
    if product in {"windows", None} or family in {"sysmon-integration", "winlogbeat"}:
        return _windows(family, product, category, service)
    return Taxonomy(family, _freeze(SYSMON_FIELDS))


def _windows(
    family: str, product: str | None, category: str | None, service: str | None
) -> Taxonomy:
    names = SYSMON_FIELDS | SYSMON_CATEGORY_FIELDS.get(category or "", {})
    sysmon = family in {"sysmon-integration", "winlogbeat"}
    event_data = sysmon or (family == "ecs" and product == "windows")
    condition: dict[str, str | list[str]] = {}
    refusal = None
    if sysmon and category in SYSMON_CATEGORIES:
        codes = SYSMON_CATEGORIES[category]
        condition = {"event.provider": SYSMON_PROVIDER, "event.code": _one_or_many(codes)}
    elif event_data and service in WINDOWS_SERVICES:
        condition = {"winlog.channel": _one_or_many(WINDOWS_SERVICES[service])}
    elif family == "sysmon-integration" and category is not None:
        refusal = f"Sysmon writes no events of the category `{category}`"
    is_file = category in {"image_load", "driver_load"} or (category or "").startswith("file_")
    kind = "file" if is_file else "process"
    return Taxonomy(
        family,
        _freeze(names),
        MappingProxyType(condition),
        prefix=_EVENT_DATA if event_data else "",
        hashes=f"{kind}.hash.",
        imphash=f"{kind}.pe.imphash",
        refusal=refusal,
    )


def _defend(family: str, category: str | None) -> Taxonomy:
    names = DEFEND_FIELDS | ({"ImageLoaded": "dll.path"} if family == "endpoint-library" else {})
    families, condition = DEFEND_CATEGORIES.get(category or "", ((), {}))
    refusal = None
    if category in DEFEND_CATEGORIES and family not in families:
        refusal = f"events of the category `{category}` are not in {family}"
    elif category is not None and category not in DEFEND_CATEGORIES and category != "api":
        refusal = f"Elastic Defend has no events of the category `{category}` that we know"
    kind = {"endpoint-library": "dll", "endpoint-file": "file"}.get(family, "process")
    return Taxonomy(
        family,
        _freeze(names),
        MappingProxyType(condition),
        hashes=f"{kind}.hash.",
        imphash=f"{kind}.pe.imphash",
        refusal=refusal,
    )


def _one_or_many(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _freeze(names: Mapping[str, str | tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType(
        {name: (to,) if isinstance(to, str) else to for name, to in names.items()}
    )
