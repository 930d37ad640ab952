"""What a stack in front of a node passes on, and what it does not."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ruledeploy.stack import Running, User, running_stack

GREEN = json.dumps({"status": "green"}).encode()
WARNING = '299 Elasticsearch-8 "Line 1:1: evaluation of [a == 1] failed"'


class Recorder(ThreadingHTTPServer):
    """A node that notes what reaches it; answers about ES|QL carry many warnings."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen.append((self.command, self.path))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("x-elastic-product", "Elasticsearch")
        for _ in range(150 if self.path == "/_query" else 0):
            self.send_header("Warning", WARNING)
        self.send_header("content-length", str(len(GREEN)))
        self.end_headers()
        self.wfile.write(GREEN)

    def __getattr__(self, name: str) -> Any:
        """The same for every method."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def node() -> Iterator[Recorder]:
    """A node on a port of its own."""
    with Recorder() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def stack(node: Recorder, tmp_path: Path) -> Iterator[Running]:
    """A stack in front of it, which knows a writer and a reader."""
    url = f"http://elastic:secret@127.0.0.1:{node.server_port}"
    users = (User("writer", "w", "writer"), User("reader", "r", "reader"))
    with running_stack(tmp_path, elasticsearch=url, users=users) as running:
        node.seen.clear()
        yield running


def send(stack: Running, who: str, method: str, path: str) -> int:
    """The status of a request whose path is sent as it is."""
    pair = base64.b64encode(f"{who}:{who[0]}".encode()).decode()
    headers = {"authorization": f"Basic {pair}", "content-type": "application/json"}
    host = http.client.HTTPConnection(urlsplit(stack.elasticsearch_url).netloc, timeout=30)
    try:
        host.request(method, path, b"{}", headers)
        return host.getresponse().status
    finally:
        host.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/_security/user/evil"),
        ("GET", "/_security/user"),
        ("POST", "/%5Fsecurity/user/evil"),
        ("POST", "//_security/user/evil"),
        ("POST", "/x/../_security/user/evil"),
        ("POST", "/./_security/user/evil"),
        ("POST", "/_xpack/security/user/evil"),
        ("POST", "/_security/oauth2/token"),
    ],
)
def test_security_is_never_asked_of_the_node(
    stack: Running, node: Recorder, method: str, path: str
) -> None:
    """It would answer with the rights of the stack's own login."""
    assert send(stack, "writer", method, path) == 400
    assert node.seen == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/idx/_doc/x%2F_search"),
        ("POST", "/idx/_doc/x%2F_search"),
        ("POST", "/idx/_doc/_search"),
        ("POST", "/_bulk?x=/_search"),
        ("DELETE", "/_all"),
        ("PUT", "/idx/_search"),
        ("DELETE", "/idx/_doc/_pit"),
    ],
)
def test_a_reader_writes_nothing(stack: Running, node: Recorder, method: str, path: str) -> None:
    """Whatever the path looks like once it is decoded. A writer's request arrives as it was."""
    assert send(stack, "reader", method, path) == 403
    assert node.seen == []
    assert send(stack, "writer", method, path) == 200
    assert node.seen == [(method, path)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/idx/_doc/x%2Fy"),
        ("POST", "/idx/_search?size=0"),
        ("POST", "/_all/_count"),
        ("POST", "/a,b-*,-c/_eql/search"),
        ("POST", "/_query"),
        ("POST", "/idx/_pit?keep_alive=1m"),
        ("DELETE", "/_pit"),
    ],
)
def test_a_reader_reads(stack: Running, node: Recorder, method: str, path: str) -> None:
    """By any request that changes nothing; also where an answer has more than 100 headers."""
    assert send(stack, "reader", method, path) == 200
    assert node.seen == [(method, path)]
