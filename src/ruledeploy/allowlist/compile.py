"""Overlays of one environment → exception lists, items, and which rule links which list."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ruledeploy.allowlist.entries import Entries, Entry, compile_entries, verbatim_findings
from ruledeploy.allowlist.overlay import Overlay, OverlayItem
from ruledeploy.allowlist.policy import expired, item_findings
from ruledeploy.allowlist.targets import KnownRule, target_rules
from ruledeploy.allowlist.values import ValueFile, ValueLists
from ruledeploy.allowlist.verbatim import KibanaItem, KibanaList
from ruledeploy.errors import Collector, OverlayError
from ruledeploy.fields import table_of
from ruledeploy.model import (
    Environment,
    ExceptionItem,
    ExceptionList,
    Finding,
    PrebuiltLinks,
    Provenance,
    ValueList,
    digest,
)

# What Elastic's rules search is not known here; all of it has these fields.
PREBUILT_FAMILY = "ecs"
# Every id we make is a uuid5 below this one.
NAMESPACE = uuid.UUID("6f0d3a58-9f0b-5c39-8d0a-2f6b5e1f7c11")


@dataclass(frozen=True, slots=True)
class Allowlist:
    """The desired exceptions of one environment; `links` maps a `rule_id` to its lists."""

    lists: tuple[ExceptionList, ...] = ()
    items: tuple[ExceptionItem, ...] = ()
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    value_lists: tuple[ValueList, ...] = ()
    prebuilt: tuple[PrebuiltLinks, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What every object of one environment carries: project, environment, and the day."""

    project: str
    env: Environment
    today: date

    @property
    def marker(self) -> str:
        """The tag that says an object is ours."""
        return f"ruledeploy:{self.project}:{self.env.name}"


def compile_overlays(
    overlays: Sequence[Overlay],
    rules: Sequence[KnownRule],
    scope: Scope,
    files: Mapping[str, ValueFile] | None = None,
) -> Allowlist:
    """Lists, items and links for the overlays that are in force.

    One list per overlay and telemetry family of the rules it names, since entries depend on the
    field table; `files` are the value lists that items may name. Expired items are left out and
    reported. Raises `OverlayError` or `Problems`.
    """
    collector = Collector()
    lists = ValueLists(files or {}, scope.project, scope.marker)
    builder = _Builder(scope, collector, lists)
    for overlay in overlays:
        with collector.collect():
            named, findings = target_rules(overlay, rules)
            builder.findings += findings
            builder.overlay(overlay, named)
    collector.raise_if_any()
    return builder.finished()


