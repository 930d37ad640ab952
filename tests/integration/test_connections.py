"""TLS with a self-made authority, client certificates, fingerprints and proxies, on loopback."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.errors import RuledeployError, Unreachable, UsageError
from ruledeploy.kibana import Connection, Kibana
from ruledeploy.model import Secret
from ruledeploy.stack import running_stack


def _openssl(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem, client.pem and their keys, and other.pem of nobody."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("ca", "other"):
        _openssl(
            folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign",
        )  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        _openssl(
            folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", f"/CN={name}",
        )  # fmt: skip
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-out", f"{name}.pem", "-extfile", "san",
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The local stack's address, without TLS."""
    with running_stack(tmp_path_factory.mktemp("stack") / "stack", scheduler=False) as running:
        host, _, port = running.kibana_url.removeprefix("http://").partition(":")
        yield host, int(port)


def _pump(source: Any, sink: Any) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for peer in (source, sink):
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def _join(one: Any, other: Any) -> None:
    back = threading.Thread(target=_pump, args=(other, one), daemon=True)
    back.start()
    _pump(one, other)
    back.join(5)
    one.close()
    other.close()


@contextmanager
def listening(serve: Any) -> Iterator[int]:
    """A port on loopback whose connections each go to `serve`, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def tls_in_front(pki: Path, plain: tuple[str, int], *, mutual: bool = False) -> Iterator[str]:
    """The stack behind TLS; `mutual` asks for a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.pem", pki / "server.key")
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pki / "ca.pem")

    def serve(client: socket.socket) -> None:
        try:
            wrapped = context.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            return
        _join(wrapped, socket.create_connection(plain))

    with listening(serve) as port:
        yield f"https://127.0.0.1:{port}"


@dataclass
class Proxy:
    """What a proxy was asked for: request lines, and credentials."""

    port: int = 0
    lines: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)


