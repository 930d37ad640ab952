"""No output, record, log or message holds a credential, however it is spelled there."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.kibana import Connection, Peer
from ruledeploy.model import Environment, Secret
from ruledeploy.stack import ApiKey, User, running_stack
from support.content import write_content

PASSWORD = "pa$$ \"w'örd&<7>/%+\\x"  # noqa: S105 - of these tests
KEY_SECRET = "Zm9-key_secret.42"  # noqa: S105 - of these tests
API_KEY = base64.b64encode(f"the-id:{KEY_SECRET}".encode()).decode()
PROXY_PASSWORD = "pröxy pass&1"  # noqa: S105 - of these tests
SECRETS = (PASSWORD, KEY_SECRET, API_KEY, PROXY_PASSWORD)
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("plan", "--stages"), ("plan", "--json", "-o", "{out}"), ("plan", "--format", "markdown"),
    ("push", "--yes"), ("push", "--yes", "--json"), ("history",), ("history", "--json"),
    ("drift", "--json"), ("drift",), ("doctor",), ("doctor", "--json"), ("pull", "--dry-run"),
    ("rekey", "--yes"), ("rollback", "--to", "1", "--yes", "--json"),
)  # fmt: skip


def spellings(secret: str) -> dict[str, str]:
    """The secret as other programs write it."""
    data = secret.encode()
    basic = base64.b64encode(f"bob:{secret}".encode()).decode()
    once = json.dumps(secret)[1:-1]
    return {
        "plain": secret,
        "JSON": once,
        "JSON, not ASCII": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(once)[1:-1],
        "repr": repr(secret)[1:-1],
        "repr of bytes": repr(data)[2:-1],
        "URL": quote(secret, safe=""),
        "form": quote_plus(secret),
        "HTML": html.escape(secret),
        "HTML, numbers": html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "base64": base64.b64encode(data).decode(),
        "base64, URL": base64.urlsafe_b64encode(data).decode().rstrip("="),
        "Basic": basic,
        "JSON of a careful Java": re.sub(r"[<>&'=]", lambda found: f"\\u{ord(found[0]):04x}", once),
    }


def leaks(text: str) -> list[str]:
    """Which secrets a text holds in which spelling."""
    folded = text.casefold()
    return [
        f"{secret!r} as {name}"
        for secret in SECRETS
        for name, spelled in spellings(secret).items()
        if spelled.casefold() in folded
    ]


def files_below(root: Path) -> str:
    """Everything that was written, as text; the stack's own keys are its business."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in paths)


@pytest.mark.parametrize("spelled", list(spellings("x")))
@pytest.mark.parametrize("secret", [PASSWORD, KEY_SECRET, PROXY_PASSWORD])
def test_every_spelling_is_hidden(secret: str, spelled: str) -> None:
    """The redaction that every message of a server goes through."""
    connection = Connection.of(_environment(secret))
    said = connection.redact(f"refused: [{spellings(secret)[spelled]}], sorry")
    assert not leaks(said), said
    assert said.endswith(", sorry")


def _environment(secret: str) -> Environment:
    proxy = f"http://bob:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:9"
    key = Secret(API_KEY) if secret == KEY_SECRET else None
    return Environment(
        "dev", kibana_url="http://h", api_key=key, username=None if key else "bob",
        password=None if key else Secret(secret), proxy=Secret(proxy),
    )  # fmt: skip


