"""Kibana's requests as data: every path is written here and nowhere else.

A plan holds these, so what a reviewer reads is what goes over the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.model import JsonObject


@dataclass(frozen=True, slots=True)
class Request:
    """One request inside a space: `path` without the space's prefix, `query` unescaped.

    `upload` is the content of a text file, sent as a form instead of a body.
    """

    method: str
    path: str
    query: Mapping[str, str | int | bool] = field(default_factory=dict)
    body: JsonObject | None = None
    upload: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form `{method, path, query, body}`, and `upload` where there is one."""
        uploaded = {} if self.upload is None else {"upload": self.upload}
        return {
            "method": self.method,
            "path": self.path,
            "query": dict(self.query),
            "body": self.body,
            **uploaded,
        }

    @staticmethod
    def from_json(value: JsonObject) -> Request:
        """The request whose `to_json` this is."""
        return Request(
            value["method"], value["path"], value["query"], value["body"], value.get("upload")
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of object: where it lives, the field that holds its stable id, fixed parameters."""

    path: str
    id_field: str
    query: Mapping[str, str | int | bool] = field(default_factory=dict)

    def get(self, id_: str) -> Request:
        """Read one object by its stable id."""
        return Request("GET", self.path, {self.id_field: id_, **self.query})

    def create(self, body: JsonObject) -> Request:
        """Create from a complete body."""
        return Request("POST", self.path, body=body)

    def update(self, body: JsonObject) -> Request:
        """Replace the object that the body names."""
        return Request("PUT", self.path, body=body)

    def delete(self, id_: str) -> Request:
        """Delete by stable id."""
        return Request("DELETE", self.path, {self.id_field: id_, **self.query})

    def delete_by_uuid(self, uuid: str) -> Request:
        """Delete by Kibana's own id: one of several objects that share a stable id."""
        return Request("DELETE", self.path, {"id": uuid, **self.query})

    def find(self, **query: str | int) -> Request:
        """Search; `query` is added to the fixed parameters."""
        return Request("GET", f"{self.path}/_find", {**self.query, **query})


RULES = Endpoint("/api/detection_engine/rules", "rule_id")
LISTS = Endpoint("/api/exception_lists", "list_id", {"namespace_type": "single"})
ITEMS = Endpoint("/api/exception_lists/items", "item_id", {"namespace_type": "single"})
VALUE_LISTS = Endpoint("/api/lists", "id")
VALUES = Endpoint("/api/lists/items", "id")
