"""One live rule → its file: what Sigma and the `elastic:` block can say, as they say it.

What they cannot say goes into `elastic.kibana` as it is. Which fields those are is not guessed:
the file is compiled, and whatever then differs is laid over it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from ruledeploy.allowlist.compile import NAMESPACE
from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.normalise import normalise, same
from ruledeploy.deploy.objects import Owner
from ruledeploy.model import JsonObject
from ruledeploy.sigma.load import today
from ruledeploy.yamledit import plain

# Never written: the server's bookkeeping, links (overlays say those), and what a push keeps.
_NOT_KEPT = frozenset({"exceptions_list", "meta", "version", "rule_id", "query", "language"})
_LEVELS = ("low", "medium", "high", "critical")
_RISK = {"low": 21, "medium": 47, "high": 73, "critical": 99}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Kibana's field → the key that says it, at the top of the file …
_TOP = {"name": "title", "description": "description", "references": "references",
        "false_positives": "falsepositives", "license": "license"}  # fmt: skip
# … or in the `elastic:` block.
_BLOCK = frozenset(
    {
        "query", "language", "index", "max_signals", "setup", "note", "threshold",
        "new_terms_fields", "history_window_start", "alert_suppression", "timestamp_override",
        "severity_mapping", "risk_score_mapping",
    }
)  # fmt: skip
# What Kibana assumes as well, so that files need not say it.
_USUAL = (("max_signals", 100),)
# Types that need no saying, and those that the block can name.
_TYPES = ("eql", "esql", "threshold", "new_terms")


def rule_file_id(rule_id: str) -> str:
    """The Sigma id of a pulled rule: its rule_id when that is a UUID, else one made of it."""
    try:
        if str(uuid.UUID(rule_id)) == rule_id:
            return rule_id
    except ValueError:
        pass
    return str(uuid.uuid5(NAMESPACE, f"rule/{rule_id}"))


def new_rule(live: JsonObject, owner: Owner, environments: Sequence[str]) -> dict[str, Any]:
    """The document of a rule that no file knows; hand-written, since Sigma has no say in it."""
    body = normalise("rule", unmarked("rule", live, owner))
    document: dict[str, Any] = {
        "title": body["name"],
        "id": rule_file_id(str(body["rule_id"])),
        "status": "experimental",
        "description": body["description"],
    }
    block: dict[str, Any] = {}
    if environments:
        block["environments"] = list(environments)
    if body["type"] in _TYPES:
        block["type"] = body["type"]
    block["language"] = body.get("language", "kuery")
    block["query"] = body.get("query", "")
    document["elastic"] = block
    said = {"name", "description", "query", "language"}
    fields = [name for name in body if name not in said and (name, body[name]) not in _USUAL]
    set_fields(document, body, fields)
    if body["rule_id"] != document["id"]:
        block.setdefault("kibana", {})["rule_id"] = body["rule_id"]
    document["elastic"] = document.pop("elastic")  # last: what people read first comes first
    return document


def set_fields(document: MutableMapping[str, Any], live: JsonObject, fields: Sequence[str]) -> None:
    """Say these live fields in a rule's document, where a key of ours can say them."""
    for field in fields:
        value = live.get(field)
        empty = value in (None, "", [], {})
        if field in _TOP and not empty:
            document[_TOP[field]] = plain(value)
        elif field == "note" and not empty and str(value) != str(value).strip():
            continue  # the compiler would trim it
        elif field in _BLOCK and empty:
            _block(document).pop(field, None)
        elif field in _BLOCK:
            _block(document)[field] = plain(value)
        elif field in _SPECIAL:
            _SPECIAL[field](document, live)


