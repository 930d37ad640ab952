"""`fields pull` on a real Elasticsearch: the lock has its types, and compiling reads it alone."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AuthorizationException, Elasticsearch

from ruledeploy.deploy.mappings import pull_table
from ruledeploy.fields import FieldType
from support.elasticsearch_node import Node, connect

pytestmark = pytest.mark.node

RULE = """\
title: Images
id: 11111111-1111-4111-8111-111111111111
status: experimental
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image: 'C:\\A.exe'}
  condition: selection
"""
SETTINGS = """\
[project]
name = "acme"
[env.prod]
kibana_url = "http://localhost:1"
elasticsearch_url = "ES"
[env.prod.indices]
"windows/process_creation" = ["PREFIX-winlogbeat-*"]
"""
LOWER = {"type": "keyword", "ignore_above": 2048, "normalizer": "lowercase"}
MAPPINGS = {
    "properties": {
        "process": {
            "properties": {
                "executable": {
                    "type": "keyword",
                    "ignore_above": 2048,
                    "fields": {"caseless": LOWER},
                },
                "Ext": {"type": "nested", "properties": {"name": {"type": "keyword"}}},
                "pid": {"type": "long"},
                "args": {"type": "keyword", "index": False, "doc_values": False},
            }
        },
        "proc": {"type": "alias", "path": "process.executable"},
        "raw": {"type": "object", "enabled": False},
        "message": {"type": "text"},
    }
}
ANALYSIS = {"normalizer": {"lowercase": {"type": "custom", "filter": ["lowercase"]}}}


@pytest.fixture
def client(node: Node) -> Iterator[Elasticsearch]:
    """A client of the node."""
    with connect(node.url) as client:
        yield client


@pytest.fixture
def prefix(client: Elasticsearch) -> Iterator[str]:
    """Two indices of one pattern, in which `process.pid` changed its type."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    older = {"properties": {"process": {"properties": {"pid": {"type": "keyword"}}}}}
    for name, mappings in (("1", older), ("2", MAPPINGS)):
        client.indices.create(
            index=f"{prefix}-winlogbeat-{name}",
            mappings=mappings,
            settings={"analysis": ANALYSIS, "number_of_replicas": 0},
        )
    yield prefix
    client.indices.delete(index=f"{prefix}-winlogbeat-1,{prefix}-winlogbeat-2")


def ruledeploy(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command in a content repository."""
    command = [sys.executable, "-m", "ruledeploy", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_pull_then_compile(tmp_path: Path, node: Node, prefix: str) -> None:
    """The rule uses the server's lower-cased sibling after the pull, and not before."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yml").write_text(RULE)
    settings = SETTINGS.replace("ES", node.url).replace("PREFIX", prefix)
    (tmp_path / "ruledeploy.toml").write_text(settings)
    before = ruledeploy(tmp_path, "convert", "--env", "prod").stdout
    done = ruledeploy(tmp_path, "fields", "pull", "--env", "prod", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["families"].keys() >= {"winlogbeat"}
    assert any("process.pid is keyword in older indices" in each for each in said["remarks"])
    lock = tmp_path / "ruledeploy.lock" / "prod.json"
    first = lock.read_bytes()
    after = ruledeploy(tmp_path, "convert", "--env", "prod").stdout
    assert "process.executable.caseless" not in before
    assert 'process.executable.caseless:"c:\\\\a.exe"' in after
    assert ruledeploy(tmp_path, "fields", "pull", "--env", "prod").returncode == 0
    assert lock.read_bytes() == first


def test_what_changes_a_match_is_kept(client: Elasticsearch, prefix: str) -> None:
    """Limits, normalizers, multi-fields, aliases, nesting, and what is not searchable."""
    table = pull_table(client, "winlogbeat", [f"{prefix}-winlogbeat-*"]).table
    assert table is not None
    fields = {name: FieldType.from_mapping(entry) for name, entry in table["fields"].items()}
    assert fields["process.executable"].ignore_above == 2048
    assert fields["process.executable"].fields["caseless"].normalizer == "lowercase"
    assert fields["process.Ext"].type == "nested"
    assert fields["process.Ext.name"].type == "keyword"
    assert not fields["process.args"].searchable
    assert not fields["raw"].searchable
    assert fields["proc"].path == "process.executable"
    assert fields["process.pid"].type == "long"


def test_no_index_keeps_the_bundled_table(client: Elasticsearch) -> None:
    """Nothing there to read is said, and no reason to stop."""
    pulled = pull_table(client, "winlogbeat", ["nothing-here-winlogbeat-*"])
    assert pulled.table is None
    assert "no index matches" in pulled.remarks[0]


class _NoMappings:
    """A client whose key may read documents but no mappings: a fault no single node can make."""

    def __init__(self, client: Elasticsearch) -> None:
        self.client = client

    @property
    def indices(self) -> _NoMappings:
        """Itself."""
        return self

    def get_mapping(self, *, index: str) -> Any:
        """Refuse, as security does."""
        answer = self.client.options(ignore_status=404).indices.get(index="nothing-here")
        raise AuthorizationException("security_exception", answer.meta, {"index": index})

    def field_caps(self, *, index: str, fields: str) -> Any:
        """Pass on."""
        return self.client.field_caps(index=index, fields=fields)


def test_without_the_privilege_field_caps_have_to_do(client: Elasticsearch, prefix: str) -> None:
    """Types are the server's; limits and siblings come from the bundled table where types agree."""
    pulled = pull_table(_NoMappings(client), "winlogbeat", [f"{prefix}-winlogbeat-2"])
    assert pulled.table is not None
    fields = pulled.table["fields"]
    assert fields["process.pid"] == {"type": "long"}
    assert fields["process.executable"]["type"] == "keyword"
    assert "process.executable.caseless" not in fields
    assert any("may not be read" in remark for remark in pulled.remarks)