@contextmanager
def echo(status: int, *, shape: str) -> Iterator[str]:
    """A server that refuses everything and repeats the credentials in all spellings."""

    class Handler(BaseHTTPRequestHandler):
        """Answers alike to everything."""

        def do_GET(self) -> None:
            """Answer."""
            said = " | ".join(text for one in SECRETS for text in spellings(one).values())
            said = f"{self.headers['authorization']} | {said}"
            body: object = {"statusCode": status, "error": said, "message": said}
            if shape == "elastic":
                body = {"error": {"type": said, "reason": said, "root_cause": [{"reason": said}]}}
            data = said.encode() if shape == "text" else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if shape == "text" else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names of the library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def settings_for(how: str, monkeypatch: pytest.MonkeyPatch, kibana: str, nodes: str) -> str:
    """Settings with the credential in one of the places where it may be."""
    bare = kibana.removeprefix("http://")
    own = {
        "api_key": 'api_key = "${KEY}"\n',
        "password": 'username = "bob"\npassword = "${PASSWORD}"\n',
        "URL": "",
    }[how]
    monkeypatch.setenv("KEY", API_KEY)
    monkeypatch.setenv("PASSWORD", PASSWORD)
    userinfo = f"bob:{quote(PASSWORD, safe='')}@" if how == "URL" else ""
    monkeypatch.setenv("WHERE", f"http://{userinfo}{bare}")
    monkeypatch.setenv("NODES", f"http://{userinfo}{nodes.removeprefix('http://')}")
    elasticsearch = 'elasticsearch_url = "${NODES}"\n' if nodes else ""
    return (
        '[project]\nname = "acme"\n[env.dev]\nkibana_url = "${WHERE}"\nexceptions = ["base"]\n'
        f"{own}{elasticsearch}"
    )


def run_all(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[int]]:
    """Everything that the commands print, and how they exit."""
    said, codes = "", []
    for command in COMMANDS:
        words = [word.format(out=root / "plan.json") for word in command]
        codes.append(run([words[0], "--env", "dev", "-C", str(root), *words[1:]]))
        out, err = capsys.readouterr()
        said += out + err
    return said, codes


@pytest.mark.parametrize("how", ["api_key", "password", "URL"])
@pytest.mark.parametrize("place", ["folder", "stack"])
def test_a_whole_life_leaves_none(
    how: str,
    place: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plans, pushes, records, journal, drift, rollback, request log."""
    monkeypatch.setenv("RULEDEPLOY_DEBUG", "1")
    log = tmp_path / "requests.log"
    with running_stack(
        tmp_path / "stack",
        users=(User("bob", PASSWORD),),
        api_keys=(ApiKey("the-id", KEY_SECRET),),
        request_log=log,
        scheduler=False,
    ) as stack:
        nodes = stack.elasticsearch_url if place == "stack" else ""
        settings = settings_for(how, monkeypatch, stack.kibana_url, nodes)
        root = write_content(tmp_path / "repo", settings=settings)
        said, codes = run_all(root, capsys)
        written = ""
        if nodes:
            with_password = f"http://bob:{quote(PASSWORD, safe='')}@{nodes.removeprefix('http://')}"
            peer = Peer(Connection.at(with_password))
            found = peer.request("POST", "/ruledeploy-acme/_search", body={"size": 100})
            written = json.dumps(found, ensure_ascii=False)
            assert "journal" in written
            peer.close()
    assert codes[0] == 0
    assert codes[-1] == 0
    assert not leaks(said)
    assert not leaks(files_below(root))
    assert not leaks(written)
    assert log.stat().st_size
    assert not leaks(log.read_text())


@pytest.mark.parametrize("how", ["api_key", "password", "URL"])
@pytest.mark.parametrize(
    "answer",
    [(400, "kibana"), (401, "elastic"), (403, "kibana"), (500, "elastic"), (502, "text")],
)
def test_a_server_that_repeats_them(
    how: str,
    answer: tuple[int, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a peer says of our credentials goes no further: those that this command knows."""
    monkeypatch.setenv("RULEDEPLOY_DEBUG", "1")
    with echo(answer[0], shape=answer[1]) as url:
        root = write_content(tmp_path / "repo", settings=settings_for(how, monkeypatch, url, url))
        said, codes = run_all(root, capsys)
    assert all(codes)
    known = (KEY_SECRET, API_KEY) if how == "api_key" else (PASSWORD,)
    assert not [one for one in leaks(said) if any(one.startswith(repr(k)) for k in known)]
    assert not [
        one for one in leaks(files_below(root)) if any(one.startswith(repr(k)) for k in known)
    ]
