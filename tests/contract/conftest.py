"""A stack to speak to, and answers held to the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import urllib3
from jsonschema import Draft202012Validator

from ruledeploy.stack import running_stack

CONTRACT = Path(__file__).parents[1] / "fixtures" / "contract" / "kibana.json"


@cache
def contract() -> dict[str, Any]:
    """Kibana's API in compact form: operations with request and response schemas."""
    loaded: dict[str, Any] = json.loads(CONTRACT.read_text("utf-8"))
    return loaded


@cache
def validator(operation: str, status: int) -> Draft202012Validator:
    """The validator of one answer; an error the contract does not list has either envelope."""
    responses = contract()["operations"][operation]["responses"]
    known = {"$ref": "#/schemas/AnyError"} if status >= HTTPStatus.BAD_REQUEST else None
    schema = {**responses.get(str(status), known), "schemas": contract()["schemas"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@dataclass(frozen=True)
class Reply:
    """Status, headers and decoded body of one answer."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """Plain HTTP to the stack; every answer the contract describes is validated against it."""

    def __init__(self, url: str, elasticsearch_url: str) -> None:
        self.url = url
        self.elasticsearch_url = elasticsearch_url
        self.pool = urllib3.PoolManager(retries=False)

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
        """Send a request with the headers Kibana wants."""
        sent = {"kbn-xsrf": "tests"} if xsrf else {}
        prefix = "" if space == "default" else f"/s/{space}"
        raw = self.pool.request(
            method,
            f"{self.url}{prefix}{path}",
            fields=query if body is None or query is None else None,
            body=None if body is None else json.dumps(body).encode(),
            headers={**sent, "content-type": "application/json", **(headers or {})},
        )
        return self.reply(method, path, raw)

    def reply(self, method: str, path: str, raw: urllib3.BaseHTTPResponse) -> Reply:
        """Decode an answer and hold it to the contract."""
        media = raw.headers.get("content-type", "")
        decoded = json.loads(raw.data) if raw.data and "json;" in media else raw.data
        operation = f"{method} {path.partition('?')[0]}"
        if operation in contract()["operations"] and "json;" in media:
            validator(operation, raw.status).validate(decoded)
        return Reply(raw.status, dict(raw.headers), decoded)


@pytest.fixture(scope="session")
def stack_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """One stack for all contract tests; each test uses ids or a space of its own."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running.kibana_url, running.elasticsearch_url


@pytest.fixture
def kibana(stack_urls: tuple[str, str]) -> Client:
    """A client of that stack."""
    return Client(*stack_urls)


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """A space nobody else uses: API calls need not create it."""
    name = str(request.node.name).lower()
    return name.replace("[", "-").replace("]", "")[:60]


def rule_body(**changes: Any) -> dict[str, Any]:
    """The smallest create request for a query rule, with changes."""
    return {
        "type": "query",
        "name": "Anomalous WriteProcessMemory",
        "description": "Writes to another process.",
        "severity": "high",
        "risk_score": 73,
        **changes,
    }


@pytest.fixture
def rule() -> Any:
    """Makes create requests for query rules."""
    return rule_body
