"""One rule, one target: the query and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sigma.exceptions import SigmaError

from ruledeploy.errors import Location, RuleError
from ruledeploy.fields import FieldTable
from ruledeploy.model import Finding
from ruledeploy.sigma.absent import without_absent
from ruledeploy.sigma.correlation import Correlation, Part, esql_of
from ruledeploy.sigma.detection import build
from ruledeploy.sigma.eql import EqlText
from ruledeploy.sigma.esql import EsqlText, field_name
from ruledeploy.sigma.leaf import KEYWORDS, LeafReader
from ruledeploy.sigma.lucene import LuceneText
from ruledeploy.sigma.placeholders import Placeholders
from ruledeploy.sigma.reading import said
from ruledeploy.sigma.source import RuleSource
from ruledeploy.sigma.taxonomy import Taxonomy, taxonomy_for
from ruledeploy.sigma.tree import And, Comparison, Tree, TwoFields, joined

LANGUAGES = ("lucene", "esql", "eql")


@dataclass(frozen=True, slots=True)
class Target:
    """What a query is for: a language, the index patterns it reads, and their field table."""

    language: str
    index: tuple[str, ...]
    table: FieldTable
    placeholders: Placeholders = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Converted:
    """A query in `language`, and warnings with the lines they are about."""

    query: str
    language: str
    findings: tuple[Finding, ...] = ()


def convert(source: RuleSource, target: Target, filters: Sequence[RuleSource] = ()) -> Converted:
    """The rule as one query, narrowed by filter documents.

    Raises `RuleError` at the line of what the language cannot say.
    """
    findings: list[Finding] = []
    text = _condition(source, target, filters, findings, backend_of(target.language, source))
    return Converted(_whole(text, target), target.language, _unique(findings))


def correlate(
    source: RuleSource,
    correlation: Correlation,
    target: Target,
    rules: Sequence[tuple[str, RuleSource, Sequence[RuleSource]]],
) -> Converted:
    """A correlation as ES|QL; `rules` are those it names, each with the filters that narrow it.

    Raises `RuleError` at the line of what the language cannot say.
    """
    findings: list[Finding] = []
    place = source.doc.at("correlation")
    parts = []
    for reference, rule, filters in rules:
        found = _condition(rule, target, filters, findings, EsqlText())
        row = _condition(rule, target, filters, [], EsqlText(of_rows=True))
        parts.append(Part(reference, found, row, _columns(rule, target, place)))
    query = esql_of(correlation, target.index, parts, place)
    return Converted(query, "esql", _unique(findings))


def _columns(rule: RuleSource, target: Target, place: Location) -> Callable[[str], str]:
    """From a Sigma field to a column of the rule's events."""
    taxonomy = _taxonomy(rule, target)

    def column(name: str) -> str:
        # Of a pair such as domain and name, the name tells one from the other.
        found = target.table.resolve(taxonomy.fields(name, target.table)[-1])
        if target.table.lacks(found):
            message = f"{target.table.index} has no {found} to correlate by"
            raise RuleError(message, location=place, hint="another field, or another index")
        return field_name(found)

    return column


def _taxonomy(source: RuleSource, target: Target) -> Taxonomy:
    log = source.logsource
    taxonomy = taxonomy_for(target.table.family, log.product, log.category, log.service)
    if taxonomy.refusal is not None:
        hint = "set the rule's `elastic.index`, or the project's `[defaults.indices]`"
        raise RuleError(taxonomy.refusal, location=source.doc.at("logsource"), hint=hint)
    return taxonomy


def _condition(
    source: RuleSource,
    target: Target,
    filters: Sequence[RuleSource],
    findings: list[Finding],
    backend: LuceneText | EsqlText | EqlText,
) -> str:
    """The rule's condition in the backend's language."""
    asked = backend.asked(condition_tree(source, target, filters, findings, backend))
    text = backend.text(asked)
    backend.refuse_wider(asked)
    return text


def condition_tree(
    source: RuleSource,
    target: Target,
    filters: Sequence[RuleSource],
    findings: list[Finding],
    backend: LuceneText | EsqlText | EqlText,
) -> Tree:
    """The rule's condition, for a backend that is made ready to read it."""
    if source.kind != "rule":
        message = f"a Sigma {source.kind} has no events of its own"
        raise RuleError(message, location=source.doc.at(source.kind))
    taxonomy = _taxonomy(source, target)
    backend.for_rule(LeafReader(target.table, findings.append))
    parts = [
        build(each, taxonomy, target.table, target.placeholders) for each in (source, *filters)
    ]
    place = parts[0].place
    try:
        trees = [tree for part in parts if (tree := part.tree()) is not None]
    except SigmaError as error:
        raise RuleError(f"condition: {said(error)}", location=place) from error
    if not trees:
        raise RuleError("the condition asks nothing", location=place)
    tree = joined(And, trees)
    return _with_columns_there_are(tree, backend, place) if isinstance(backend, EsqlText) else tree


def backend_of(language: str, source: RuleSource) -> LuceneText | EsqlText | EqlText:
    """A renderer of the language, for one rule. Raises `RuleError` for one we do not write."""
    match language:
        case "lucene":
            return LuceneText()
        case "esql":
            return EsqlText()
        case "eql":
            return EqlText()
        case _:
            raise RuleError(
                f"Sigma rules are not converted to {language!r}",
                location=source.doc.at("elastic", "language"),
                hint=f"one of {', '.join(LANGUAGES)}; or write `elastic.query`",
            )


def _with_columns_there_are(tree: Tree, backend: EsqlText, place: Location) -> Tree:
    """The condition without what is decided by fields that no event has; see `absent`.

    A comparison of two fields can only be made of rows, and so the whole condition is.
    """
    gone: dict[str, None] = {}

    def absent(comparison: Comparison) -> bool:
        value = comparison.values[0]
        both = (*value.left, *value.right) if isinstance(value, TwoFields) else ()
        backend.of_rows = backend.of_rows or bool(both)
        fields = both or (comparison.field or KEYWORDS,)
        names = [backend.leaves.absent(field, comparison.place) for field in fields]
        gone.update(dict.fromkeys(name for name in names if name is not None))
        return any(name is not None for name in names)

    left = without_absent(tree, absent)
    if not isinstance(left, bool):
        return left
    always = "match every event" if left else "never match"
    names = ", ".join(gone)
    raise RuleError(
        f"the rule would {always}: {backend.leaves.table.index} has no {names}",
        location=place,
        hint="search an index that has the field (`elastic.index`), or use language: lucene",
    )


def _whole(text: str, target: Target) -> str:
    if target.language == "eql":
        return f"any where {text}"
    if target.language != "esql":
        return text
    indices = ", ".join(target.index)
    return f"from {indices} metadata _id, _index, _version | where {text}"


def _unique(findings: list[Finding]) -> tuple[Finding, ...]:
    """Each finding once, in the order of the lines."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda found: (found.location, found.code, found.message)))
