"""How a peer is reached: TLS, a client's certificate, a proxy on the way."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import urllib3
from elastic_transport import JsonSerializer, NodeConfig, Urllib3HttpNode

from ruledeploy.errors import UsageError
from ruledeploy.kibana.connection import Connection


def node_config(connection: Connection, connections: int) -> NodeConfig:
    """The transport's settings; `connections` are opened as they are needed.

    Raises `UsageError` for a certificate or key that is not there.
    """
    parts = urlsplit(connection.url)
    https = parts.scheme == "https"
    return NodeConfig(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or (443 if https else 80),
        path_prefix=parts.path.rstrip("/"),
        connections_per_node=connections,
        request_timeout=connection.timeout,
        **(_tls(connection) if https else {}),
        _extras=_extras(connection),
    )


def _tls(connection: Connection) -> dict[str, Any]:
    """Verified against the system's authorities and `ca_certs`, or by fingerprint alone."""
    for name in ("ca_certs", "client_cert", "client_key"):
        path = getattr(connection, name)
        if path is not None and not Path(path).is_file():
            raise UsageError(f"{name}: there is no file {path}", hint="name a PEM file")
    options: dict[str, Any] = {"verify_certs": connection.verify_certs, "ssl_show_warn": False}
    if connection.ca_fingerprint:
        options["ssl_assert_fingerprint"] = connection.ca_fingerprint.replace(":", "").lower()
    elif connection.ca_certs:
        options["ca_certs"] = connection.ca_certs
    return options


def _extras(connection: Connection) -> dict[str, Any]:
    """What the transport's own settings cannot say, or not together."""
    proxy = connection.proxy.reveal() if connection.proxy else None
    return {"proxy": proxy, "client": (connection.client_cert, connection.client_key)}


class Json(JsonSerializer):
    """JSON read several times as fast: a space of thousands of rules is many megabytes."""

    def json_loads(self, data: bytes) -> Any:
        """The value; the transport turns an error into its own."""
        try:
            return msgspec.json.decode(data)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error


class Node(Urllib3HttpNode):
    """A node that shows the client's certificate, and goes through a proxy, where one is named."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        extras = config._extras  # noqa: SLF001 - the transport's place for such things
        cert, key = extras["client"]
        if cert and config.scheme == "https":
            try:
                self.pool.conn_kw["ssl_context"].load_cert_chain(cert, key)
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"client_cert: {cert} is not a certificate with its key ({error})",
                    hint="PEM files, the key without a passphrase",
                ) from error
        if extras["proxy"]:
            self.pool = _Through(extras["proxy"], config, self.pool)  # type: ignore[assignment]


class _Through:
    """What a node needs of a connection pool, over a proxy: CONNECT for https."""

    def __init__(self, proxy: str, config: NodeConfig, direct: Any) -> None:
        tls = ("cert_reqs", "ca_certs", "assert_fingerprint", "assert_hostname")
        options = {name: getattr(direct, name, None) for name in tls}
        context = getattr(direct, "conn_kw", {}).get("ssl_context")
        if context is not None:
            options["ssl_context"] = context
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._base = f"{config.scheme}://{host}:{config.port}"
        self._manager = urllib3.ProxyManager(
            proxy,
            proxy_headers=_credentials(proxy),
            timeout=urllib3.Timeout(total=config.request_timeout),
            maxsize=config.connections_per_node,
            block=True,
            **{name: value for name, value in options.items() if value is not None},
        )

    def urlopen(self, method: str, target: str, **options: Any) -> Any:
        """One request; redirects are answers here as they are without a proxy."""
        return self._manager.urlopen(method, self._base + target, redirect=False, **options)

    def close(self) -> None:
        """Close the pooled connections."""
        self._manager.clear()


def _credentials(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    # In a URL they are escaped: only so can a password hold a colon, a slash or an at sign.
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"proxy-authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
