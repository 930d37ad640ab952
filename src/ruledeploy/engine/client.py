"""What an Elasticsearch client raises, said in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ruledeploy.errors import NotAuthorized, NotThere, ServerError, Unreachable

_KINDS: Mapping[int, type[ServerError]] = {401: NotAuthorized, 403: NotAuthorized, 404: NotThere}
_HINTS = {
    401: "check the credentials of this environment",
    403: "ruledeploy doctor --print-role  shows the privileges it takes",
}


@contextmanager
def client_errors(url: str) -> Iterator[None]:
    """Raise `ServerError` (`Unreachable`, `NotAuthorized`, `NotThere`) for what a client raises.

    `url` may hold credentials: they are not shown.
    """
    from elasticsearch import ApiError, TransportError  # noqa: PLC0415 - loads slowly

    try:
        yield
    except ApiError as error:
        raise failure(reason(error.body), error.status_code, url) from error
    except TransportError as error:
        raise Unreachable(
            f"no answer: {error.message}",
            url=without_credentials(url),
            hint="check the address, and that Elasticsearch runs there",
        ) from error


def failure(message: str, status: int, url: str) -> ServerError:
    """The error that an HTTP status is."""
    kind = _KINDS.get(status, ServerError)
    hint = _HINTS.get(status)
    return kind(message, url=without_credentials(url), status=status, hint=hint)


def reason(body: Any) -> str:
    """The innermost reason of an error body."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return str(body)[:300]
    causes = error.get("root_cause") or [error]
    failed = error.get("failed_shards") or [{}]
    caused = failed[0].get("reason", {}).get("caused_by", {}).get("reason")
    said = str(causes[0].get("reason"))
    return f"{said}: {caused}" if caused else said


def without_credentials(url: str) -> str:
    """A URL without the user and password that may stand in it."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
