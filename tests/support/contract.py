"""A plain HTTP client that holds every answer to the contract.

The contract is tests/fixtures/contract/: `kibana.json` (the detection API) and `around.json` (what
clients need beside it). An answer of an operation that neither describes is an error of the test.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[1] / "fixtures" / "contract"
# The stack's own routes, which no Kibana has, and URLs that no route has.
OURS = re.compile(r"/internal/ruledeploy/|/api/nothing")


@cache
def contract() -> dict[str, Any]:
    """Kibana's API in compact form: operations with request and response schemas."""
    parts = [
        json.loads((FOLDER / name).read_text("utf-8")) for name in ("kibana.json", "around.json")
    ]
    return {
        key: {name: value for part in parts for name, value in part[key].items()}
        for key in ("operations", "schemas")
    }


@cache
def operation(method: str, path: str) -> str | None:
    """The contract's name for a request, literal paths first; None when it has none."""
    exact = f"{method} {path}"
    if exact in contract()["operations"]:
        return exact
    for name in contract()["operations"]:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(name))
        if re.fullmatch(pattern, exact):
            return str(name)
    return None


@cache
def validator(name: str, status: int) -> Draft202012Validator:
    """The validator of one answer; an error the contract does not list has either envelope."""
    responses = contract()["operations"][name]["responses"]
    known = {"$ref": "#/schemas/AnyError"} if status >= HTTPStatus.BAD_REQUEST else None
    schema = responses.get(str(status), known)
    if schema is None:
        raise AssertionError(f"{name} may not answer {status}")
    return Draft202012Validator(
        {**schema, "schemas": contract()["schemas"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


@dataclass(frozen=True)
class Reply:
    """Status, headers and decoded body of one answer."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """Plain HTTP to the stack; every answer is validated against the contract."""

    def __init__(self, url: str, elasticsearch_url: str, authorization: str | None = None) -> None:
        self.url = url
        self.elasticsearch_url = elasticsearch_url
        self.pool = urllib3.PoolManager(retries=False)
        self.credentials = {"authorization": authorization} if authorization else {}

    def __call__(  # noqa: PLR0913 - one keyword per part of a request
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        space: str = "default",
        xsrf: bool = True,
    ) -> Reply:
        """Send a request with the headers Kibana wants; `query` is put after the path."""
        sent = {"kbn-xsrf": "tests"} if xsrf else {}
        prefix = "" if space == "default" else f"/s/{space}"
        asked = f"?{urlencode(query)}" if query else ""
        raw = self.pool.request(
            method,
            f"{self.url}{prefix}{path}{asked}",
            body=None if body is None else json.dumps(body).encode(),
            headers={
                **sent, **self.credentials, "content-type": "application/json", **(headers or {}),
            },
        )  # fmt: skip
        return self.reply(method, path, raw)

    def reply(self, method: str, path: str, raw: urllib3.BaseHTTPResponse) -> Reply:
        """Decode an answer and hold it to the contract."""
        media = raw.headers.get("content-type", "")
        decoded = json.loads(raw.data) if raw.data and "json;" in media else raw.data
        check(method, path.partition("?")[0], raw.status, media, decoded)
        return Reply(raw.status, dict(raw.headers), decoded)


def check(method: str, path: str, status: int, media: str, body: Any) -> None:
    """Raise unless the contract allows that answer to that request."""
    name = operation(method, path)
    if name is None:
        # A path or a method that Kibana does not have is answered so by its core.
        assert OURS.match(path) or status == HTTPStatus.NOT_FOUND, f"{method} {path}: not described"
        return
    if "json;" in media:
        validator(name, status).validate(body)
        return
    described = contract()["operations"][name]["responses"].get(str(status), {})
    if "media" not in described and isinstance(body, bytes) and body:
        # An export among other actions: the contract calls it a text.
        validator(name, status).validate(body.decode())
        return
    assert described.get("media", "none") in (media or "none"), f"{name} {status}: {media}"
