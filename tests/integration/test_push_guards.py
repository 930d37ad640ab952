"""What stops a push, and what analysts changed in Kibana, against the local stack."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ruledeploy.deploy import ApplyOptions, Plan, RecordStore, apply, refuse_stale
from ruledeploy.deploy.documents import IndexDocuments
from ruledeploy.deploy.lock import locked
from ruledeploy.errors import AlreadyThere, PartialError, RefusedError
from ruledeploy.kibana import Connection, Peer
from ruledeploy.stack import running_stack
from support.deploy_bench import (
    MARK,
    OWNER,
    Bench,
    Log,
    bench_on,
    exception_list,
    item,
    release,
    rule,
    running_bench,
)

LISTS = exception_list("l1"), item("l1", "i1")
FIRST = release(rule("r1", "l1"), rule("r2", "l1"), *LISTS)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench on a stack of its own."""
    with running_bench(tmp_path) as running:
        yield running


def changed_in_kibana(bench: Bench, **fields: object) -> None:
    """An analyst edits rule r1."""
    live = bench.rules()["r1"]
    owned = {"id", "created_at", "created_by", "updated_at", "updated_by", "immutable"}
    owned |= {"rule_source", "revision", "execution_summary"}
    body = {name: value for name, value in live.items() if name not in owned}
    bench.kibana.rules.update({**body, **fields})


def test_what_analysts_changed_alone_stays(bench: Bench) -> None:
    """Disabled, tagged, annotated, with a rule_default list: kept through a push of the rule."""
    bench.push(FIRST)
    default = {
        "id": "d",
        "list_id": "default-list",
        "type": "rule_default",
        "namespace_type": "single",
    }
    link = FIRST.rules[0].body["exceptions_list"][0]
    changed_in_kibana(
        bench,
        enabled=False,
        tags=[MARK, "triage"],
        note="ask Bob",
        exceptions_list=[link, default],
    )
    wanted = release(rule("r1", "l1", severity="low"), FIRST.rules[1], *LISTS)
    plan = bench.plan(wanted)
    assert [kept.states.field for kept in plan.kept] == ["enabled"]
    bench.push(wanted)
    live = bench.rules()["r1"]
    assert (live["severity"], live["enabled"], live["note"]) == ("low", False, "ask Bob")
    assert set(live["tags"]) == {MARK, "triage"}
    assert [one["list_id"] for one in live["exceptions_list"]] == ["l1", "default-list"]
    assert bench.plan(wanted).empty


@pytest.mark.parametrize(("side", "query"), [("ours", "process.name:o"), ("theirs", "theirs:1")])
def test_a_field_changed_on_both_sides_needs_a_side(bench: Bench, side: str, query: str) -> None:
    """The conflict shows all three states; --ours and --theirs each settle it."""
    bench.push(FIRST)
    changed_in_kibana(bench, query="theirs:1")
    wanted = release(rule("r1", "l1", query="process.name:o"), FIRST.rules[1], *LISTS)
    [conflict] = bench.plan(wanted).conflicts
    [states] = conflict.conflicts
    assert (states.applied, states.live, states.desired) == (
        "process.name:x.exe",
        "theirs:1",
        "process.name:o",
    )
    with pytest.raises(RefusedError, match="--ours or --theirs"):
        bench.push(wanted)
    bench.push(wanted, side=side)
    assert bench.rules()["r1"]["query"] == query
    assert bench.plan(wanted).empty


def test_ours_takes_drift_back(bench: Bench) -> None:
    """A field that only analysts changed is kept by default and taken back by --ours."""
    bench.push(FIRST)
    changed_in_kibana(bench, query="theirs:1")
    assert bench.plan(FIRST).empty
    assert bench.plan(FIRST).kept
    bench.push(FIRST, side="ours")
    assert bench.rules()["r1"]["query"] == "process.name:x.exe"


def test_an_item_changed_in_kibana_is_not_deleted_in_silence(bench: Bench) -> None:
    """Gone from the files but edited by an analyst: a conflict; --theirs leaves it to them."""
    bench.push(FIRST)
    bench.kibana.items.update(item("l1", "i1", "edited.exe").body)
    wanted = release(*FIRST.rules, exception_list("l1"))
    with pytest.raises(RefusedError, match="changed in Kibana"):
        bench.push(wanted)
    bench.push(wanted, side="theirs")
    assert set(bench.items()) == {"i1"}
    assert bench.plan(wanted).empty


def test_a_removed_mark_is_a_conflict(bench: Bench) -> None:
    """A recorded object without our mark is no longer surely ours."""
    bench.push(FIRST)
    changed_in_kibana(bench, tags=[])
    with pytest.raises(RefusedError, match="mark was removed"):
        bench.push(release(rule("r1", "l1", query="n"), FIRST.rules[1], *LISTS))
    bench.push(FIRST, adopt=True)
    assert bench.rules()["r1"]["tags"] == [MARK]


def test_a_plan_file_is_refused_once_anything_moved(bench: Bench) -> None:
    """Reviewed, then changed on the server: exit 3 and nothing written."""
    bench.push(FIRST)
    wanted = release(rule("r1", "l1", query="new"), FIRST.rules[1], *LISTS)
    text = json.dumps(bench.plan(wanted).to_json())
    plan = Plan.from_json(json.loads(text))
    refuse_stale(plan, bench.kibana)
    changed_in_kibana(bench, note="just now")
    bench.log.lines.clear()
    with pytest.raises(RefusedError, match="stale: rule r1") as caught:
        refuse_stale(plan, bench.kibana)
    assert caught.value.exit_code == 3
    assert bench.log.writes() == []


