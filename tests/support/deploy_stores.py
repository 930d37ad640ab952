"""Where records may be kept in tests: a folder, the local stack's index, a real Elasticsearch."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ruledeploy.deploy.documents import FolderDocuments, IndexDocuments
from ruledeploy.deploy.store import Documents
from ruledeploy.errors import NotThere
from ruledeploy.kibana import Connection, Peer

Stores = Callable[[str], Documents]  # the documents of an environment of that name

KINDS = ("folder", "stack", pytest.param("node", marks=pytest.mark.node))
# Where a test has a stack of its own, and says nothing new of its index.
FOLDER_AND_NODE = (KINDS[0], KINDS[2])


def mostly(usual: tuple[str, ...], count: int, node_each: int) -> list[object]:
    """Cases `(n, kind)`: the usual kinds in turn, and at every so many-th the real node."""
    return [
        pytest.param(n, "node", marks=pytest.mark.node)
        if n % node_each == node_each - 1
        else (n, usual[n % len(usual)])
        for n in range(count)
    ]


def folder_stores(folder: Path) -> Stores:
    """Documents in a folder each."""
    return lambda name: FolderDocuments(folder / name, durable=True)


@contextmanager
def index_stores(url: str) -> Iterator[Stores]:
    """Documents in one index of an Elasticsearch, which is deleted afterwards."""
    project = f"test-{uuid.uuid4().hex[:8]}"
    peer = Peer(Connection.at(url))
    try:
        yield lambda name: IndexDocuments(peer, project, name)
    finally:
        try:
            peer.request("DELETE", f"/ruledeploy-{project}")
        except NotThere:  # nothing was pushed
            pass
        finally:
            peer.close()


@contextmanager
def stores_of(
    kind: str, request: pytest.FixtureRequest, folder: Path, stack_url: str = ""
) -> Iterator[Stores]:
    """Records of one of `KINDS`: in a folder, in the local stack's index, in a real Elasticsearch.

    The node is asked of `request` only where it is meant, so that the others need none.
    """
    if kind == "folder":
        yield folder_stores(folder)
        return
    url = request.getfixturevalue("node").url if kind == "node" else stack_url
    with index_stores(url) as found:
        yield found
