"""Warnings before a push: servers we do not know, licences that do not suffice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ruledeploy.deploy import licence_warnings, preflight
from ruledeploy.kibana import Connection, Kibana
from support.deploy_bench import release, rule


@contextmanager
def answering(answers: Mapping[str, Any]) -> Iterator[Kibana]:
    """A server that gives these bodies by path, and 404 for all others."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer."""
            body = answers.get(self.path)
            data = json.dumps(body or {"message": "Not Found"}).encode()
            self.send_response(200 if body else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Kibana(Connection(f"http://127.0.0.1:{server.server_port}")) as kibana:
            yield kibana
        server.shutdown()


def server(number: str, flavor: str = "traditional") -> dict[str, Any]:
    """What a healthy server of a version says."""
    return {
        "/api/status": {"version": {"number": number, "build_flavor": flavor}},
        "/api/spaces/space/default": {"id": "default"},
        "/api/detection_engine/privileges": {"is_authenticated": True, "has_encryption_key": True},
    }


@pytest.mark.parametrize(
    ("number", "flavor", "said"),
    [
        ("9.5.1", "traditional", ""),
        ("8.19.0", "traditional", ""),
        ("9.6.0", "traditional", "9.6.0 is newer than 9.5"),
        ("10.0.0", "traditional", "is newer"),
        ("8.18.3", "traditional", "8.18.3 is older than 8.19"),
        ("9.5.1", "serverless", "is serverless"),
    ],
)
def test_servers_we_do_not_know_are_warned_about(number: str, flavor: str, said: str) -> None:
    """And not refused."""
    with answering(server(number, flavor)) as kibana:
        warnings = preflight(kibana).warnings
    assert [said in one for one in warnings] == ([True] if said else [])


@pytest.mark.parametrize(
    ("licence", "warned"), [("basic", True), ("gold", True), ("platinum", False)]
)
def test_suppression_needs_a_licence(licence: str, warned: bool) -> None:
    """Asked only when a rule suppresses; a licence that cannot be read is not doubted."""
    suppressing = release(rule("r1", alert_suppression={"group_by": ["user.name"]}), rule("r2"))
    with answering({"/api/licensing/info": {"license": {"type": licence}}}) as kibana:
        found = licence_warnings(kibana, suppressing)
        assert bool(found) is warned
        assert all(licence in one and "1 rule(s)" in one for one in found)
        assert licence_warnings(kibana, release(rule("r2"))) == ()
    with answering({}) as silent:
        assert licence_warnings(silent, suppressing) == ()
