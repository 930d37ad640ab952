"""The gate: a query in any language we evaluate, parsed or refused."""

from __future__ import annotations

from dataclasses import dataclass

from ruledeploy.errors import UnsupportedQuery
from ruledeploy.query.esql import EsqlQuery, parse_esql
from ruledeploy.query.ir import Node, simplify
from ruledeploy.query.lucene import parse_lucene

LANGUAGES = ("lucene", "esql")


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What a query asks: `node` is true of the events it finds; `esql` has the rest of a pipe."""

    language: str
    text: str
    node: Node
    esql: EsqlQuery | None = None


def parse_query(language: str, text: str) -> ParsedQuery:
    """The parsed query.

    Raises QueryError where the language does, UnsupportedQuery for a construct or a language that
    we do not evaluate.
    """
    match language:
        case "lucene":
            return ParsedQuery(language, text, simplify(parse_lucene(text)))
        case "esql":
            query = parse_esql(text)
            return ParsedQuery(language, text, simplify(query.where), query)
        case _:
            raise UnsupportedQuery(
                f"query language {language!r}", hint=f"known: {', '.join(LANGUAGES)}"
            )
