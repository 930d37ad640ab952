"""An allowlist's evidence: what each item says it suppresses, and what it says still alerts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from ruledeploy.allowlist import Overlay, OverlayItem
from ruledeploy.errors import Collector, OverlayError
from ruledeploy.model import DetectionRule, Expectation, Release, TestCase
from ruledeploy.telemetry import Scenario, load_scenarios
from ruledeploy.verify.cases import CaseResult, judge, result_of
from ruledeploy.verify.running import Bench

_PREFIX = "scenario:"


def run_evidence(
    overlays: Sequence[Overlay],
    release: Release,
    bench: Bench,
    library: Mapping[str, Scenario] | None = None,
) -> tuple[CaseResult, ...]:
    """One result per scenario that an item of the overlays names.

    `suppresses`: the item hides every event of it that the overlay's rules match. `keeps`: they
    still alert on it, whatever item might hide it. Items that have expired are not asked.
    Raises `OverlayError` for evidence that is no known scenario.
    """
    known = load_scenarios() if library is None else library
    _refuse_unknown(overlays, known)
    return tuple(
        result_of(overlay.title or overlay.id, case, release.env, why)
        for overlay in overlays
        for item in overlay.items
        for case, rules in _cases(overlay, item, release)
        for why in [judge(case, release, rules, bench, known)]
    )


def _cases(
    overlay: Overlay, item: OverlayItem, release: Release
) -> Iterator[tuple[TestCase, tuple[DetectionRule, ...]]]:
    """The cases of one item, each with the rules that the item is in force for."""
    source_id = f"{overlay.id}/{item.id}"
    lists = {one.list_id for one in release.items if one.provenance.source_id == source_id}
    rules = tuple(rule for rule in release.rules if lists.intersection(rule.linked_lists))
    if not rules:
        return
    pairs: tuple[tuple[str, Expectation, tuple[str, ...]], ...] = (
        ("suppresses", "suppressed", item.suppresses),
        ("keeps", "alert", item.keeps),
    )
    for word, expect, named in pairs:
        for one in named:
            case = TestCase(
                name=f"{item.id} {word} {one.removeprefix(_PREFIX)}",
                expect=expect,
                location=item.location,
                scenario=one.removeprefix(_PREFIX),
                item=source_id if expect == "suppressed" else None,
            )
            yield case, rules


def _refuse_unknown(overlays: Sequence[Overlay], library: Mapping[str, Scenario]) -> None:
    collector = Collector()
    for overlay in overlays:
        for item in overlay.items:
            for one in (*item.suppresses, *item.keeps):
                scenario_id = one.removeprefix(_PREFIX)
                if one.startswith(_PREFIX) and scenario_id in library:
                    continue
                close = difflib.get_close_matches(scenario_id, library, n=1)
                hint = f"did you mean '{_PREFIX}{close[0]}'?" if close else "see  simulate --list"
                message = f"{one!r} is no known scenario"
                collector.add(OverlayError(message, location=item.location, hint=hint))
    collector.raise_if_any()
