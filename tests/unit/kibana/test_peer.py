"""One request, one answer, and what is known when there is none: against real sockets."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.errors import (
    AlreadyThere,
    AnswerLost,
    NotAuthorized,
    NotThere,
    ServerError,
    Unreachable,
    UsageError,
)
from ruledeploy.kibana import Connection, Kibana, Peer
from ruledeploy.kibana.client import batches
from ruledeploy.model import Secret

Answer = tuple[int, dict[str, str], bytes]
Script = Callable[[BaseHTTPRequestHandler, bytes], Answer]


@contextmanager
def server(script: Script) -> Iterator[str]:
    """An HTTP server that answers what the script says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, content = script(self, body)
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # http.server's names

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()


def always(status: int, body: object, **headers: str) -> Script:
    """A script with one answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda *_: (status, named, content)


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, {"message": 'rule_id: "x" not found', "status_code": 404}, NotThere, "not found"),
        (404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}, NotThere, "Found"),
        (409, {"message": "taken", "status_code": 409}, AlreadyThere, "taken"),
        (400, {"message": ["one", "two"], "status_code": 400}, ServerError, "one; two"),
        (500, {"message": "boom", "status_code": 500}, ServerError, "boom"),
        (400, {"error": {"type": "t", "reason": "why"}, "status": 400}, ServerError, "t: why"),
        (502, {"message": "x"}, AnswerLost, "502"),
        (503, {"message": "x"}, AnswerLost, "503"),
        (504, {"message": "x"}, AnswerLost, "504"),
        (408, {"message": "x"}, AnswerLost, "408"),
        (404, {"ok": False, "message": "Unknown resource."}, NotThere, "Unknown resource"),
    ],
)
def test_each_status_is_one_kind_of_error(
    status: int, body: object, kind: type[ServerError], text: str
) -> None:
    """The peer's own words are in the message, whichever envelope they came in."""
    with server(always(status, body)) as url:
        peer = Peer(Connection(url))
        with pytest.raises(kind, match=text) as caught:
            peer.request("GET", "/x")
        assert type(caught.value) is kind
        assert caught.value.status == status
        peer.close()


def test_what_is_too_large_for_a_proxy_names_the_limit_to_raise() -> None:
    """413 is a refusal: nothing was carried out, and sending it again is of no use."""
    page = b"<h1>413 Request Entity Too Large</h1>"
    with server(always(413, page, content_type="text/html")) as url:
        peer = Peer(Connection(url))
        with pytest.raises(ServerError, match="Too Large") as caught:
            peer.request("POST", "/x", body={})
        assert "client_max_body_size" in str(caught.value.hint)
        peer.close()


def test_a_proxys_html_page_is_no_answer() -> None:
    """A 502 with HTML is a lost answer that shows the page's text."""
    with server(always(502, b"<h1>Bad gateway</h1>", content_type="text/html")) as url:
        peer = Peer(Connection(url))
        with pytest.raises(AnswerLost, match="Bad gateway"):
            peer.request("POST", "/x", body={})
        peer.close()


def test_401_names_the_kind_of_credential_and_the_variable_and_hides_the_secret() -> None:
    """What was sent is named; its value is nowhere."""
    with server(always(401, {"statusCode": 401, "message": "unable to authenticate"})) as url:
        for connection, hint in (
            (Connection(url, api_key=Secret("s3cr3t")), "KIBANA_API_KEY"),
            (Connection(url, username="bob", password=Secret("s3cr3t")), "KIBANA_PASSWORD"),
            (Connection(url), "KIBANA_API_KEY"),
        ):
            peer = Peer(connection)
            with pytest.raises(NotAuthorized) as caught:
                peer.request("GET", "/x")
            assert hint in str(caught.value.hint)
            assert "s3cr3t" not in str(caught.value) + repr(caught.value) + repr(connection)
            peer.close()


def test_403_gives_kibanas_naming_of_the_privilege() -> None:
    """The privilege that would have granted it is in the message."""
    message = "API [POST /api/exception_lists] is unauthorized for user, this action is granted "
    message += "by the Kibana privileges [lists-all]"
    with server(always(403, {"statusCode": 403, "message": message})) as url:
        peer = Peer(Connection(url))
        with pytest.raises(NotAuthorized, match=r"lists-all"):
            peer.request("POST", "/x", body={})
        peer.close()


@pytest.mark.parametrize(
    ("status", "headers", "sends", "waits"),
    [
        (429, {"retry-after": "3"}, 6, [3.0] * 5),
        (429, {}, 6, [1.0] * 5),
        (503, {"retry-after": "2"}, 6, [2.0] * 5),
        (503, {}, 1, []),
        (429, {"retry-after": "3600"}, 1, []),
        (500, {"retry-after": "2"}, 1, []),
        (502, {"retry-after": "2"}, 1, []),
    ],
)
def test_only_429_and_503_that_ask_for_patience_are_sent_again(
    status: int, headers: dict[str, str], sends: int, waits: list[float]
) -> None:
    """Bounded in number and in time; nothing else is ever re-sent."""
    sent: list[bytes] = []
    slept: list[float] = []

    def script(_: BaseHTTPRequestHandler, body: bytes) -> Answer:
        sent.append(body)
        return status, headers, b"{}"

    with server(script) as url:
        peer = Peer(Connection(url), sleep=slept.append)
        with pytest.raises(ServerError):
            peer.request("POST", "/x", body={"a": 1})
        peer.close()
    assert len(sent) == sends
    assert slept == waits