def test_a_plan_file_applies_as_reviewed(bench: Bench) -> None:
    """From file to server, with the uuids of lists that the push itself creates."""
    plan = Plan.from_json(json.loads(json.dumps(bench.plan(FIRST).to_json())))
    apply(plan, bench.kibana, bench.store)
    [link] = bench.rules()["r1"]["exceptions_list"]
    assert link["id"] == bench.lists()["l1"]["id"]
    assert bench.plan(FIRST).empty
    with pytest.raises(RefusedError, match="somebody pushed since"):
        apply(plan, bench.kibana, bench.store)


def test_an_edited_plan_file_is_refused(bench: Bench) -> None:
    """The checksum covers every byte that would be sent."""
    value = bench.plan(FIRST).to_json()
    value["changes"][0]["requests"][0]["body"]["name"] = "something else"
    with pytest.raises(RefusedError, match="checksum"):
        Plan.from_json(value)


def test_a_mass_change_needs_a_flag(bench: Bench) -> None:
    """More than 30 % of more than ten objects is refused; a push of new ones never is."""
    many = [rule(f"r{n:02}") for n in range(12)]
    apply(bench.plan(release(*many)), bench.kibana, bench.store)
    less = release(*many[4:])
    with pytest.raises(RefusedError, match="4 of 12"):
        apply(bench.plan(less), bench.kibana, bench.store)
    apply(bench.plan(less), bench.kibana, bench.store, options=ApplyOptions(allow_many=True))
    assert sum(body["enabled"] for body in bench.rules().values()) == 8


def test_one_push_at_a_time(bench: Bench) -> None:
    """A held lock is exit 3, naming the holder; once released the push goes on."""
    with (
        locked(bench.store.documents),
        pytest.raises(RefusedError, match="is pushing to this environment"),
    ):
        bench.push(FIRST)
    assert bench.log.writes() == []
    bench.push(FIRST)


def test_an_interrupt_stops_between_two_writes(bench: Bench) -> None:
    """The record says partial, and the next push goes on."""
    stop = threading.Event()
    seen: list[int] = []

    def interrupt(_progress: object) -> None:
        seen.append(1)
        if len(seen) == 2:
            stop.set()

    options = ApplyOptions(jobs=1, stop=stop)
    with pytest.raises(KeyboardInterrupt):
        apply(bench.plan(FIRST), bench.kibana, bench.store, interrupt, options)
    assert len(bench.log.writes()) == 2
    assert bench.store.applied().state == "partial"
    bench.push(FIRST)
    assert bench.plan(FIRST).empty


def test_one_refused_object_does_not_stop_its_neighbours_but_what_depends_on_them(
    bench: Bench,
) -> None:
    """A rule that Kibana refuses: the other rule is written, the old item stays for both."""
    bench.push(FIRST)
    bad = rule("r1", "l1", risk_score=1000)
    wanted = release(bad, rule("r2", "l1", query="n"), exception_list("l1"), item("l1", "i2", "z"))
    with pytest.raises(PartialError, match="risk_score"):
        bench.push(wanted)
    assert bench.rules()["r2"]["query"] == "n"
    assert set(bench.items()) == {"i1", "i2"}
    record = bench.store.record(2)
    assert record
    assert record.state == "partial"


def test_a_push_with_many_in_flight_is_the_same_push(bench: Bench) -> None:
    """Forty items and ten rules, as many at once as the kinds allow."""
    rules = [rule(f"r{n}", "l1") for n in range(10)]
    items = [item("l1", f"i{n}", f"v{n}") for n in range(40)]
    wanted = release(*rules, exception_list("l1"), *items)
    outcome = bench.push(wanted, jobs=None)
    assert outcome.writes == 51
    assert len(bench.rules()) == 10
    assert len(bench.items()) == 40
    assert bench.plan(wanted).empty


def test_records_in_elasticsearch(tmp_path: Path) -> None:
    """The same store behind the document API: records, lock and compare-and-set."""
    with running_stack(tmp_path / "stack", scheduler=False) as running:
        peer = Peer(Connection(running.elasticsearch_url))
        documents = IndexDocuments(peer, "acme", "test")
        bench = bench_on(running.kibana_url, tmp_path / "unused", Log())
        bench.store = RecordStore(documents, OWNER)
        assert bench.store.applied().n == 0
        bench.push(FIRST)
        assert bench.plan(FIRST).empty
        bench.push(release(*FIRST.rules, exception_list("l1")))
        again = RecordStore(IndexDocuments(peer, "acme", "test"), OWNER)
        assert again.last() == 2
        record = again.record(1)
        assert record
        assert {ref.key for ref in record.after} == {"rule/r1", "rule/r2", "list/l1", "item/i1"}
        with pytest.raises(AlreadyThere):
            documents.create("0002", {})
        with pytest.raises(AlreadyThere):
            documents.replace("0002", {}, (0, 1))
        with locked(documents), pytest.raises(RefusedError), locked(documents):
            pass
        assert documents.get("lock") is None
        bench.kibana.close()
        peer.close()
