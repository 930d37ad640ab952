"""A space that holds more than Kibana shows in one answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ruledeploy.deploy import key_moves, read_health
from ruledeploy.deploy.safety import READ_SINGLY
from support.deploy_bench import exception_list, item, release, rule, running_bench

OURS = release(
    *(rule(f"r{n:02}", f"l{n % 3}") for n in range(READ_SINGLY + 5)),
    *(exception_list(f"l{n}") for n in range(3)),
    *(item(f"l{n % 3}", f"i{n:02}") for n in range(READ_SINGLY + 5)),
)  # fmt: skip


def test_what_lies_beyond_the_window_is_neither_missed_nor_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists, items and rules of ours are asked for by their ids when an answer has no room."""
    monkeypatch.setattr("ruledeploy.kibana.client.WINDOW", 2)
    with running_bench(tmp_path) as bench:
        bench.push(OURS)  # whose read-backs see everything, too
        assert bench.plan(OURS).empty
        ids = [one.rule_id for one in OURS.rules]
        assert len(read_health(bench.kibana, ids)) == len(ids)
        assert len(key_moves(bench.kibana, bench.store.applied())) == len(ids)
        before = len(bench.log.writes())
        bench.push(release(*OURS.rules[:-1], *OURS.lists, *OURS.items[:-1]))
        made = [method for method, _, _ in bench.log.writes()[before:]]
        assert made == ["PUT", "DELETE"]
