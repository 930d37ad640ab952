"""One HTTP peer: sends a request once, and says exactly what is known when no answer comes.

The three outcomes without an answer differ in what they let the caller do. `Unreachable`: no
connection, nothing was carried out. `AnswerLost`: sent, and the connection broke, timed out, or
a proxy answered 408/502/503/504 for the server: read back, then decide. Everything else was
answered by the peer itself. Only 429, and 503 with `Retry-After`, are sent again: the peer says
it did not begin.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from elastic_transport import (
    ConnectionTimeout,
    SecurityWarning,
    SerializationError,
    TextSerializer,
    TlsError,
    Transport,
    TransportError,
)
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ruledeploy.errors import (
    AlreadyThere,
    AnswerLost,
    NotAuthorized,
    NotThere,
    ServerError,
    Unreachable,
)
from ruledeploy.kibana.connection import Connection
from ruledeploy.kibana.node import Json, Node, node_config

# The transport warns of "dead nodes"; we raise what happened, and standard error is the user's.
logging.getLogger("elastic_transport").addHandler(logging.NullHandler())

# A peer that asks for more patience than this is better reported than waited for.
MAX_WAIT_SECONDS = 60.0
MAX_WAITS = 5
DEFAULT_WAIT_SECONDS = 1.0
# A proxy's page says no more in its thousandth line.
MAX_MESSAGE = 1_000

# Opened as they are needed; whoever sends more at once waits for one of these.
MAX_CONNECTIONS = 64

# Answers that proxies give for a server which may still be at work.
PROXY_STATUS = frozenset({408, 502, 503, 504})

Query = Mapping[str, str | int | bool]


class Peer:
    """An HTTP/1.1 peer that speaks JSON, over pooled connections; safe to use from threads.

    Never re-sends by itself but for an asked-for wait (`Retry-After`), and then at most
    `MAX_WAITS` times, `MAX_WAIT_SECONDS` each.
    """

    def __init__(
        self,
        connection: Connection,
        headers: Mapping[str, str] | None = None,
        *,
        connections: int = MAX_CONNECTIONS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._base = connection.url.rstrip("/")
        self._sleep = sleep
        self._headers = {"accept": "application/json", **(headers or {})}
        if connection.authorization:
            self._headers["authorization"] = connection.authorization
        with warnings.catch_warnings():
            # Whoever set verify_certs = false knows; `doctor` says it again.
            warnings.simplefilter("ignore", SecurityWarning)
            self._transport = Transport(
                [node_config(connection, connections)],
                node_class=Node,
                max_retries=0,
                retry_on_status=(),
                retry_on_timeout=False,
                meta_header=False,
                serializers={
                    "application/json": Json(),
                    "multipart/form-data": TextSerializer(),  # bytes already
                },
            )

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The parsed JSON of a 2xx answer (None when empty); raises a `ServerError` otherwise.

        `path` is already escaped; `query` is not.
        """
        target = path + ("?" + urlencode(_plain(query), quote_via=quote) if query else "")
        url = self._base + target
        for attempt in range(MAX_WAITS + 1):
            status, answer_headers, answer = self._send(method, target, url, body, headers)
            if status < 300:  # noqa: PLR2004  # 2xx
                return answer
            wait = _asked_wait(status, answer_headers)
            if wait is None or wait > MAX_WAIT_SECONDS or attempt == MAX_WAITS:
                raise self._error(method, url, status, answer)
            self._sleep(wait)
        raise AssertionError("unreachable: the loop returns or raises")

    def date(self, path: str) -> datetime | None:
        """The peer's clock when it answered, to the second; None when it does not say."""
        _, headers, _ = self._send("GET", path, self._base + path, None, None)
        try:
            return parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            return None

    def _send(
        self, method: str, target: str, url: str, body: object, headers: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], Any]:
        sent = {**self._headers, **(headers or {})}
        payload = None
        if body is not None:
            sent.setdefault("content-type", "application/json")
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            answer = self._transport.perform_request(method, target, body=payload, headers=sent)
        except SerializationError as error:
            raise AnswerLost(
                f"{method} was answered with something that is not JSON",
                url=url,
                hint="is this the server's own URL, or a proxy's login page?",
            ) from error
        except TransportError as error:
            raise self._no_answer(method, url, error) from error
        return answer.meta.status, answer.meta.headers, answer.body

    def _no_answer(self, method: str, url: str, error: TransportError) -> ServerError:
        """What a failed exchange means: never connected, or the answer is lost."""
        # A proxy's URL may be in it, with its password.
        said, cause = self.connection.redact(str(error.message)), error.__cause__
        if isinstance(error, TlsError):
            return Unreachable(
                f"the TLS handshake failed: {said}",
                url=url,
                hint="if a private CA signed the server's certificate, name the CA's PEM file in "
                "ca_certs (or KIBANA_CA_CERTS)",
            )
        if isinstance(cause, NewConnectionError | ConnectTimeoutError):
            return Unreachable(
                f"no connection: {said}",
                url=url,
                hint="is the server running, and does the URL name its host and port?",
            )
        if isinstance(error, ConnectionTimeout):
            return AnswerLost(
                f"{method} was not answered within {self.connection.timeout:g} s", url=url
            )
        return AnswerLost(f"the connection broke during {method}: {said}", url=url)

    def _error(self, method: str, url: str, status: int, answer: Any) -> ServerError:
        """The error a status means, with the peer's own words."""
        said = self.connection.redact(_message(answer))[:MAX_MESSAGE]
        message = f"{method} answered {status}: {said}"
        match status:
            case 401:
                return NotAuthorized(
                    f"{message} (sent: {self.connection.credential})",
                    url=url,
                    status=status,
                    hint=_credential_hint(self.connection),
                )
            case 403:
                return NotAuthorized(
                    f"{message} (as {self.connection.credential})",
                    url=url,
                    status=status,
                    hint="grant the named privilege to the role; `ruledeploy doctor --print-role` "
                    "prints a role that suffices",
                )
            case 404:
                return NotThere(message, url=url, status=status)
            case 409:
                return AlreadyThere(message, url=url, status=status)
            case 413:
                return ServerError(
                    message,
                    url=url,
                    status=status,
                    hint="the request is larger than a proxy or the server takes: raise nginx's "
                    "client_max_body_size, or Kibana's server.maxPayload",
                )
            case _ if status in PROXY_STATUS:
                return AnswerLost(message, url=url, status=status)
            case _:
                return ServerError(message, url=url, status=status)


