"""Elasticsearch's warnings about ES|QL, which are many and say what ES|QL means anyway."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Each comparison of a field with several values is told in headers of its own, up to 20 for one
# comparison; a large rule has hundreds. Python's HTTP client refuses an answer of more than 100.
_HEADERS = 100_000
_LOCK = threading.Lock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Let through answers with any number of warnings, and keep quiet about them.

    The limit on headers is one of the interpreter, not of a connection, and only ever goes up.
    """
    import http.client  # noqa: PLC0415 - loads slowly

    from elasticsearch import ElasticsearchWarning  # noqa: PLC0415 - loads slowly

    with _LOCK:
        limit: int = getattr(http.client, "_MAXHEADERS", _HEADERS)
        if limit < _HEADERS:
            http.client._MAXHEADERS = _HEADERS  # type: ignore[attr-defined]  # noqa: SLF001 - no public name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElasticsearchWarning)
        yield