def _block(document: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if document.get("elastic") is None:
        document["elastic"] = plain({})
    block: MutableMapping[str, Any] = document["elastic"]
    return block


def _severity(document: MutableMapping[str, Any], live: JsonObject) -> None:
    if live["severity"] in _LEVELS:
        document["level"] = live["severity"]
        if live.get("risk_score") == _RISK[live["severity"]]:
            _block(document).pop("risk_score", None)


def _risk_score(document: MutableMapping[str, Any], live: JsonObject) -> None:
    if live["risk_score"] != _RISK.get(str(live["severity"])):
        _block(document)["risk_score"] = live["risk_score"]


def _tags(document: MutableMapping[str, Any], live: JsonObject) -> None:
    tags = live.get("tags") or []
    if tags and all(today(tag) == tag for tag in tags):
        document["tags"] = plain(tags)


def _author(document: MutableMapping[str, Any], live: JsonObject) -> None:
    if live.get("author"):
        document["author"] = plain(", ".join(live["author"]))


def _enabled(document: MutableMapping[str, Any], live: JsonObject) -> None:
    if not live["enabled"]:
        _block(document)["enabled"] = False
    else:
        _block(document).pop("enabled", None)


def _schedule(document: MutableMapping[str, Any], live: JsonObject) -> None:
    """`interval` and `from` as interval and look-back, where whole units say it."""
    interval = str(live["interval"])
    ago = re.fullmatch(r"now-(\d+)([smhd])", str(live["from"]))
    if not re.fullmatch(r"[1-9]\d*[smhd]", interval):
        return
    _block(document)["interval"] = interval
    if ago:
        extra = int(ago[1]) * _SECONDS[ago[2]] - int(interval[:-1]) * _SECONDS[interval[-1]]
        if extra > 0:
            unit = next(unit for unit in "hms" if extra % _SECONDS[unit] == 0)
            _block(document)["lookback"] = f"{extra // _SECONDS[unit]}{unit}"


def _investigation(document: MutableMapping[str, Any], live: JsonObject) -> None:
    names = (live.get("investigation_fields") or {}).get("field_names")
    if names:
        _block(document)["investigation_fields"] = plain(names)


def _building_block(document: MutableMapping[str, Any], live: JsonObject) -> None:
    if live.get("building_block_type") == "default":
        _block(document)["building_block"] = True


_SPECIAL: Mapping[str, Callable[[MutableMapping[str, Any], JsonObject], None]] = {
    "severity": _severity,
    "risk_score": _risk_score,
    "tags": _tags,
    "author": _author,
    "enabled": _enabled,
    "interval": _schedule,
    "from": _schedule,
    "investigation_fields": _investigation,
    "building_block_type": _building_block,
}


def rule_gaps(live: JsonObject, compiled: JsonObject, owner: Owner) -> list[str]:
    """Fields in which what the file becomes is not what is live, our marks and links apart.

    A field of a newer server that no file could know is none.
    """
    have, want = (normalise("rule", unmarked("rule", body, owner)) for body in (live, compiled))
    known = _KNOWN | want.keys()
    return sorted(
        field
        for field in have.keys() | want.keys()
        if field in known
        and (field not in _NOT_KEPT or field in {"query", "language"})
        and not _alike(field, have, want)
    )


def _alike(field: str, one: JsonObject, other: JsonObject) -> bool:
    if (field in one) != (field in other):
        return False
    return field not in one or same(field, one[field], other[field])


def lay_over(document: MutableMapping[str, Any], live: JsonObject, fields: Sequence[str]) -> bool:
    """Say fields verbatim in `elastic.kibana`; False when one may not be said there."""
    if not {"query", "language", "enabled"}.isdisjoint(fields):
        return False
    block = _block(document)
    if block.get("kibana") is None:
        block["kibana"] = plain({})
    for field in fields:
        block["kibana"][field] = plain(live.get(field))
    return True


# Everything that Kibana 8.19 to 9.5 takes for a rule and that may be told apart.
_KNOWN = frozenset(
    {
        "name", "description", "severity", "risk_score", "tags", "enabled", "interval", "from",
        "to", "type", "query", "language", "index", "data_view_id", "filters", "max_signals",
        "author", "license", "references", "false_positives", "threat", "note", "setup",
        "threshold", "new_terms_fields", "history_window_start", "alert_suppression",
        "timestamp_override",
        "timestamp_override_fallback_disabled", "building_block_type", "investigation_fields",
        "severity_mapping", "risk_score_mapping", "rule_name_override", "timeline_id",
        "timeline_title", "related_integrations", "required_fields", "response_actions", "actions",
        "saved_id", "event_category_override", "tiebreaker_field", "timestamp_field",
        "threat_query", "threat_mapping", "threat_index", "threat_language", "threat_filters",
        "threat_indicator_path", "concurrent_searches", "items_per_search", "output_index",
        "namespace",
    }
)  # fmt: skip
