"""A stack to speak to, and answers held to the contract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ruledeploy.stack import running_stack
from support.contract import Client


@pytest.fixture(scope="session")
def stack_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """One stack for all contract tests; each test uses ids or a space of its own."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running.kibana_url, running.elasticsearch_url


@pytest.fixture
def kibana(stack_urls: tuple[str, str]) -> Client:
    """A client of that stack."""
    return Client(*stack_urls)


@pytest.fixture(scope="session")
def old_stack_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The same for a server of the profile 8.19."""
    with running_stack(tmp_path_factory.mktemp("old-stack"), profile="8.19") as running:
        yield running.kibana_url, running.elasticsearch_url


@pytest.fixture
def old_kibana(old_stack_urls: tuple[str, str]) -> Client:
    """A client of the older server."""
    return Client(*old_stack_urls)


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """A space nobody else uses: API calls need not create it."""
    return re.sub("[^a-z0-9_-]+", "-", str(request.node.name).lower())[:60]


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
