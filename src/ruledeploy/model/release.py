"""`Release`: the complete desired state of one environment.

Reproducible byte for byte from (files, environment, date). What is left of it knows nothing of
Kibana's live state; what is right of it knows nothing of YAML.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ruledeploy.model.finding import Finding
from ruledeploy.model.jsonvalue import JsonObject

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an object comes from: file, line, and the id it has in that file.

    `source_id` is a Sigma rule's id, an overlay's id, or `<overlay id>/<item id>`.
    """

    path: str
    line: int
    source_id: str


@dataclass(frozen=True, slots=True)
class DetectionRule:
    """A rule as `POST /api/detection_engine/rules` takes it.

    In `exceptions_list` each link carries the list's `list_id` as its `id` too: Kibana resolves
    links by `list_id`, and the uuid is known only once the list exists. Deploy fills it in.
    `replaces` is the `rule_id` of an older rule, whose enabled flag and own list carry over.
    """

    body: JsonObject
    family: str
    provenance: Provenance
    replaces: str | None = None

    @property
    def rule_id(self) -> str:
        """The stable id, kept across environments."""
        return str(self.body["rule_id"])

    @property
    def name(self) -> str:
        """The title analysts see."""
        return str(self.body["name"])

    @property
    def linked_lists(self) -> tuple[str, ...]:
        """`list_id` of every linked exception list, in order."""
        return tuple(link["list_id"] for link in self.body.get("exceptions_list", ()))


@dataclass(frozen=True, slots=True)
class ExceptionList:
    """A list as `POST /api/exception_lists` takes it."""

    body: JsonObject
    family: str
    provenance: Provenance

    @property
    def list_id(self) -> str:
        """The stable id that rules link."""
        return str(self.body["list_id"])


@dataclass(frozen=True, slots=True)
class ExceptionItem:
    """An item as `POST /api/exception_lists/items` takes it."""

    body: JsonObject
    provenance: Provenance

    @property
    def item_id(self) -> str:
        """The stable id; changed entries make a new one."""
        return str(self.body["item_id"])

    @property
    def list_id(self) -> str:
        """The list the item lies in."""
        return str(self.body["list_id"])


@dataclass(frozen=True, slots=True)
class ValueList:
    """A value list as `POST /api/lists` takes it, with its values in file order."""

    body: JsonObject
    values: tuple[str, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class PrebuiltLinks:
    """Lists that one of Elastic's prebuilt rules is to link, beside whatever it links already."""

    rule_id: str
    list_ids: tuple[str, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Release:
    """Everything one environment should hold; each sequence is sorted by id."""

    env: str
    date: str
    rules: tuple[DetectionRule, ...] = ()
    lists: tuple[ExceptionList, ...] = ()
    items: tuple[ExceptionItem, ...] = ()
    value_lists: tuple[ValueList, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    prebuilt: tuple[PrebuiltLinks, ...] = ()

    def items_of(self, rule: DetectionRule) -> tuple[ExceptionItem, ...]:
        """The items of every list that `rule` links."""
        linked = set(rule.linked_lists)
        return tuple(item for item in self.items if item.list_id in linked)

    def to_json(self) -> dict[str, Any]:
        """The fixed shape `{schema, env, date, rules, lists, items, value_lists, findings}`."""
        return {
            "schema": SCHEMA,
            "env": self.env,
            "date": self.date,
            "rules": [_rule_json(rule) for rule in self.rules],
            "lists": [asdict(list_) for list_ in self.lists],
            "items": [asdict(item) for item in self.items],
            "value_lists": [asdict(values) for values in self.value_lists],
            "findings": [finding.to_json() for finding in self.findings],
            **({"prebuilt": [asdict(links) for links in self.prebuilt]} if self.prebuilt else {}),
        }

    @staticmethod
    def from_json(value: JsonObject) -> Release:
        """The release whose `to_json` this is."""
        return Release(
            env=value["env"],
            date=value["date"],
            rules=tuple(
                DetectionRule(
                    r["body"], r["family"], Provenance(**r["provenance"]), r.get("replaces")
                )
                for r in value["rules"]
            ),
            lists=tuple(
                ExceptionList(x["body"], x["family"], Provenance(**x["provenance"]))
                for x in value["lists"]
            ),
            items=tuple(
                ExceptionItem(x["body"], Provenance(**x["provenance"])) for x in value["items"]
            ),
            value_lists=tuple(
                ValueList(x["body"], tuple(x["values"]), Provenance(**x["provenance"]))
                for x in value["value_lists"]
            ),
            findings=tuple(Finding.from_json(f) for f in value["findings"]),
            prebuilt=tuple(
                PrebuiltLinks(x["rule_id"], tuple(x["list_ids"]), Provenance(**x["provenance"]))
                for x in value.get("prebuilt", ())
            ),
        )


def _rule_json(rule: DetectionRule) -> dict[str, Any]:
    """Plain form; `replaces` is there only where a rule replaces another."""
    plain = asdict(rule)
    if rule.replaces is None:
        del plain["replaces"]
    return plain
