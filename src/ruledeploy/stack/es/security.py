"""`_security`: who am I, which keys are there, what may I do."""

from __future__ import annotations

import base64
import secrets
import uuid
from datetime import timedelta
from typing import Any

from ruledeploy.stack.auth import ANYBODY
from ruledeploy.stack.clock import duration
from ruledeploy.stack.config import ApiKey
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es.docs import json_object
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.status import has_privileges


def authenticate(stack: Stack, call: Call) -> Answer:
    """`GET /_security/_authenticate`: the realm tells an API key from a user."""
    del stack
    caller = call.caller
    realm = {"name": caller.realm, "type": caller.realm}
    body: dict[str, Any] = {
        "username": caller.name,
        "roles": [] if caller.key else [caller.role],
        "full_name": None,
        "email": None,
        "metadata": {"_reserved": True} if caller.name == ANYBODY.name else {},
        "enabled": True,
        "authentication_realm": realm,
        "lookup_realm": realm,
        "authentication_type": "api_key" if caller.key else "realm",
    }
    if caller.key is not None:
        body["api_key"] = {"id": caller.key.id, "name": caller.key.name}
    return Answer(body)


def create_key(stack: Stack, call: Call) -> Answer:
    """`POST|PUT /_security/api_key`: the new key has the caller's role.

    Of `role_descriptors` only the indices to read are heeded, by rules that run with the key.
    """
    body = json_object(call)
    expiration = body.get("expiration")
    try:
        length: timedelta | None = duration(expiration) if expiration else None
    except (TypeError, ValueError) as error:
        raise elastic(
            400,
            "parse_exception",
            f"failed to parse setting [expiration] with value [{expiration}]",
        ) from error
    key = ApiKey(
        id=uuid.uuid4().hex[:20],
        secret=secrets.token_urlsafe(16),
        name=body.get("name", "key"),
        role=call.caller.role,
        expires=stack.clock.now() + length if length else None,
        indices=_readable(body.get("role_descriptors") or {}),
    )
    stack.auth.save_key(key)
    answer: dict[str, Any] = {
        "id": key.id,
        "name": key.name,
        "api_key": key.secret,
        "encoded": base64.b64encode(f"{key.id}:{key.secret}".encode()).decode(),
    }
    if key.expires:
        answer["expiration"] = int(key.expires.timestamp() * 1000)
    return Answer(answer)


def _readable(descriptors: dict[str, Any]) -> tuple[str, ...]:
    """The patterns that roles may read; without any role, everything."""
    granted = [entry for role in descriptors.values() for entry in _index_rights(role)]
    names = [
        name
        for entry in granted
        if {"read", "all"} & set(entry.get("privileges", ()))
        for name in ([entry["names"]] if isinstance(entry["names"], str) else entry["names"])
    ]
    return tuple(names) if descriptors else ("*",)


def _index_rights(role: dict[str, Any]) -> list[dict[str, Any]]:
    return list(role.get("indices", role.get("index", ())))


def read_key(stack: Stack, call: Call) -> Answer:
    """`GET /_security/api_key?id=`: name and expiry, never the secret."""
    key_id = call.query.get("id") or (call.caller.key.id if call.caller.key else "")
    key = stack.auth.key(key_id)
    if key is None:
        return Answer({"api_keys": []})
    shown: dict[str, Any] = {
        "id": key.id,
        "name": key.name,
        "creation": 0,
        "invalidated": False,
        "username": "elastic",
        "realm": "native1",
        "metadata": {},
    }
    if key.expires:
        shown["expiration"] = int(key.expires.timestamp() * 1000)
    return Answer({"api_keys": [shown]})


def drop_key(stack: Stack, call: Call) -> Answer:
    """`DELETE /_security/api_key` with `ids`."""
    ids = json_object(call).get("ids", [])
    gone = [key_id for key_id in ids if stack.auth.drop_key(key_id)]
    return Answer(
        {"invalidated_api_keys": gone, "previously_invalidated_api_keys": [], "error_count": 0}
    )


def rights(stack: Stack, call: Call) -> Answer:
    """`_has_privileges`: by the caller's role."""
    del stack
    asked = json_object(call)
    names = [name for entry in asked.get("index", ()) for name in entry["names"]]
    return Answer({**has_privileges(call, names), "application": _applications(call, asked)})


def _applications(call: Call, asked: dict[str, Any]) -> dict[str, Any]:
    """Kibana's features: a writer has all of each, a reader its `.read`."""
    writes = call.caller.may("write")
    return {
        one["application"]: {
            resource: {name: writes or name.endswith(".read") for name in one["privileges"]}
            for resource in one["resources"]
        }
        for one in asked.get("application", ())
    }


_HAS = "/_security/user/_has_privileges"
ROUTES = (
    Endpoint("GET", "/_security/_authenticate", authenticate),
    Endpoint("POST", "/_security/api_key", create_key, "write"),
    Endpoint("PUT", "/_security/api_key", create_key, "write"),
    Endpoint("GET", "/_security/api_key", read_key),
    Endpoint("DELETE", "/_security/api_key", drop_key, "write"),
    Endpoint("GET", _HAS, rights),
    Endpoint("POST", _HAS, rights),
)
