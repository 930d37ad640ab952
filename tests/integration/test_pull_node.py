"""Pull with records in a real Elasticsearch: what people made in Kibana goes round."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.kibana import Connection, Kibana, Peer
from ruledeploy.stack import running_stack
from support.elasticsearch_node import Node

pytestmark = pytest.mark.node

SETTINGS = """\
[project]
name = "{project}"
[env.prod]
kibana_url = "{kibana}"
elasticsearch_url = "{elasticsearch}"
"""
RULE = {
    "name": "By hand", "description": "d", "severity": "low", "risk_score": 3, "type": "query",
    "rule_id": "by-hand", "query": "process.name : x.exe", "index": ["logs-*"], "enabled": False,
}  # fmt: skip
LIST = {"list_id": "theirs", "name": "Theirs", "description": "d", "type": "detection"}
ITEM = {
    "list_id": "theirs", "item_id": "one", "name": "One", "description": "d", "type": "simple",
    "entries": [{"field": "user.name", "type": "match", "operator": "included", "value": "svc"}],
}  # fmt: skip


def test_a_space_made_by_hand_goes_round(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pull, and the plan is empty; pull again, and nothing changes; the record is on the node."""

    def ruledeploy(command: str) -> Any:
        capsys.readouterr()
        assert run([command, "--env", "prod", "-C", str(tmp_path), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    project = f"test-{uuid.uuid4().hex[:8]}"
    records = Peer(Connection.at(node.url))
    with running_stack(tmp_path / "stack", scheduler=False) as stack:
        settings = SETTINGS.format(project=project, kibana=stack.kibana_url, elasticsearch=node.url)
        (tmp_path / "ruledeploy.toml").write_text(settings)
        with Kibana(Connection(stack.kibana_url)) as kibana:
            link = {"id": kibana.lists.create(LIST)["id"], "list_id": "theirs"}
            link |= {"type": "detection", "namespace_type": "single"}
            kibana.items.create(ITEM)
            kibana.rules.create({**RULE, "exceptions_list": [link]})
        try:
            pulled = ruledeploy("pull")
            assert (len(pulled["files"]), pulled["left"], pulled["record"]) == (2, [], 1)
            assert ruledeploy("plan")["changes"] == []
            assert ruledeploy("drift")["drift"] == []
            again = ruledeploy("pull")
            assert (again["files"], again["record"]) == ([], 0)
            assert ruledeploy("push")["outcome"]["writes"] == 0
            assert ruledeploy("history")
            records.request("POST", f"/ruledeploy-{project}/_refresh")
            answer = records.request("GET", f"/ruledeploy-{project}/_count")
            assert answer["count"] > 0
        finally:
            records.request("DELETE", f"/ruledeploy-{project}")
            records.close()
