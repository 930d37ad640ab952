"""Who is there and what may I do: `/api/status`, privileges, features, the alerts index."""

from __future__ import annotations

from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.http import Answer, Call, Endpoint

_AVAILABLE = {"level": "available", "summary": "All services and plugins are available"}
_CORE = {
    "elasticsearch": {
        "level": "available",
        "summary": "Elasticsearch is available",
        "meta": {"warningNodes": [], "incompatibleNodes": []},
    },
    "savedObjects": {
        "level": "available",
        "summary": "SavedObjects service has completed migrations and is available",
        "meta": {"migratedIndices": {"migrated": 0, "skipped": 0, "patched": 0}},
    },
}
_INDEX_RIGHTS = (
    "all", "create", "create_doc", "create_index", "delete", "delete_index", "index", "maintenance",
    "manage", "monitor", "read", "view_index_metadata", "write",
)  # fmt: skip
_CLUSTER_RIGHTS = ("all", "manage", "manage_api_key", "manage_security", "monitor")
_READING = {"read", "view_index_metadata", "monitor"}


def status(stack: Stack, call: Call) -> Answer:
    """`GET /api/status`: strangers learn the level only."""
    if stack.auth.known(call.headers.get("authorization")) is None:
        return Answer({"status": {"overall": {"level": "available"}}})
    return Answer(
        {
            "name": "ruledeploy-stack",
            "uuid": stack.store.get_meta("uuid"),
            "version": {
                "number": stack.server.version,
                "build_hash": "0" * 40,
                "build_number": 1,
                "build_snapshot": False,
                "build_flavor": "traditional",
                "build_date": "2026-01-01T00:00:00.000Z",
            },
            "status": {
                "overall": _AVAILABLE,
                "core": _CORE,
                "plugins": dict.fromkeys(("alerting", "lists", "securitySolution"), _AVAILABLE),
            },
            "metrics": {},
        }
    )


def privileges(stack: Stack, call: Call) -> Answer:
    """`GET /api/detection_engine/privileges`: has_privileges plus two flags of Kibana's."""
    body = has_privileges(call, [f".alerts-security.alerts-{call.space}"])
    return Answer({**body, "is_authenticated": _is_known(stack, call), "has_encryption_key": True})


def _is_known(stack: Stack, call: Call) -> bool:
    """Whether the caller has shown who they are."""
    return stack.config.secured or call.caller.key is not None


def has_privileges(call: Call, indices: list[str]) -> dict[str, Any]:
    """Elasticsearch's answer about the rights of the caller's role."""
    writes = call.caller.may("write")
    return {
        "username": call.caller.name,
        "has_all_requested": writes,
        "cluster": {right: writes or right in _READING for right in _CLUSTER_RIGHTS},
        "index": {
            name: {right: writes or right in _READING for right in _INDEX_RIGHTS}
            for name in indices
        },
        "application": {},
    }


def list_privileges(stack: Stack, call: Call) -> Answer:
    """`GET /api/lists/privileges`."""
    return Answer(
        {
            "lists": has_privileges(call, [f".lists-{call.space}"]),
            "listItems": has_privileges(call, [f".items-{call.space}"]),
            "is_authenticated": _is_known(stack, call),
        }
    )


def alerts_index(stack: Stack, call: Call) -> Answer:
    """`GET /api/detection_engine/index`: where alerts are."""
    del stack
    name = f".alerts-security.alerts-{call.space}"
    return Answer({"name": name, "index_mapping_outdated": False})


def create_alerts_index(stack: Stack, call: Call) -> Answer:
    """`POST`: acknowledged; there is nothing to do."""
    del stack, call
    return Answer({"acknowledged": True})


def delete_alerts_index(stack: Stack, call: Call) -> Answer:
    """`DELETE`: there is no index of the old kind to delete; 404 with a bare text."""
    del stack
    return Answer(f'index: ".siem-signals-{call.space}" does not exist', 404)


def features(stack: Stack, call: Call) -> Answer:
    """`GET /api/features`: the Kibana features that roles are made of (an excerpt)."""
    del stack, call
    names = (("siemV5", "Security"), ("securitySolutionRulesV4", "Rules"), ("actions", "Actions"))
    return Answer(
        [
            {
                "id": name,
                "name": title,
                "category": {"id": "securitySolution", "label": "Security"},
                "privileges": {"all": {}, "read": {}},
            }
            for name, title in names
        ]
    )


def me(stack: Stack, call: Call) -> Answer:
    """`GET /internal/security/me`: the user behind the credentials."""
    del stack
    caller = call.caller
    return Answer(
        {
            "username": caller.name,
            "roles": [caller.role],
            "enabled": True,
            "authentication_realm": {"name": caller.realm, "type": caller.realm},
            "authentication_type": "api_key" if caller.key else "realm",
        }
    )


ROUTES = (
    Endpoint("GET", "/api/status", status, "open"),
    Endpoint("GET", "/api/detection_engine/privileges", privileges),
    Endpoint("GET", "/api/lists/privileges", list_privileges, "read", "lists-read"),
    Endpoint("GET", "/api/detection_engine/index", alerts_index),
    Endpoint("POST", "/api/detection_engine/index", create_alerts_index, "write"),
    Endpoint("DELETE", "/api/detection_engine/index", delete_alerts_index, "write"),
    Endpoint("GET", "/api/features", features),
    Endpoint("GET", "/internal/security/me", me),
)
