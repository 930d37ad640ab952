"""Records, lock and compare-and-set on a real Elasticsearch."""

from __future__ import annotations

import uuid

import pytest

from ruledeploy.deploy.documents import IndexDocuments
from ruledeploy.deploy.lock import locked
from ruledeploy.deploy.objects import Owner, Ref
from ruledeploy.deploy.records import Entry, Record
from ruledeploy.deploy.store import RecordStore
from ruledeploy.errors import AlreadyThere, RefusedError
from ruledeploy.kibana import Connection, Peer
from support.elasticsearch_node import Node

pytestmark = pytest.mark.node


def test_a_store_on_a_real_node(node: Node) -> None:
    """Create-only records, versions that guard, a lock, and bodies whose fields never clash."""
    project = f"test-{uuid.uuid4().hex[:8]}"
    peer = Peer(Connection.at(node.url))
    documents = IndexDocuments(peer, project, "prod")
    store = RecordStore(documents, Owner(project, "prod"))
    try:
        assert store.applied().n == 0
        for n, query in enumerate(["text", {"an": "object"}], start=1):
            after = {Ref("rule", f"r{n}"): Entry({"query": query}, "r")}
            record = Record(n, "applying", "me", "2026-11-24T00:00:00Z", None, {}, {}, after)
            with locked(documents), pytest.raises(RefusedError), locked(documents):
                pass
            store.begin(record)
            with pytest.raises(AlreadyThere):
                RecordStore(documents, store.owner).begin(record)
            store.finish(record)
        assert store.last() == 2
        assert set(store.applied().objects) == {Ref("rule", "r1"), Ref("rule", "r2")}
    finally:
        peer.request("DELETE", f"/ruledeploy-{project}")
        peer.close()
