"""`prebuilt`: lists linked to Elastic's own rules, and not another field of them touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ruledeploy.deploy import Plan, only_overlay, rollback_release
from ruledeploy.errors import RefusedError
from ruledeploy.kibana import Request
from ruledeploy.model import PrebuiltLinks, Provenance, Release
from support.deploy_bench import Bench, exception_list, item, release, rule, running_bench

PLACE = Provenance("exceptions/base/o.yml", 4, "overlay")


def linking(*lists: str) -> Release:
    """Lists with an item each, linked to Elastic's rule `elastic-1`."""
    objects = [part for name in lists for part in (exception_list(name), item(name, f"i-{name}"))]
    return replace(
        release(*objects), prebuilt=(PrebuiltLinks("elastic-1", lists, PLACE),) if lists else ()
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A stack with one prebuilt rule, enabled and linked to an analyst's list."""
    with running_bench(tmp_path) as found:
        found.kibana.lists.create({
            "list_id": "theirs", "name": "n", "description": "d", "type": "rule_default",
            "namespace_type": "single",
        })  # fmt: skip
        own = {"list_id": "theirs", "type": "rule_default", "namespace_type": "single", "id": "x"}
        body = rule("elastic-1", tags=["Elastic"], note="by Elastic", exceptions_list=[own]).body
        found.kibana.rules.create(body)
        # Nothing in Kibana's API makes a rule prebuilt but installing Elastic's package.
        with sqlite3.connect(tmp_path / "stack" / "stack.sqlite") as database:
            database.execute(
                "UPDATE objects SET body = json_set(body, '$.immutable', json('true'))"
                " WHERE kind = 'rule'"
            )
        database.close()
        yield found


def links(bench: Bench) -> list[str]:
    """What the prebuilt rule links."""
    return [one["list_id"] for one in bench.rules()["elastic-1"]["exceptions_list"]]


def test_only_the_link_is_managed(bench: Bench) -> None:
    """Linked, moved to another list and unlinked; their own list and all else stay as they are."""
    before = bench.rules()["elastic-1"]
    assert before["immutable"] is True
    plan = bench.plan(linking("l1"))
    assert Plan.from_json(plan.to_json()) == plan
    bench.push(linking("l1"))
    assert links(bench) == ["l1", "theirs"] or links(bench) == ["theirs", "l1"]
    assert bench.plan(linking("l1")).empty
    [link] = [o for o in bench.rules()["elastic-1"]["exceptions_list"] if o["list_id"] == "l1"]
    assert link["id"] == bench.lists()["l1"]["id"]
    bench.push(linking("l2"))
    assert sorted(links(bench)) == ["l2", "theirs"]
    assert set(bench.lists()) == {"l2", "theirs"}  # a list that only it linked could go
    bench.push(linking())
    assert links(bench) == ["theirs"]
    after = bench.rules()["elastic-1"]
    moving = {"updated_at", "updated_by", "revision", "exceptions_list"}
    for field in before.keys() - moving:
        assert after[field] == before[field], field
    assert all(
        path != "/api/detection_engine/rules" or method in {"PATCH", "POST"}
        for method, path, _ in bench.log.writes()
    )
    assert bench.plan(linking(), prune=True).empty


def test_a_link_taken_off_in_kibana_comes_back(bench: Bench) -> None:
    """Links that the files want are always put back."""
    bench.push(linking("l1"))
    bench.kibana.send(
        Request(
            "PATCH", "/api/detection_engine/rules",
            body={"rule_id": "elastic-1", "exceptions_list": []},
        )
    )  # fmt: skip
    bench.push(linking("l1"))
    assert links(bench) == ["l1"]


def test_a_rule_that_is_not_installed_is_told(bench: Bench) -> None:
    """Its list waits, and the link comes with the first push after it is installed."""
    wanted = replace(linking("l1"), prebuilt=(PrebuiltLinks("elastic-2", ("l1",), PLACE),))
    plan = bench.plan(wanted)
    assert any("elastic-2 is not installed" in note for note in plan.notes)
    bench.push(wanted)
    assert set(bench.lists()) == {"l1", "theirs"}
    assert bench.plan(wanted).empty


def test_a_rule_of_ones_own_is_no_prebuilt_one(bench: Bench) -> None:
    """A rule that anybody may edit is named under `rules`, or is somebody else's."""
    bench.kibana.rules.create(rule("mine", tags=[]).body)
    wanted = replace(linking("l1"), prebuilt=(PrebuiltLinks("mine", ("l1",), PLACE),))
    with pytest.raises(RefusedError, match="is no prebuilt rule"):
        bench.push(wanted)


def test_rollback_and_one_overlay_know_the_links(bench: Bench) -> None:
    """What was linked is in the records."""
    bench.push(linking("l1"))
    bench.push(linking())
    old, _ = rollback_release(bench.store, 1, datetime.now(UTC))
    assert old.prebuilt[0].list_ids == ("l1",)
    bench.push(old)
    assert sorted(links(bench)) == ["l1", "theirs"]
    wanted = linking("l1", "l2")
    wanted = replace(wanted, lists=tuple(
        replace(one, provenance=Provenance("o.yml", 1, one.list_id)) for one in wanted.lists
    ))  # fmt: skip
    only = only_overlay(wanted, bench.store.applied(), "l2")
    bench.push(only)
    assert sorted(links(bench)) == ["l1", "l2", "theirs"]
