"""The gate: a query in any language we evaluate, parsed or refused."""

from __future__ import annotations

from dataclasses import dataclass

from ruledeploy.errors import UnsupportedQuery
from ruledeploy.model import JsonObject
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.eql import parse_eql
from ruledeploy.query.esql import EsqlQuery, esql_sources, parse_esql
from ruledeploy.query.ir import Node, simplify
from ruledeploy.query.kql import Named, Types, parse_kql, unknown, unnamed
from ruledeploy.query.lucene import parse_lucene

LANGUAGES = ("lucene", "eql", "esql", "kuery")


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What a query asks: `node` is true of the events it finds.

    `esql` has the rest of a pipe, `dsl` what Kibana sends for a query of its own language.
    """

    language: str
    text: str
    node: Node
    esql: EsqlQuery | None = None
    dsl: JsonObject | None = None


def index_patterns(rule: JsonObject) -> tuple[str, ...]:
    """What a rule searches, by its body in Kibana's API: of an ES|QL rule, what its FROM names.

    Raises QueryError for an ES|QL query that does not begin with one.
    """
    if rule.get("language") == "esql":
        return esql_sources(str(rule["query"]))
    return tuple(rule.get("index") or ())


def parse_query(
    language: str, text: str, types: Types = unknown, named: Named = unnamed
) -> ParsedQuery:
    """The parsed query. `types` gives a field's type, which `eql` and `kuery` depend on.

    `named` gives the fields that a wildcard in a name stands for, in `kuery`.

    Raises QueryError where the language does, UnsupportedQuery for a construct or a language that
    we do not evaluate.
    """
    match language:
        # These three build with `all_of`, `any_of` and `negate`: nothing is left to simplify.
        case "lucene":
            return ParsedQuery(language, text, parse_lucene(text))
        case "eql":
            known = None if types is unknown else types
            return ParsedQuery(language, text, parse_eql(text, known))
        case "esql":
            query = parse_esql(text)
            return ParsedQuery(language, text, query.where, query)
        case "kuery":
            dsl = parse_kql(text, types, named)
            return ParsedQuery(language, text, simplify(parse_dsl(dsl)), dsl=dsl)
        case _:
            raise UnsupportedQuery(
                f"query language {language!r}", hint=f"known: {', '.join(LANGUAGES)}"
            )
