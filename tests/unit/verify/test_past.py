"""Events of files: read once more for many rules, not once for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ruledeploy.engine import Document, Source
from ruledeploy.engine.sources import documents
from ruledeploy.model import DetectionRule, Release
from ruledeploy.verify import past
from ruledeploy.verify.backtest import backtest
from ruledeploy.verify.past import FilePast, Sought


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """What is read again, each time it is."""
    read: list[Source] = []

    def watched(source: Source) -> Iterator[Document]:
        read.append(source)
        return documents(source)

    monkeypatch.setattr(past, "documents", watched)
    return read


def file_past(folder: Path, count: int) -> FilePast:
    """Events `e0`, `e1` and so on, all of one kind."""
    file = folder / "events.ndjson"
    api = {"name": "WriteProcessMemory", "behaviors": ["cross-process"]}
    rest = {"@timestamp": "2026-01-05T09:00:00Z", "process": {"Ext": {"api": api}}}
    lines = (json.dumps({**rest, "event": {"id": f"e{n}"}}) for n in range(count))
    file.write_text("\n".join(lines))
    return FilePast((file,))


def test_each_gets_its_own_events_by_one_pass(tmp_path: Path, passes: list[Source]) -> None:
    """In the order asked, also when two ask for the same; what is not there is left out."""
    asked = [Sought((), ids) for ids in (["e2", "e0"], [], ["e2", "e9"])]
    found = list(file_past(tmp_path, 4).events(asked))
    assert [list(one) for one in found] == [["e2", "e0"], [], ["e2"]]
    assert found[0]["e0"].source["event"] == {"id": "e0"}
    assert len(passes) == 1


def test_no_more_events_are_in_memory_than_said(
    tmp_path: Path, passes: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules that want many events between them take several passes, the answer stays the same."""
    monkeypatch.setattr(past, "AT_ONCE", 3)
    asked = [Sought((), {f"e{n}", f"e{n + 1}"}) for n in range(6)]
    found = list(file_past(tmp_path, 7).events(asked))
    assert [set(one) for one in found] == [one.ids for one in asked]
    assert len(passes) == 3


def test_nothing_to_look_at_is_no_pass(tmp_path: Path, passes: list[Source]) -> None:
    """No rule that alerts: the files are left alone."""
    assert list(file_past(tmp_path, 1).events([Sought((), ())])) == [{}]
    assert not passes


def test_a_backtest_of_many_rules_reads_the_events_once_more(
    tmp_path: Path,
    passes: list[Source],
    make_release: Callable[..., Release],
    make_rule: Callable[..., DetectionRule],
) -> None:
    """However many of them alert."""
    rules = [make_rule(f"rule-{n}", name=f"Rule {n}") for n in range(5)]
    made = backtest(make_release(rules=rules), file_past(tmp_path, 3))
    assert [one.after and one.after.alerts for one in made.rules] == [3] * 5
    assert len(passes) == 1
