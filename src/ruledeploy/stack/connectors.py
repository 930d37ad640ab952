"""Connectors and data views: kept, listed, never called."""

from __future__ import annotations

import uuid
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.coreschema import body_of, checked
from ruledeploy.stack.errors import Refusal, platform
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.store import Kind, Saved

_CONNECTOR = "/api/actions/connector"
_VIEW = "/api/data_views/data_view"


def list_connectors(stack: Stack, call: Call) -> Answer:
    """`GET /api/actions/connectors`."""
    found = stack.store.all("connector", call.space)
    return Answer([{**saved.body, "referenced_by_count": 0} for saved in found])


def create_connector(stack: Stack, call: Call) -> Answer:
    """`POST /api/actions/connector[/{id}]`; secrets are taken and forgotten."""
    required = {"name": "string", "connector_type_id": "string"}
    sent = body_of(call, required, {"config": "object", "secrets": "object"})
    connector_id = call.params.get("id") or str(uuid.uuid4())
    if stack.store.get("connector", call.space, connector_id) is not None:
        raise platform(409, f"Saved object [action/{connector_id}] conflict")
    body = {
        "id": connector_id,
        "name": sent["name"],
        "connector_type_id": sent["connector_type_id"],
        "config": sent.get("config", {}),
        "is_preconfigured": False,
        "is_deprecated": False,
        "is_system_action": False,
        "is_missing_secrets": False,
    }
    stack.store.put(Saved("connector", call.space, connector_id, connector_id, body))
    return Answer(body)


def read_connector(stack: Stack, call: Call) -> Answer:
    """`GET /api/actions/connector/{id}`."""
    return Answer(_existing(stack, call, "connector", "action").body)


def update_connector(stack: Stack, call: Call) -> Answer:
    """`PUT /api/actions/connector/{id}`: name and configuration."""
    found = _existing(stack, call, "connector", "action")
    sent = body_of(call, {"name": "string"}, {"config": "object", "secrets": "object"})
    body = found.body | {key: sent[key] for key in ("name", "config") if key in sent}
    stack.store.put(Saved("connector", found.space, found.id, found.key, body))
    return Answer(body)


def delete_connector(stack: Stack, call: Call) -> Answer:
    """`DELETE /api/actions/connector/{id}`; 204."""
    stack.store.delete(_existing(stack, call, "connector", "action"))
    return Answer(status=204)


def list_views(stack: Stack, call: Call) -> Answer:
    """`GET /api/data_views`."""
    found = stack.store.all("data_view", call.space)
    return Answer({"data_view": [_brief(saved.body) for saved in found]})


def _brief(body: dict[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("id", "title", "name", "namespaces") if key in body}


def create_view(stack: Stack, call: Call) -> Answer:
    """`POST /api/data_views/data_view`."""
    sent = body_of(call, {"data_view": "object"}, {})["data_view"]
    optional = {"id": "string", "name": "string", "timeFieldName": "string"}
    given = checked(sent, "request body.data_view", {"title": "string"}, optional)
    view_id = given.get("id") or str(uuid.uuid4())
    if stack.store.get("data_view", call.space, view_id) is not None:
        raise platform(400, f"Duplicate data view: {view_id}")
    body = {
        "id": view_id,
        "title": given["title"],
        "name": given.get("name", given["title"]),
        "timeFieldName": given.get("timeFieldName", "@timestamp"),
        "namespaces": [call.space],
    }
    stack.store.put(Saved("data_view", call.space, view_id, given["title"], body))
    return Answer({"data_view": body})


def read_view(stack: Stack, call: Call) -> Answer:
    """`GET /api/data_views/data_view/{id}`."""
    return Answer({"data_view": _existing(stack, call, "data_view", "index-pattern").body})


def delete_view(stack: Stack, call: Call) -> Answer:
    """`DELETE /api/data_views/data_view/{id}`."""
    stack.store.delete(_existing(stack, call, "data_view", "index-pattern"))
    return Answer({})


def _existing(stack: Stack, call: Call, kind: Kind, type_name: str) -> Saved:
    found = stack.store.get(kind, call.space, call.params["id"])
    if found is None:
        raise _absent(type_name, call.params["id"])
    return found


def _absent(type_name: str, object_id: str) -> Refusal:
    return platform(404, f"Saved object [{type_name}/{object_id}] not found")


ROUTES = (
    Endpoint("GET", "/api/actions/connectors", list_connectors),
    Endpoint("POST", _CONNECTOR, create_connector, "write"),
    Endpoint("POST", f"{_CONNECTOR}/{{id}}", create_connector, "write"),
    Endpoint("GET", f"{_CONNECTOR}/{{id}}", read_connector),
    Endpoint("PUT", f"{_CONNECTOR}/{{id}}", update_connector, "write"),
    Endpoint("DELETE", f"{_CONNECTOR}/{{id}}", delete_connector, "write"),
    Endpoint("GET", "/api/data_views", list_views),
    Endpoint("POST", _VIEW, create_view, "write"),
    Endpoint("GET", f"{_VIEW}/{{id}}", read_view),
    Endpoint("DELETE", f"{_VIEW}/{{id}}", delete_view, "write"),
)
