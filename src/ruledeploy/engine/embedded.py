"""The engine in this process: no server, the answers of Elasticsearch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ruledeploy.engine.kept import Kept
from ruledeploy.engine.parallel import run_parts
from ruledeploy.engine.protocol import EngineRule, Files, Hits, Source, Window
from ruledeploy.engine.rules import Tables, parse_rules
from ruledeploy.engine.run import Run
from ruledeploy.engine.sources import documents, parts
from ruledeploy.fields import FieldTable, family_of, load_table


def bundled_table(index: str) -> FieldTable:
    """The bundled field table of the family that an index or pattern belongs to."""
    return load_table(family_of(index))


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
        if self._kept is not None and isinstance(source, Files):
            return self._kept.run(self._tables, rules, source, window, now)
        parsed = parse_rules(rules, self._tables, now)
        run = Run(self._tables, parsed, window, now)
        if isinstance(source, Files):
            run_parts(run, parts(source.paths), source.index, self._jobs)
        else:
            for document in documents(source):
                run.put(document)
        limits = {p.rule.rule_id: p.query.esql.limit if p.query.esql else None for p in parsed}
        return {rule_id: run.found[rule_id].hits(limit) for rule_id, limit in limits.items()}
