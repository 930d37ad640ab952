"""All that a project says must hold, run on chosen engines: cases, evidence, scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ruledeploy.compile import PLAIN, Compiled, Means, compile_all, overlays_of
from ruledeploy.engine import Engine
from ruledeploy.errors import Collector
from ruledeploy.model import TestCase
from ruledeploy.project import Project
from ruledeploy.sigma import RuleHead, load_cases
from ruledeploy.telemetry import Emitted, Scenario
from ruledeploy.verify.cases import CaseResult, run_cases
from ruledeploy.verify.evidence import run_evidence
from ruledeploy.verify.running import bench
from ruledeploy.verify.score import Score, score

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Suite:
    """What came of every case in every environment, and of the labelled events, if any."""

    results: tuple[CaseResult, ...]
    scores: tuple[Score, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any case failed; a score is a figure, not a verdict."""
        return any(result.outcome == "fail" for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """The fixed shape that renderers read."""
        return {
            "schema": SCHEMA,
            "results": [result.to_json() for result in self.results],
            "scores": [each.to_json() for each in self.scores],
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is run: environments (each with its engine), names to look for, events to score on.

    `only` narrows cases to those whose name, or whose rule's title, holds the text; the evidence
    of allowlists is then left out.
    """

    engines: Mapping[str, Engine]
    day: date
    library: Mapping[str, Scenario]
    only: str = ""
    labelled: Sequence[Emitted] = ()
    means: Means = PLAIN


def run_suite(project: Project, wanted: Wanted) -> Suite:
    """Run the cases of every environment in `wanted.engines`, in their order.

    Raises `Problems` for files that do not compile, `ScenarioError` and `OverlayError` for unknown
    scenarios.
    """
    compiled = {name: _compiled(project, name, wanted) for name in wanted.engines}
    # Rules are the same in every environment, deployed there or not.
    sources = next(iter(compiled.values())).sources if compiled else ()
    cases = _cases(project, sources, wanted.only)
    results: list[CaseResult] = []
    scores: list[Score] = []
    for name, engine in wanted.engines.items():
        env, release = project.environment(name), compiled[name].release
        tried = bench(engine, release, env.tables)
        results += run_cases(release, cases, tried, wanted.library)
        if not wanted.only:
            overlays = overlays_of(project, env, wanted.means)
            results += run_evidence(overlays, release, tried, wanted.library)
        if wanted.labelled:
            scores.append(score(release, wanted.labelled, engine))
    return Suite(tuple(results), tuple(scores))


def _compiled(project: Project, name: str, wanted: Wanted) -> Compiled:
    """An environment; what is wrong with a rule is told before a case looks for that rule."""
    collector = Collector()
    env = project.environment(name)
    compiled = compile_all(project, env, wanted.day, collector, wanted.means)
    collector.raise_if_any()
    return compiled


def _cases(
    project: Project, sources: Sequence[RuleHead], only: str
) -> dict[str, tuple[TestCase, ...]]:
    """Cases by Sigma id: those in the rule, then those of the files under `tests/detection/`."""
    beside = load_cases(project.case_files, sources)
    cases: dict[str, tuple[TestCase, ...]] = {}
    for source in sources:
        every = (*source.tests, *beside.get(source.id, ()))
        if chosen := tuple(_named(every, source.title, only.lower())):
            cases[source.id] = chosen
    return cases


def _named(cases: Iterable[TestCase], title: str, wanted: str) -> Iterable[TestCase]:
    if wanted in title.lower():
        return cases
    return (case for case in cases if wanted in case.name.lower())