class _Builder:
    """Gathers the objects of one environment."""

    def __init__(self, scope: Scope, collector: Collector, values: ValueLists) -> None:
        self.scope = scope
        self.values = values
        self.collector = collector
        self.lists: list[ExceptionList] = []
        self.items: list[ExceptionItem] = []
        self.links: dict[str, list[str]] = {}
        self.findings: list[Finding] = []
        self.prebuilt: dict[str, tuple[list[str], Provenance]] = {}

    def finished(self) -> Allowlist:
        """Everything, sorted by id, findings once each."""
        return Allowlist(
            lists=tuple(sorted(self.lists, key=lambda each: each.list_id)),
            items=tuple(sorted(self.items, key=lambda each: (each.list_id, each.item_id))),
            links={rule: tuple(sorted(lists)) for rule, lists in sorted(self.links.items())},
            value_lists=self.values.finished(),
            prebuilt=tuple(
                PrebuiltLinks(rule_id, tuple(sorted(set(lists))), place)
                for rule_id, (lists, place) in sorted(self.prebuilt.items())
            ),
            findings=tuple(dict.fromkeys([*self.findings, *self.values.unused()])),
        )

    def overlay(self, overlay: Overlay, rules: Sequence[KnownRule]) -> None:
        """The lists of one overlay, one for each family of the rules it names.

        A list whose id Kibana gave is one list whatever the families.
        """
        for item in overlay.items:
            self.findings += item_findings(item, self.scope.env.policy, self.scope.today)
        compiled = [pair for rule in rules for pair in rule.compiled]
        families = sorted({family for _, family in compiled})
        if overlay.prebuilt and not families:
            families = [PREBUILT_FAMILY]
        given = overlay.kibana.list_id if overlay.kibana else None
        if given is not None:
            self._refuse_two_families(overlay, families)
            families = families[:1]
        for family in families:
            list_id = given or f"rd-{self.scope.project}-{overlay.id}-{family}"
            self.lists.append(self._list(overlay, family, list_id))
            for rule_id, place in overlay.prebuilt or ():
                source = Provenance(place.path, place.line, overlay.id)
                self.prebuilt.setdefault(rule_id, ([], source))[0].append(list_id)
            for rule_id, rule_family in compiled:
                if given or rule_family == family:
                    self.links.setdefault(rule_id, []).append(list_id)
            for item in overlay.items:
                only = item.kibana.list_id if item.kibana else None
                if only in {None, list_id}:
                    with self.collector.collect():
                        self._item(overlay, item, family, list_id)

    def _refuse_two_families(self, overlay: Overlay, families: Sequence[str]) -> None:
        """One list cannot hold what `match` becomes for two field tables."""
        for item in overlay.items:
            if item.match and len(families) > 1:
                message = f"{item.id!r} means something else for {' and '.join(families)}"
                hint = "write its entries under `kibana`, or drop the overlay's `kibana.list_id`"
                self.collector.add(OverlayError(message, location=item.location, hint=hint))

    def _list(self, overlay: Overlay, family: str, list_id: str) -> ExceptionList:
        title = overlay.title or overlay.id
        given = overlay.kibana or KibanaList()
        kept = f"Kept in {overlay.location.path} by ruledeploy; edit it there."
        body: dict[str, Any] = {
            "list_id": list_id,
            "name": title if given.name is None else given.name,
            "description": kept if given.description is None else given.description,
            "type": given.type,
            "namespace_type": "single",
            "tags": [*(given.tags or ()), self.scope.marker],
        }
        if given.meta is not None:
            body["meta"] = given.meta
        place = Provenance(overlay.location.path, overlay.location.line, overlay.id)
        return ExceptionList(body, family, place)

    def _item(self, overlay: Overlay, item: OverlayItem, family: str, list_id: str) -> None:
        if expired(item, self.scope.today):
            return
        given = item.kibana or KibanaItem()
        table = table_of(family, self.scope.env.tables)
        try:
            if given.entries:
                said = verbatim_findings(given.entries, table, item.location)
                entries = Entries((tuple(dict(one) for one in given.entries),), tuple(said))
            else:
                entries = compile_entries(item.match, item.exclude, table, self.values)
        except OverlayError as error:
            if error.location is None:
                error.location = item.location
            raise
        self.findings += entries.findings
        numbered = len(entries.alternatives) > 1
        if numbered and given.item_id:
            raise OverlayError(
                f"{item.id!r} becomes {len(entries.alternatives)} items, and kibana.item_id is one",
                location=item.location,
                hint="write its entries under `kibana`, or drop kibana.item_id",
            )
        for n, alternative in enumerate(entries.alternatives, start=1):
            suffix = f"#{n}" if numbered else ""
            source = f"{overlay.id}/{item.id}"
            key = (self.scope.project, overlay.id, item.id + suffix, family)
            body = self._item_body(item, alternative, list_id)
            body["item_id"] = given.item_id or _item_id(key, alternative, item.os)
            body["name"] = given.name or f"{item.name} {suffix}".strip()
            place = Provenance(item.location.path, item.location.line, source)
            self.items.append(ExceptionItem(body, place))

    def _item_body(
        self, item: OverlayItem, entries: tuple[Entry, ...], list_id: str
    ) -> dict[str, Any]:
        given = item.kibana or KibanaItem()
        tags = [self.scope.marker]
        if given.tags is not None:
            tags += given.tags
        else:
            tags += [f"owner:{item.owner}"] if item.owner else []
            tags += [f"ticket:{item.ticket}"] if item.ticket else []
        body: dict[str, Any] = {
            "list_id": list_id,
            "type": "simple",
            "namespace_type": "single",
            "description": _description(item) if given.description is None else given.description,
            "entries": list(entries),
            "os_types": list(item.os),
            "tags": tags,
        }
        if given.meta is not None:
            body["meta"] = given.meta
        if item.expires is not None:
            body["expire_time"] = (
                f"{item.expires:%Y-%m-%dT%H:%M:%S}.{item.expires.microsecond // 1000:03d}Z"
            )
        return body


def _item_id(key: tuple[str, ...], entries: tuple[Entry, ...], os: tuple[str, ...]) -> str:
    """Changed entries give a new id, so old and new can stand side by side while a rule changes."""
    content = digest({"entries": entries, "os": os})
    return str(uuid.uuid5(NAMESPACE, "/".join((*key, content))))


def _description(item: OverlayItem) -> str:
    facts = [
        ("Owner", item.owner),
        ("Ticket", item.ticket),
        ("Review by", item.review_by.isoformat() if item.review_by else None),
        ("Source", item.location.path),
    ]
    known = " · ".join(f"{name}: {value}" for name, value in facts if value)
    return f"{item.reason}\n\n{known}" if item.reason else known
