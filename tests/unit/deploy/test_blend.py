"""What was applied, when a push died before it could say."""

from __future__ import annotations

from ruledeploy.deploy.objects import Owner, Ref
from ruledeploy.deploy.records import Applied, Entry

REF = Ref("item", "i")
OLD = {"name": "i", "expire_time": "2099-01-01T00:00:00.000Z", "tags": ["a"], "description": "old"}
NEW = {"name": "i", "tags": ["b"], "description": "new"}
APPLIED = Applied(
    Owner("acme", "test"), 2, "applying", None, {REF: (Entry(NEW, "s"), Entry(OLD, "s"))}
)


def test_a_field_that_the_dead_push_was_to_remove_is_still_ours() -> None:
    """The PUT never went out: what the old record put there is not an analyst's."""
    base = APPLIED.base(REF, OLD)
    assert base
    assert base.body["expire_time"] == OLD["expire_time"]
    assert base.body["description"] == "old"


def test_each_field_is_compared_with_the_body_that_agrees() -> None:
    """The PUT went out, and an analyst changed one field since: only that one is theirs."""
    base = APPLIED.base(REF, {**NEW, "name": "renamed"})
    assert base
    assert base.body == {
        "name": "i", "description": "new", "tags": ["b", "a"], "os_types": [],
        "namespace_type": "single",
    }  # fmt: skip


def test_one_record_is_taken_as_it_is() -> None:
    """After a finished push there is nothing to put together."""
    entry = Entry(OLD, "s")
    applied = Applied(Owner("acme", "test"), 1, objects={REF: (entry,)})
    assert applied.base(REF, NEW) is entry
    assert applied.base(Ref("item", "other"), NEW) is None
