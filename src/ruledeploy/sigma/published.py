"""What pySigma's published Elasticsearch backend makes of a rule: for those who come from it.

Nothing that is deployed is made of it (docs/decisions/0032): it is shown beside our query by
`explain --published`, with the pipeline that sigma-cli calls `ecs_windows` for Windows rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.pipelines.elasticsearch.windows import ecs_windows

from ruledeploy.sigma.source import RuleSource

_BACKENDS = {"lucene": "LuceneBackend", "esql": "ESQLBackend", "eql": "EqlBackend"}


@dataclass(frozen=True, slots=True)
class Published:
    """The published backend's query, or why it has none."""

    query: str | None = None
    refused: str | None = None


def published(source: RuleSource, language: str) -> Published | None:
    """The rule as the published backend converts it; None for a language it does not write."""
    if language not in _BACKENDS:
        return None
    module = import_module(f"sigma.backends.elasticsearch.elasticsearch_{language}")
    pipeline = ecs_windows() if source.logsource.product == "windows" else None
    try:
        rules = SigmaCollection.from_dicts([dict(source.raw)])
        queries = getattr(module, _BACKENDS[language])(pipeline).convert(rules)
    except (SigmaError, NotImplementedError, TypeError, ValueError, AttributeError) as error:
        return Published(refused=str(error))
    return Published(query="\n".join(map(str, queries)))
