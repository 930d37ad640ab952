"""Answers that refuse a request: Kibana's two error envelopes, and Elasticsearch's.

    Refusal
    ├── platform()   {statusCode, error, message}   schema, headers, authentication, unknown URL
    ├── siem()       {message, status_code}         anything raised inside a security handler
    └── elastic()    {error: {type, reason, …}, status}

A refusal is an answer the contract knows, not a failure of the program, so it lies outside the
tree of `ruledeploy.errors`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class Refusal(Exception):
    """An answer other than success, raised anywhere below a handler."""

    def __init__(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(str(body.get("message", body)))
        self.status = status
        self.body = body
        self.headers = headers or {}


def platform(status: int, message: str, attributes: dict[str, Any] | None = None) -> Refusal:
    """Kibana core's envelope; `error` is the status' reason phrase."""
    body: dict[str, Any] = {
        "statusCode": status,
        "error": HTTPStatus(status).phrase,
        "message": message,
    }
    if attributes is not None:
        body["attributes"] = attributes
    return Refusal(status, body)


def siem(status: int, message: str | list[str]) -> Refusal:
    """The envelope of the security solution's and the lists plugin's handlers."""
    return Refusal(status, {"message": message, "status_code": status})


def elastic(status: int, kind: str, reason: str, **more: Any) -> Refusal:
    """Elasticsearch's envelope, with one root cause."""
    cause = {"type": kind, "reason": reason, **more}
    return Refusal(status, {"error": {"root_cause": [cause], **cause}, "status": status})