def test_retry_after_may_be_a_date() -> None:
    """An HTTP date is a wait until then."""
    answers = [(429, {"retry-after": formatdate(0, usegmt=True)}, b"{}"), (200, {}, b'{"a": 1}')]
    slept: list[float] = []
    with server(lambda *_: answers.pop(0)) as url:
        peer = Peer(Connection(url), sleep=slept.append)
        assert peer.request("GET", "/x") == {"a": 1}
        peer.close()
    assert slept == [0.0]


def test_what_was_never_sent_and_what_may_have_been_done_are_told_apart() -> None:
    """Refused: nothing happened. Closed or silent after the request: who knows."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    peer = Peer(Connection(f"http://127.0.0.1:{port}"))
    with pytest.raises(Unreachable, match="no connection"):
        peer.request("POST", "/x", body={})
    peer.close()
    peer = Peer(Connection("http://no-such-host.invalid"))
    with pytest.raises(Unreachable):
        peer.request("GET", "/x")
    peer.close()

    def hang_up(handler: BaseHTTPRequestHandler, _: bytes) -> Answer:
        handler.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    with server(hang_up) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: None)
        peer = Peer(Connection(url))
        with pytest.raises(AnswerLost, match="broke during POST"):
            peer.request("POST", "/x", body={})
        peer.close()

    silence = threading.Event()

    def never(*_: Any) -> Answer:
        silence.wait(5)
        return 200, {}, b"{}"

    with server(never) as url:
        peer = Peer(Connection(url, timeout=0.2))
        with pytest.raises(AnswerLost, match=r"not answered within 0.2 s"):
            peer.request("PUT", "/x", body={})
        silence.set()
        peer.close()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_an_unknown_ca_is_unreachable_with_the_option_named(tmp_path: Path) -> None:
    """The hint says where to name the CA; with the CA named, the same server answers."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    handler_class = type(
        "Handler",
        (BaseHTTPRequestHandler,),
        {"do_GET": _hello, "log_message": lambda *_: None},
    )
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler_class)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
    url = f"https://127.0.0.1:{httpd.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: None)
        peer = Peer(Connection(url))
        with pytest.raises(Unreachable, match="TLS") as caught:
            peer.request("GET", "/x")
        assert "ca_certs" in str(caught.value.hint)
        peer.close()
        for trusting in (
            Connection(url, ca_certs=str(certificate)),
            Connection(url, verify_certs=False),
        ):
            peer = Peer(trusting)
            assert peer.request("GET", "/x") == {"hello": "world"}
            peer.close()
    httpd.shutdown()
    httpd.server_close()


def _hello(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.end_headers()
    handler.wfile.write(b'{"hello": "world"}')


def test_headers_and_the_spaces_prefix() -> None:
    """Every request carries xsrf, API version and credentials, below the space's prefix."""
    seen: list[tuple[str, dict[str, str]]] = []

    def script(handler: BaseHTTPRequestHandler, _: bytes) -> Answer:
        seen.append((handler.path, {k.lower(): v for k, v in handler.headers.items()}))
        return 200, {}, b'{"data": [], "total": 0}'

    with server(script) as url:
        connection = Connection(f"{url}/kbn", space="so c", api_key=Secret("abc"))
        with Kibana(connection) as kibana:
            kibana.rules.find('alert.attributes.tags: "x"')
            kibana.space()
    (path, headers), (space, _) = seen
    assert path.startswith("/kbn/s/so%20c/api/detection_engine/rules/_find?page=1&per_page=10000")
    assert "filter=alert.attributes.tags%3A%20%22x%22" in path
    assert headers["kbn-xsrf"] == "ruledeploy"
    assert headers["elastic-api-version"] == "2023-10-31"
    assert headers["authorization"] == "ApiKey abc"
    assert space == "/kbn/api/spaces/space/so%20c"


def test_credentials_never_stay_in_a_url() -> None:
    """A URL with credentials is taken apart by `at` and refused where it would be printed."""
    connection = Connection.at("https://bob:p%40ss@host:9243/x")
    assert connection.url == "https://host:9243/x"
    assert connection.username == "bob"
    assert connection.password == Secret("p@ss")
    with pytest.raises(UsageError) as caught:
        Connection("https://bob:secret@host")
    assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="not an http"):
        Connection("localhost:5601")


def test_list_ids_are_asked_for_in_batches_that_fit_a_url() -> None:
    """All ids come once, in order, and no batch is longer than a URL may be."""
    ids = [f"rd-acme-0b6c6c1e-6f5b-4c43-9d5e-9a0c1d9d9f10-{n}" for n in range(500)]
    made = list(batches(ids))
    assert [one for batch in made for one in batch] == ids
    assert len(made) > 1
    assert all(sum(len(one) + 12 for one in batch) <= 3500 for batch in made)
    assert list(batches(["x" * 5000, "y"])) == [["x" * 5000], ["y"]]
