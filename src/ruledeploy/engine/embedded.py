"""The engine in this process: no server, the answers of Elasticsearch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from ruledeploy.engine.counting import Counting
from ruledeploy.engine.kept import Changed, Kept
from ruledeploy.engine.parallel import run_parts
from ruledeploy.engine.pipes import piped, types_in
from ruledeploy.engine.protocol import EngineRule, Files, Hits, Shape, Source, Summary, Window
from ruledeploy.engine.resting import resting
from ruledeploy.engine.rowwise import Question
from ruledeploy.engine.rules import Parsed, Tables, parse_rules, refuse_pipe
from ruledeploy.engine.run import Found, Run
from ruledeploy.engine.sources import documents, parts
from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldTable, family_of, load_table, table_of
from ruledeploy.query.esql import parse_esql


def bundled_table(index: str) -> FieldTable:
    """The bundled field table of the family that an index or pattern belongs to."""
    return load_table(family_of(index))


def tables_of(pulled: Mapping[str, str]) -> Tables:
    """The field tables by index, those that were pulled from a server (as JSON) before ours."""
    return partial(_table, pulled)


def _table(pulled: Mapping[str, str], index: str) -> FieldTable:
    return table_of(family_of(index), pulled)


class EmbeddedEngine:
    """Evaluates rules over files or memory.

    `tables` gives the field table of an index (or of a pattern); the bundled ones by default.
    `jobs` is the number of processes that large files are shared among. `kept` remembers what was
    found out about files before, for those who ask again and again.
    """

    def __init__(
        self, tables: Tables = bundled_table, *, jobs: int = 1, kept: Kept | None = None
    ) -> None:
        self._tables = tables
        self._jobs = jobs
        self._kept = kept

    def run(
        self, rules: Sequence[EngineRule], source: Source, window: Window | None, now: datetime
    ) -> dict[str, Hits]:
        """The hits of every rule; see `Engine.run`."""
        if self._kept is None or not isinstance(source, Files):
            return self._anew(rules, source, window, now)
        plain = [rule for rule in rules if not _is_piped(rule)]
        piped_rules = [rule for rule in rules if _is_piped(rule)]
        try:
            found = self._kept.run(Question(self._tables, plain, source, window, now))
        except Changed:
            return self._anew(rules, source, window, now)
        return found | self._anew(piped_rules, source, window, now) if piped_rules else found

    def _anew(
        self, rules: Sequence[EngineRule], source: Source, window: Window | None, now: datetime
    ) -> dict[str, Hits]:
        with resting():
            parsed = parse_rules(rules, self._tables, now)
            run = Run(self._tables, parsed, window, now, Found)
        self._over(source, run)
        return {
            item.rule.rule_id: self._hits(item, run.found[item.rule.rule_id], now)
            for item in parsed
        }

    def summarize(
        self,
        rules: Sequence[EngineRule],
        source: Source,
        window: Window | None,
        now: datetime,
        shape: Shape,
    ) -> dict[str, Summary]:
        """What every rule finds, summed up; see `Summarizer.summarize`."""
        counting = Counting(shape)
        if self._kept is not None and isinstance(source, Files):
            question = Question(self._tables, rules, source, window, now)
            with suppress(Changed):
                return self._kept.summarize(question, counting)
        with resting():
            parsed = parse_rules(rules, self._tables, now)
            for item in parsed:
                refuse_pipe(item.rule, item.query)
            for table in {p: self._tables(p) for item in parsed for p in item.patterns}.values():
                counting.check(table)
            run = Run(self._tables, parsed, window, now, counting.record)
        self._over(source, run)
        return {rule_id: found.tally.summary(shape) for rule_id, found in run.found.items()}

    def _over(self, source: Source, run: Run[Any]) -> None:
        """Put all events to a run."""
        if isinstance(source, Files):
            run_parts(run, parts(source.paths), source.index, self._jobs)
        else:
            for document in documents(source):
                run.put(document)

    def _hits(self, item: Parsed, found: Found, now: datetime) -> Hits:
        esql = item.query.esql
        hits = found.hits(esql.limit if esql else None)
        if esql is None or not esql.pipe:
            return hits
        types = types_in([self._tables(pattern) for pattern in item.patterns], esql.metadata)
        return piped(esql, types, found.rows, now, hits.suppressed)


def _is_piped(rule: EngineRule) -> bool:
    """Whether the rule computes rows, which are not kept; one that does not parse fails later."""
    try:
        return rule.language == "esql" and bool(parse_esql(rule.query).pipe)
    except QueryError:
        return False
