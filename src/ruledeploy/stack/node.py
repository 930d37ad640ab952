"""A real Elasticsearch behind the stack: requests passed on as they are, and a client for runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ruledeploy.engine.client import client_errors
from ruledeploy.engine.quiet import without_warnings
from ruledeploy.errors import RuledeployError
from ruledeploy.stack.errors import Refusal, elastic
from ruledeploy.stack.http import Answer, Call

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_TIMEOUT_S = 30.0
# What a request keeps on its way to the node, and an answer on its way back.
_REQUEST_HEADERS = ("accept", "content-type")
_ANSWER_HEADERS = ("x-elastic-product", "warning")


class Node:
    """The node at a URL, which may hold a user and password; RuledeployError when it is no URL."""

    def __init__(self, url: str) -> None:
        import urllib3  # noqa: PLC0415 - loads slowly, and most stacks have no node
        from elasticsearch import Elasticsearch  # noqa: PLC0415

        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RuledeployError(
                "the URL of the Elasticsearch node is none", hint="such as http://127.0.0.1:9200"
            )
        default = "" if parts.port else f":{443 if parts.scheme == 'https' else 80}"
        # For people: a password is never printed.
        netloc = parts.netloc.rpartition("@")[2] + default
        self.url = urlunsplit(parts._replace(netloc=netloc)).rstrip("/")
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S, maxsize=8)
        login = f"{parts.username}:{parts.password}" if parts.username else None
        self._auth = urllib3.make_headers(basic_auth=login)
        self.client: Elasticsearch = Elasticsearch(
            self.url,
            basic_auth=(parts.username, parts.password or "") if parts.username else None,
            request_timeout=_TIMEOUT_S,
            max_retries=0,
        )

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self._pool.clear()

    def check(self) -> None:
        """Raise Unreachable or ServerError when the node is not there, or not ready."""
        with self.errors():
            self.client.options(request_timeout=5).cluster.health()

    def pass_on(self, call: Call) -> Answer:
        """Send a request on and bring the answer back, both untouched but for credentials."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - see above

        sent = {name: call.headers[name] for name in _REQUEST_HEADERS if name in call.headers}
        try:
            with without_warnings():
                reply = self._pool.request(
                    call.method,
                    self.url + call.target,
                    body=call.body or None,
                    headers={**sent, **self._auth},
                )
        except HTTPError as error:
            return Answer(elastic(503, "connect_exception", f"{self.url}: {error}").body, 503)
        kept = {name: reply.headers[name] for name in _ANSWER_HEADERS if name in reply.headers}
        media = reply.headers.get("content-type", "application/json")
        return Answer(reply.data, reply.status, kept, media)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The node's answer to a request of ours; its refusal as our own."""
        from elasticsearch import ApiError, TransportError  # noqa: PLC0415 - loads slowly

        headers = {"accept": "application/json", "content-type": "application/json"}
        try:
            with without_warnings():
                return self.client.perform_request(method, path, headers=headers, body=body).body
        except ApiError as error:
            if isinstance(error.body, dict) and isinstance(error.body.get("error"), dict):
                raise Refusal(error.status_code, error.body) from error
            raise elastic(error.status_code, "exception", str(error)) from error
        except TransportError as error:
            raise elastic(503, "connect_exception", f"{self.url}: {error.message}") from error

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say the client's errors in our words."""
        with client_errors(self.url), without_warnings():
            yield
