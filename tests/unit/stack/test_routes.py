"""Every route is documented, internal routes are hidden, reads need no right to write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ruledeploy.stack import app
from ruledeploy.stack.es import app as es_app
from ruledeploy.stack.http import Endpoint

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "stack.md").read_text("utf-8")
CONTRACT = ROOT / "tests" / "fixtures" / "contract" / "kibana.json"
ALL = (*app.ENDPOINTS, *es_app.ENDPOINTS)


@pytest.mark.parametrize("path", sorted({endpoint.path for endpoint in ALL}))
def test_every_route_is_documented(path: str) -> None:
    """`docs/stack.md` names it."""
    assert f"`{path}`" in PAGE


def test_the_whole_contract_is_served() -> None:
    """No operation of the contract is missing."""
    served = {endpoint.operation for endpoint in app.ENDPOINTS}
    assert set(json.loads(CONTRACT.read_text("utf-8"))["operations"]) <= served


def test_no_route_is_served_twice() -> None:
    """A second handler would never be reached."""
    for endpoints in (app.ENDPOINTS, es_app.ENDPOINTS):
        names = [endpoint.operation for endpoint in endpoints]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("endpoint", app.ENDPOINTS, ids=lambda endpoint: endpoint.operation)
def test_reading_needs_no_right_to_write(endpoint: Endpoint) -> None:
    """GET is open to readers; every DELETE, PUT and PATCH is not."""
    if endpoint.method == "GET":
        assert endpoint.access != "write"
    if endpoint.method in {"DELETE", "PUT", "PATCH"}:
        assert endpoint.access == "write"
