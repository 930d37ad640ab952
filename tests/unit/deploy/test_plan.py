"""Plans as data: order, JSON, stages, duplicates, no server at hand."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from ruledeploy.deploy import Applied, Live, Options, Plan, Ref, make_plan, stages
from ruledeploy.deploy.stages import (
    ReadItemsBack,
    ReadRulesBack,
    RemoveDuplicates,
    WriteItems,
    WriteLists,
    WriteRecord,
    WriteRules,
)
from ruledeploy.model import Release
from support.deploy_bench import OWNER, exception_list, item, release, rule
from support.deploy_world import releases

NOTHING = Live({})
FIRST = release(rule("r1", "l1"), exception_list("l1"), item("l1", "i1"))


@given(releases())
def test_a_plan_survives_its_json(wanted: Release) -> None:
    """What is read back is the same plan, with the same checksum and the same stages."""
    plan = make_plan(wanted, NOTHING, Applied(OWNER))
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.checksum == plan.to_json()["checksum"]
    assert stages(again) == stages(plan)


def test_the_stages_of_a_first_push() -> None:
    """Lists, items, items read back, rules, rules read back, record."""
    plan = make_plan(FIRST, NOTHING, Applied(OWNER))
    assert [type(stage) for stage in stages(plan)] == [
        WriteLists,
        WriteItems,
        ReadItemsBack,
        WriteRules,
        ReadRulesBack,
        WriteRecord,
    ]


def test_detection_comes_before_cosmetic() -> None:
    """A reviewer reads first what moves alerts, with the file and line it comes from."""
    plan = make_plan(FIRST, NOTHING, Applied(OWNER)).to_json()
    assert [change["class"] for change in plan["changes"]] == ["detection", "detection", "cosmetic"]
    assert plan["changes"][0]["source"] == {"path": "rules/r.yml", "line": 1, "source_id": "r1"}
    assert plan["changes"][0]["requests"][0]["method"] == "POST"


def test_the_younger_of_two_rules_with_one_id_is_deleted_by_its_uuid() -> None:
    """And before anything is written by rule_id; a copy without our mark stays."""

    def live(uuid: str, **fields: Any) -> dict[str, Any]:
        return {**rule("r1").body, "id": uuid, "created_at": uuid, **fields}

    ref = Ref("rule", "r1")
    both = Live({ref: live("1")}, {ref: (live("2"), live("3", tags=[]))})
    plan = make_plan(release(rule("r1", query="new")), both, Applied(OWNER), Options(adopt=True))
    first, *_ = stages(plan)
    assert isinstance(first, RemoveDuplicates)
    assert [write.request.query for write in first.writes] == [{"id": "2"}]


def test_the_same_inputs_give_the_same_bytes() -> None:
    """No clock, no random id: a plan is a function of what it was made from."""
    one = make_plan(FIRST, NOTHING, Applied(OWNER))
    assert one.to_json() == make_plan(FIRST, NOTHING, Applied(OWNER)).to_json()
