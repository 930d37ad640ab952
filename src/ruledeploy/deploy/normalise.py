"""Bodies made comparable: what the server owns is gone, what it would fill in is there.

Two bodies mean the same to Kibana exactly when `comparable` gives equal values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from ruledeploy.deploy.objects import Kind
from ruledeploy.model import JsonObject, canonical, digest

ChangeClass = Literal["detection", "cosmetic"]

_COMMON = frozenset(
    {"id", "created_at", "created_by", "updated_at", "updated_by", "immutable", "tie_breaker_id"}
)
_LIST = _COMMON | {"_version", "version", "os_types"}  # a PUT of a list never writes os_types
SERVER_OWNED: dict[Kind, frozenset[str]] = {
    "rule": _COMMON
    | {
        "revision",
        "rule_source",
        "execution_summary",
        "outcome",
        "alias_target_id",
        "alias_purpose",
        "throttle",  # accepted, never returned
    },
    "list": _LIST,
    "item": _COMMON | {"_version", "comments"},
    "value_list": _COMMON | {"_version", "version", "@timestamp", "serializer", "deserializer"},
    "prebuilt": frozenset({"name", "immutable"}),
}

# What Kibana stores when a create or a PUT says nothing. `enabled` and `version` are not here:
# a PUT without them keeps what is stored, so silence means "as it is".
_RULE_DEFAULTS: dict[str, Any] = {
    "interval": "5m",
    "from": "now-6m",
    "to": "now",
    "max_signals": 100,
    "setup": "",
    "output_index": "",
    "risk_score_mapping": [],
    "severity_mapping": [],
    "exceptions_list": [],
    "false_positives": [],
    "actions": [],
    "related_integrations": [],
    "required_fields": [],
    "references": [],
    "threat": [],
    "tags": [],
    "author": [],
}
_TYPE_DEFAULTS: dict[str, dict[str, Any]] = {
    "query": {"language": "kuery", "query": ""},
    "saved_query": {"language": "kuery"},
    "threshold": {"language": "kuery"},
    "new_terms": {"language": "kuery"},
    "threat_match": {"language": "kuery", "threat_indicator_path": "threat.indicator"},
    "eql": {"language": "eql"},
    "esql": {"language": "esql"},
}
_DEFAULTS: dict[Kind, dict[str, Any]] = {
    "rule": _RULE_DEFAULTS,
    "list": {"tags": [], "namespace_type": "single"},
    "item": {"tags": [], "os_types": [], "namespace_type": "single"},
    "value_list": {},
    "prebuilt": {},
}

# Fields whose change moves no alert. A field that is not named here counts as detection.
_COSMETIC: dict[Kind, frozenset[str]] = {
    "rule": frozenset(
        {
            "name",
            "description",
            "tags",
            "note",
            "setup",
            "references",
            "false_positives",
            "author",
            "license",
            "meta",
            "threat",
            "version",
            "related_integrations",
            "required_fields",
            "investigation_fields",
            "timeline_id",
            "timeline_title",
        }
    ),
    "list": frozenset({"name", "description", "tags", "meta"}),
    "item": frozenset({"name", "description", "tags", "meta"}),
    "value_list": frozenset({"name", "description", "meta"}),
    "prebuilt": frozenset(),
}


def normalise(kind: Kind, body: JsonObject) -> dict[str, Any]:
    """The body with server-owned and null fields gone and Kibana's defaults filled in."""
    defaults = dict(_DEFAULTS[kind])
    if kind == "rule":
        defaults |= _TYPE_DEFAULTS.get(str(body.get("type")), {})
    given = {
        field: value
        for field, value in body.items()
        if field not in SERVER_OWNED[kind] and value is not None
    }
    return {**defaults, **given}


def comparable(field: str, value: Any) -> Any:
    """A field's value with everything gone that means nothing: order, server's additions."""
    match field:
        case "tags" | "index" | "os_types" | "values":
            return sorted(value)
        case "exceptions_list":
            # Kibana resolves links by these two at run time; `id` may be anything.
            return sorted([link["list_id"], link["namespace_type"]] for link in value)
        case "entries":
            return sorted((_entry(entry) for entry in value), key=canonical)
        case "expire_time":
            return instant(value)
        case "actions":
            return sorted((_action(action) for action in value), key=canonical)
        case "required_fields":
            return [{"name": one.get("name"), "type": one.get("type")} for one in value]
        case _:
            return value


def same(field: str, one: Any, other: Any) -> bool:
    """True when two values of a field mean the same to Kibana."""
    # Nearly all are equal as they are, and most plans change nearly nothing.
    return bool(one == other or comparable(field, one) == comparable(field, other))


def differing(kind: Kind, one: JsonObject, other: JsonObject) -> tuple[str, ...]:
    """Names of the fields in which two bodies differ in meaning, sorted."""
    left, right = normalise(kind, one), normalise(kind, other)
    fields = sorted(left.keys() | right.keys())
    return tuple(
        field
        for field in fields
        if (field in left) != (field in right)
        or (field in left and not same(field, left[field], right[field]))
    )


def fingerprint(kind: Kind, live: JsonObject | None) -> str | None:
    """What identifies a live object as read, down to analysts' comments; None for no object.

    Who touched it last and how its runs went are left out: they move by themselves.
    """
    if live is None:
        return None
    body = {name: comparable(name, value) for name, value in normalise(kind, live).items()}
    identity = {name: live.get(name) for name in ("id", "_version", "comments")}
    return digest([body, identity])


def change_class(kind: Kind, fields: tuple[str, ...]) -> ChangeClass:
    """`detection` when one of the fields can move an alert."""
    cosmetic = set(fields) <= _COSMETIC[kind]
    return "cosmetic" if cosmetic else "detection"


def instant(text: str) -> str:
    """An ISO date-time as UTC with milliseconds, which is how Kibana prints it."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return text
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return parsed.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(entry)
    if isinstance(result.get("value"), list):
        result["value"] = sorted(result["value"])
    if "entries" in result:
        result["entries"] = sorted((_entry(one) for one in result["entries"]), key=canonical)
    return result


_DEFAULT_FREQUENCY = {"summary": True, "notifyWhen": "onActiveAlert", "throttle": None}


def _action(action: Mapping[str, Any]) -> dict[str, Any]:
    result = {name: value for name, value in action.items() if name != "uuid"}
    if result.get("frequency") == _DEFAULT_FREQUENCY:
        del result["frequency"]
    return result
