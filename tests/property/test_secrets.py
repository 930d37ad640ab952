"""No command shows a credential, in any spelling, whatever a server does with it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ruledeploy.cli.boundary import BUG, run
from ruledeploy.stack import ApiKey, User, running_stack
from support.content import write_content

COMMANDS = (
    ("plan",), ("plan", "--json", "--stages"), ("push", "--yes"), ("push", "--yes", "--json"),
    ("pull",), ("pull", "--dry-run", "--json"), ("drift",), ("drift", "--adopt", "--json"),
    ("history",), ("history", "--json"), ("rollback", "--to", "1", "--yes"), ("rekey", "--yes"),
    ("rekey", "--yes", "--json"), ("doctor",), ("doctor", "--json"), ("doctor", "--print-role"),
    ("push", "--only", "Trusted writers", "--release"),
)  # fmt: skip
# How a server fails: what it answers once it has let `after` requests pass as a healthy one.
FAILURES = (
    "echo 400", "echo 401", "echo 403", "echo 404", "echo 409", "echo 500", "text 500", "html 502",
    "list 400", "elastic 403", "nested 400", "not JSON", "redirect", "reset", "wrong shape",
)  # fmt: skip
HEALTHY = {
    "version": {"number": "9.5.1", "build_flavor": "traditional"},
    "status": {"overall": {"level": "available"}},
}


class Mirror(BaseHTTPRequestHandler):
    """A server that tells everybody what it was sent."""

    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        server = self.server
        assert isinstance(server, MirrorServer)
        server.seen += 1
        if server.seen <= server.after:
            self._send(200, json.dumps(HEALTHY))
            return
        sent = self.headers.get("authorization", "")
        kind, _, code = server.failure.rpartition(" ")
        # As servers do that log the request they refuse: the header, decoded, quoted, in a URL.
        decoded = base64.b64decode(sent.partition(" ")[2] + "==").decode("utf-8", "replace")
        words = f"refused {sent!r} that is {decoded} or {decoded!r} or {quote(decoded)} {sent}"
        padding = "x" * 960  # so that a message cut short is cut inside
        match kind:
            case "echo":
                self._send(int(code), json.dumps({"statusCode": int(code), "message": words}))
            case "text":
                self._send(int(code), padding + words, "text/plain")
            case "html":
                self._send(int(code), f"<html>{words}</html>", "text/html")
            case "list":
                self._send(int(code), json.dumps({"message": [words, sent], "status_code": 400}))
            case "elastic":
                error = {"type": "security_exception", "reason": words}
                self._send(int(code), json.dumps({"error": error, "status": int(code)}))
            case "nested":
                self._send(int(code), json.dumps([{"deep": {"message": words}}]))
            case _:
                self._oddly(server.failure, words)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

    def _oddly(self, failure: str, words: str) -> None:
        match failure:
            case "redirect":
                self._send(302, "", headers={"location": f"/login?{quote(words)}"})
            case "reset":
                self.connection.close()
                self.close_connection = True
            case "not JSON":
                self._send(200, f"{{{words}")
            case _:
                self._send(200, json.dumps({"data": [{"name": words}], "total": "many"}))

    def _send(
        self,
        status: int,
        body: str,
        media: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in {
            "content-type": media, "content-length": str(len(data)), **(headers or {})
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing on standard error: what is there must be the program's."""


@dataclass
class MirrorServer(ThreadingHTTPServer):
    """The mirror, with the failure to show after so many good answers."""

    failure: str = "echo 500"
    after: int = 0
    seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mirror)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our concern."""


@contextmanager
def mirror(failure: str, after: int) -> Iterator[str]:
    """The URL of a mirror."""
    server = MirrorServer(failure, after)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def spellings(secret: str) -> Iterator[str]:
    """What must not be shown; letter case aside."""
    yield from (secret, repr(secret)[1:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1])
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield secret.encode().hex()


def reveal(secrets: tuple[str, ...], texts: Iterator[str]) -> list[str]:
    """The secrets that are in one of the texts."""
    wanted = {text.lower(): secret for secret in secrets for text in spellings(secret)}
    return sorted({wanted[text] for shown in texts for text in wanted if text in shown.lower()})


def everything(root: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """Standard output, standard error, and every file of the repository but the stack's own."""
    yield from capsys.readouterr()
    for path in root.rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")