def _plain(query: Query) -> dict[str, str]:
    """The query with booleans as Kibana reads them."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in query.items()
    }


def _asked_wait(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before sending again; None when sending again is not for us to decide.

    429 says the request was not begun. 503 says so only when the peer itself names a time.
    """
    if status not in {429, 503}:
        return None
    text = headers.get("retry-after", "").strip()
    if not text:
        return DEFAULT_WAIT_SECONDS if status == 429 else None  # noqa: PLR2004
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return DEFAULT_WAIT_SECONDS


def _message(answer: Any) -> str:
    """The peer's message: Kibana's two envelopes (text or list), Elasticsearch's, or raw text."""
    if not isinstance(answer, Mapping):
        return str(answer).strip() or "no message"
    error = answer.get("error")
    if isinstance(error, Mapping):
        return f"{error.get('type')}: {error.get('reason')}"
    message = answer.get("message") or error or "no message"
    return "; ".join(map(str, message)) if isinstance(message, list) else str(message)


def _credential_hint(connection: Connection) -> str:
    if connection.api_key:
        return (
            "check api_key (RULEDEPLOY_API_KEY or KIBANA_API_KEY): the base64 form `encoded` "
            "that Kibana showed once; it may have expired or been revoked"
        )
    if connection.username:
        return "check username and password (KIBANA_USERNAME and KIBANA_PASSWORD)"
    return "set api_key in the environment's table of ruledeploy.toml, or KIBANA_API_KEY"