@contextmanager
def proxy() -> Iterator[Proxy]:
    """A proxy that does CONNECT, and plain requests in absolute form."""
    found = Proxy()

    def serve(client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.decode().split(" ")
        found.lines.append(f"{method} {target}")
        for name, _, value in (one.partition(b":") for one in rest.split(b"\r\n")):
            if name.lower() == b"proxy-authorization":
                found.credentials.append(value.decode().strip())
        if method == "CONNECT":
            host, _, port = target.partition(":")
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            address, _, path = target.removeprefix("http://").partition("/")
            host, _, port = address.rpartition(":")
            try:
                server = socket.create_connection((host.strip("[]"), int(port)))
            except OSError:
                client.close()
                return
            server.sendall(f"{method} /{path} {version}\r\n".encode() + rest)
        _join(client, server)

    with listening(serve) as port:
        found.port = port
        yield found


def version(connection: Connection) -> str:
    """What the server says of itself."""
    with Kibana(replace(connection, timeout=5.0)) as kibana:
        return str(kibana.status()["version"]["number"])


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_server_is_verified_by_default(pki: Path, plain: tuple[str, int]) -> None:
    """An authority that nobody named is refused, with the way out; named, it is trusted."""
    with tls_in_front(pki, plain) as url:
        with pytest.raises(Unreachable, match="ca_certs"):
            version(Connection(url))
        with pytest.raises(Unreachable):
            version(Connection(url, ca_certs=str(pki / "other.pem")))
        assert version(Connection(url, ca_certs=str(pki / "ca.pem"))) == "9.5.1"
        assert version(Connection(url, verify_certs=False)) == "9.5.1"
        elsewhere = url.replace("127.0.0.1", "127.0.0.2")
        with pytest.raises(RuledeployError):
            version(Connection(elsewhere, ca_certs=str(pki / "ca.pem")))


@pytest.mark.parametrize("style", ["colons", "plain"])
def test_a_fingerprint_is_enough(pki: Path, plain: tuple[str, int], style: str) -> None:
    """Of the certificate itself, in either spelling; another one is refused."""
    said = _openssl(pki, "x509", "-in", "server.pem", "-noout", "-fingerprint", "-sha256")
    fingerprint = said.strip().partition("=")[2]
    if style == "plain":
        fingerprint = fingerprint.replace(":", "").lower()
    with tls_in_front(pki, plain) as url:
        assert version(Connection(url, ca_fingerprint=fingerprint)) == "9.5.1"
        with pytest.raises(Unreachable):
            version(Connection(url, ca_fingerprint="ab" * 32))


def test_a_client_shows_its_certificate(pki: Path, plain: tuple[str, int]) -> None:
    """A server that asks for one gets it; without one there is no connection."""
    with tls_in_front(pki, plain, mutual=True) as url:
        said = _openssl(pki, "x509", "-in", "server.pem", "-noout", "-fingerprint", "-sha256")
        pinned = Connection(url, ca_fingerprint=said.strip().partition("=")[2])
        known = Connection(url, ca_certs=str(pki / "ca.pem"))
        with pytest.raises(RuledeployError):
            version(known)
        cert, key = str(pki / "client.pem"), str(pki / "client.key")
        assert version(replace(known, client_cert=cert, client_key=key)) == "9.5.1"
        assert version(replace(pinned, client_cert=cert, client_key=key)) == "9.5.1"
        with pytest.raises(RuledeployError):
            version(Connection(url, client_cert=cert, client_key=key))


def test_wrong_files_are_told_by_their_setting(pki: Path) -> None:
    """Before anything is sent."""
    there = Connection("https://127.0.0.1:1")
    for setting in ("ca_certs", "client_cert", "client_key"):
        with pytest.raises(UsageError, match=f"{setting}: there is no file"):
            version(replace(there, **{setting: str(pki / "missing.pem")}))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a certificate with its key"):
        version(replace(there, client_cert=str(pki / "san")))


def test_a_proxy_is_asked(pki: Path, plain: tuple[str, int]) -> None:
    """By CONNECT for https, whose certificate is verified all the same; with its credentials."""
    with proxy() as through, tls_in_front(pki, plain) as url:
        place = Secret(f"http://alice:s3cret@127.0.0.1:{through.port}")
        with pytest.raises(Unreachable):
            version(Connection(url, proxy=place))
        assert version(Connection(url, proxy=place, ca_certs=str(pki / "ca.pem"))) == "9.5.1"
        assert through.lines[-1] == f"CONNECT {url.removeprefix('https://')}"
        assert through.credentials[-1] == "Basic YWxpY2U6czNjcmV0"
        bare = Secret(f"http://127.0.0.1:{through.port}")
        http = f"http://{plain[0]}:{plain[1]}"
        assert version(Connection(http, proxy=bare)) == "9.5.1"
        assert through.lines[-1].startswith(f"GET {http}/api/status")


def test_a_proxys_password_may_hold_what_a_url_escapes(plain: tuple[str, int]) -> None:
    """The proxy gets what was meant, and no message shows it in either spelling."""
    with proxy() as through:
        place = Secret(f"http://al%40ice:p%3A%2F%C3%A9@127.0.0.1:{through.port}")
        connection = Connection(f"http://{plain[0]}:{plain[1]}", proxy=place)
        assert version(connection) == "9.5.1"
        given = base64.b64decode(through.credentials[-1].removeprefix("Basic ")).decode()
        assert given == "al@ice:p:/é"
        assert "p:/é" not in connection.redact("no entry for p:/é")


def test_a_server_is_named_by_its_ipv6_address_to_a_proxy() -> None:
    """In brackets, or its port would be read as a part of it."""
    with proxy() as through, pytest.raises(RuledeployError):
        version(Connection("http://[::1]:9", proxy=Secret(f"http://127.0.0.1:{through.port}")))
    assert through.lines[0] == "GET http://[::1]:9/api/status"


def test_a_proxy_that_is_not_there_is_told_without_its_password() -> None:
    """Nothing was sent, and no secret is in the message."""
    with pytest.raises(RuledeployError) as caught:
        version(Connection("http://127.0.0.1:9", proxy=Secret("http://a:s3cret@127.0.0.1:1")))
    assert "s3cret" not in str(caught.value)
