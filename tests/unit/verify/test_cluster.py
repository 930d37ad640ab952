"""Two engines that must agree: what is said when they do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from ruledeploy.engine import EmbeddedEngine, EngineRule, Hits, Memory
from ruledeploy.errors import Location
from ruledeploy.model import Release, TestCase
from ruledeploy.verify.cases import run_cases
from ruledeploy.verify.cluster import AgreeingEngine, EnginesDisagree
from ruledeploy.verify.running import Bench

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ReleaseMaker = Callable[..., Release]


class Fixed:
    """An engine that always answers the same: a cluster with an opinion of its own."""

    def __init__(self, hits: Hits) -> None:
        self.hits = hits

    def run(self, rules: Sequence[EngineRule], *_: Any) -> dict[str, Hits]:
        """The same hits for every rule."""
        return {rule.rule_id: self.hits for rule in rules}


RULE = EngineRule("r1", "lucene", "a:b", ("logs-*",))


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (((), {}), (("1",), {}), "on rule r1: only elasticsearch alerts on 1"),
        ((("1", "2"), {}), (("2",), {}), "on rule r1: only embedded alerts on 1"),
        (((), {"i": ("1",)}), ((), {"i": ()}), "on rule r1: only embedded hides 1 by i"),
        ((("1", "2"), {}), (("2", "1"), {}), "on rule r1: on the order"),
    ],
)
def test_a_disagreement_names_the_rule_and_the_event(
    first: tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]],
    second: tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]],
    said: str,
) -> None:
    """Who says what, event by event."""
    one, two = (Fixed(Hits(len(ids), ids, dict(hidden))) for ids, hidden in (first, second))
    with pytest.raises(EnginesDisagree) as caught:
        AgreeingEngine(one, two).run([RULE], Memory(()), None, NOW)
    assert caught.value.message == f"the engines disagree {said}"


def test_a_case_on_which_engines_disagree_fails(make_release: ReleaseMaker) -> None:
    """It neither passes by the one that is right, nor ends the run of the others."""
    release = make_release()
    event = {
        "process.Ext.api.name": "WriteProcessMemory",
        "process.Ext.api.behaviors": ["cross-process"],
    }
    case = TestCase("a case", "alert", Location("rules/write.yml", 30), events=(event,))
    bench = Bench(AgreeingEngine(EmbeddedEngine(), Fixed(Hits())), NOW)
    (result,) = run_cases(release, {release.rules[0].provenance.source_id: [case]}, bench)
    assert result.outcome == "fail"
    assert result.why.endswith("only embedded alerts on event-1")