SETTINGS = """\
[project]
name = "acme"
[env.dev]
kibana_url = "{kibana}"
exceptions = ["base"]
{credentials}
"""
# Seven letters at least: shorter ones occur in any text, and no server deals them out. The last two
# are in no word that the program says: Hypothesis tries the words of our own source, too.
letters = st.characters(codec="utf-8", exclude_characters="\0\r\n")
odd = st.text(letters, min_size=5, max_size=22).map(lambda text: f"{text}µ7")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Variables of the developer must not reach the tests; bugs are to be told in full."""
    for name in ("KIBANA_URL", "KIBANA_API_KEY", "KIBANA_PASSWORD", "ELASTICSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RULEDEPLOY_DEBUG", "1")
    return monkeypatch


def check(
    root: Path,
    command: tuple[str, ...],
    secrets: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> int:
    """Run a command; fails when a secret is to be seen anywhere."""
    code = run([*command, "--env", "dev", "-C", str(root)])
    found = reveal(secrets, everything(root, capsys))
    assert not found, f"{command} shows {found}"
    assert code != BUG, f"{command} took the server's oddity for a bug"
    return code


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=60, suppress_health_check=CHECKS, deadline=None)
@given(st.sampled_from(COMMANDS), st.sampled_from(FAILURES), st.integers(0, 4), odd)
@example(("doctor",), "text 500", 0, "pa\"ss\\w'ord%2F&+ü")
@example(("push", "--yes"), "wrong shape", 1, "{}%s%(x)s{0}")
def test_a_password_is_never_shown(  # noqa: PLR0913, PLR0917 - fixtures and four drawn values
    shown: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    failure: str,
    after: int,
    password: str,
) -> None:
    """Not by a server that echoes it, and not by our own errors."""
    shown.setenv("PASSWORD", password)
    credentials = 'username = "ci"\npassword = "${PASSWORD}"'
    with mirror(failure, after) as url:
        root = write_content(
            tmp_path / "repo", settings=SETTINGS.format(kibana=url, credentials=credentials)
        )
        header = base64.b64encode(f"ci:{password}".encode()).decode()
        check(root, command, (password, header), capsys)


@settings(max_examples=60, suppress_health_check=CHECKS, deadline=None)
@given(st.sampled_from(COMMANDS), st.sampled_from(FAILURES), st.integers(0, 4), odd)
def test_an_api_key_is_never_shown(  # noqa: PLR0913, PLR0917 - fixtures and four drawn values
    shown: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    failure: str,
    after: int,
    secret: str,
) -> None:
    """Neither the encoded form nor the secret inside it."""
    encoded = base64.b64encode(f"key-id:{secret}".encode()).decode()
    shown.setenv("KEY", f"{encoded}\n")
    with mirror(failure, after) as url:
        settings_ = SETTINGS.format(kibana=url, credentials='api_key = "${KEY}"')
        root = write_content(tmp_path / "repo", settings=settings_)
        check(root, command, (secret, encoded), capsys)


@pytest.mark.parametrize("key", ["not base64 ünd long", "two\nlines-of-key", "tab\tinside-key"])
def test_a_key_that_no_header_carries_is_refused_unseen(
    shown: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """The HTTP library would quote it in its own error."""
    shown.setenv("KEY", key)
    settings_ = SETTINGS.format(kibana="http://127.0.0.1:1", credentials='api_key = "${KEY}"')
    root = write_content(tmp_path / "repo", settings=settings_)
    assert check(root, ("push", "--yes"), (key,), capsys) == 64


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_url_with_a_password_is_shown_without(
    shown: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    """As variables of the ecosystem often hold it."""
    with mirror("echo 500", 0) as url:
        shown.setenv("WHERE", url.replace("//", "//ci:hunter2-%2Fodd@"))
        root = write_content(
            tmp_path / "repo", settings=SETTINGS.format(kibana="${WHERE}", credentials="")
        )
        check(root, command, ("hunter2-%2Fodd", "hunter2-/odd"), capsys)


def test_success_shows_none_either(
    shown: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plans, records, journals and answers of a server that works: by key and by password."""
    secret, password = "s3cret/+'\"ß", "pa'ss\"wörd\\%41"
    key, user = ApiKey("key-id", secret), User("ci", password)
    shown.setenv("KEY", base64.b64encode(f"key-id:{secret}".encode()).decode())
    shown.setenv("PASSWORD", password)
    by_key = 'api_key = "${KEY}"'
    with_password = 'username = "ci"\npassword = "${PASSWORD}"'  # noqa: S105 - a variable
    header = base64.b64encode(f"ci:{password}".encode()).decode()
    everyone = (secret, password, header, base64.b64encode(f"key-id:{secret}".encode()).decode())
    for n, credentials in enumerate((by_key, with_password)):
        for elasticsearch in (False, True):
            with running_stack(
                tmp_path / f"stack-{n}-{elasticsearch}",
                api_keys=(key,), users=(user,), scheduler=False,
            ) as stack:  # fmt: skip
                said = credentials
                if elasticsearch:
                    said += f'\nelasticsearch_url = "{stack.elasticsearch_url}"'
                text = SETTINGS.format(kibana=stack.kibana_url, credentials=said)
                root = write_content(tmp_path / f"repo-{n}-{elasticsearch}", settings=text)
                plan = ("plan", "-o", str(root / "plan.json"))
                pushed = ("push", str(root / "plan.json"), "--yes", "--health-wait", "0")
                assert check(root, plan, everyone, capsys) == 0
                assert check(root, pushed, everyone, capsys) == 4
                for command in COMMANDS:
                    assert check(root, command, everyone, capsys) in {0, 1, 3, 4}
