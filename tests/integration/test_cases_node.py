"""The shipped rules' cases on a real node, beside the embedded engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ruledeploy.cli.boundary import run
from ruledeploy.verify.cluster import PREFIX
from support.elasticsearch_node import Node

ROOT = Path(__file__).parents[2]


def test_both_engines_agree_on_every_shipped_case(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """`test --engine both` passes as `test` does, and leaves no index behind."""
    arguments = ["test", "-C", str(ROOT), "--env", "prod", "--date", "2026-11-24", "--json"]
    assert run(arguments) == 0
    alone = json.loads(capsys.readouterr().out)
    assert run([*arguments, "--engine", "both", "--elasticsearch", node.url]) == 0
    assert json.loads(capsys.readouterr().out) == alone
    assert alone["results"]
    assert not node.client.indices.get(index=f"{PREFIX}*").body
