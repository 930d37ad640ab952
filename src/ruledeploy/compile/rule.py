"""One Sigma source → the body Kibana takes, for one environment."""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ruledeploy.allowlist.compile import NAMESPACE
from ruledeploy.compile.unit import note
from ruledeploy.errors import Location, QueryError, RuleError, UnsupportedQuery
from ruledeploy.fields import FieldTable, family_of, table_of
from ruledeploy.model import DetectionRule, Environment, Finding, JsonObject, Provenance, digest
from ruledeploy.query.ir import Node, fields_used
from ruledeploy.query.kql import named_in
from ruledeploy.query.limits import LimitExceeded, check_limits
from ruledeploy.query.parse import parse_query
from ruledeploy.sigma import RuleSource, severity, threat
from ruledeploy.sigma.convert import Target, convert, correlate
from ruledeploy.sigma.correlation import correlation_of
from ruledeploy.sigma.elastic import Variant

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Fleet's final pipeline stamps `event.ingested` on what Elastic Agent ships; Beats do not.
_AGENT_FAMILIES = ("endpoint-", "sysmon-integration")
# Where a rule looks whose logsource nobody has mapped.
EVERYTHING = ("logs-*",)
_ONE_FAMILY = "one telemetry family per rule: name the others under elastic.variants"
# A rule of a correlation: how it is named there, and the filters that narrow it.
Correlated: TypeAlias = tuple[str, RuleSource, Sequence[RuleSource]]
_TYPE_OF_LANGUAGE = {"lucene": "query", "kuery": "query", "eql": "eql", "esql": "esql"}


class RuleCompiler:
    """Compiles sources for one environment; `marker` is the tag that says an object is ours."""

    def __init__(self, env: Environment, marker: str) -> None:
        self.env = env
        self.marker = marker

    def compile(
        self, source: RuleSource, filters: Sequence[RuleSource] = ()
    ) -> tuple[tuple[DetectionRule, ...], tuple[Finding, ...]]:
        """The rule and its variants, one telemetry family each, and what there is to say.

        `filters` are the filter documents that narrow it.

        Raises `RuleError` (many: `Problems`): no index pattern for the logsource, patterns of two
        families, a query that cannot be converted or does not parse.
        """
        findings: list[Finding] = []
        variants = (None, *source.elastic.variants)
        rules = [self._rule(source, variant, filters, findings) for variant in variants]
        return tuple(rules), tuple(findings)

    def correlate(
        self, source: RuleSource, rules: Sequence[Correlated]
    ) -> tuple[DetectionRule, tuple[Finding, ...]]:
        """A correlation as one ES|QL rule over the indices of the rules it names.

        Raises `RuleError` (many: `Problems`) for what ES|QL cannot say, rules of two families.
        """
        findings: list[Finding] = []
        correlation = correlation_of(source)
        index = source.elastic.index or tuple(
            dict.fromkeys(each for rule in rules for each in self._index(rule[1], None, findings))
        )
        family = _one_family(source, index, "correlation", "rules")
        if source.elastic.language not in (None, "esql"):
            place = source.doc.at("elastic", "language")
            raise RuleError("a correlation becomes ES|QL only", location=place)
        table = table_of(family, self.env.tables)
        target = Target("esql", index, table, self.env.placeholders)
        converted = correlate(source, correlation, target, rules)
        place = source.doc.at("correlation")
        fields = self._parsed(target, converted.query, source, place, findings)
        schedule = self._schedule(source, family)
        interval = source.elastic.interval or _duration(correlation.seconds)
        span = {"interval": interval, "from": f"now-{_duration(correlation.seconds)}"}
        if _seconds(interval) > correlation.seconds:
            message = "the rule runs less often than its time span: events between are not counted"
            place = source.doc.at("elastic", "interval")
            findings.append(Finding("warning", "gap", message, place))
        raws = [each.raw for _, rule, filters in rules for each in (rule, *filters)]
        body, said = self._body(source, None, ("esql", converted.query, index), schedule | span)
        body["required_fields"] = fields
        body["meta"] = {
            "from": "0s",
            "ruledeploy": {"path": source.path, "hash": digest([source.raw, *raws])},
        }
        return self._made(source, None, body, family), (*converted.findings, *findings, *said)

    def _rule(
        self,
        source: RuleSource,
        variant: Variant | None,
        filters: Sequence[RuleSource],
        findings: list[Finding],
    ) -> DetectionRule:
        target = self.target(source, variant, findings)
        family, language, index = target.table.family, target.language, target.index
        query, fields = self._query(source, target, filters, findings)
        schedule = self._schedule(source, family)
        body, said = self._body(source, variant, (language, query, index), schedule)
        body["required_fields"] = fields
        findings += said
        body["meta"] = {
            "from": source.elastic.lookback or self.env.lookback,
            "ruledeploy": {"path": source.path, "hash": _hash(source, filters)},
        }
        return self._made(source, variant, body, family)

    def _body(
        self,
        source: RuleSource,
        variant: Variant | None,
        asked: tuple[str, str, tuple[str, ...]],
        schedule: Mapping[str, Any],
    ) -> tuple[dict[str, Any], Sequence[Finding]]:
        """Everything Kibana takes but `meta`; `asked` is language, query and index patterns."""
        threats, said = threat(source.tags, self.env.attack_version, source.doc.at("tags"))
        body = {
            **_identity(source, variant),
            **_detection(source, *asked),
            **schedule,
            **_texts(source),
            **_options(source),
            "threat": threats,
            "tags": [*source.tags, self.marker],
            "note": note(source, source.elastic.note),
            "actions": _actions(source, self.env),
            "exceptions_list": [],
        }
        return body, said

    def _made(
        self, source: RuleSource, variant: Variant | None, body: dict[str, Any], family: str
    ) -> DetectionRule:
        if variant is None and source.elastic.kibana:
            body |= self._verbatim(source.elastic.kibana)
        place = Provenance(source.path, source.location.line, source.id)
        replaces = source.elastic.replaces if variant is None else None
        given = {k: v for k, v in body.items() if v is not None}
        return DetectionRule(given, family, place, replaces)

    def target(
        self, source: RuleSource, variant: Variant | None, findings: list[Finding]
    ) -> Target:
        """What the rule (or a variant of it) is converted for."""
        index = self._index(source, variant, findings)
        family = _one_family(source, index)
        language = (variant.language if variant else None) or source.elastic.language
        return Target(
            language or self.env.language,
            index,
            table_of(family, self.env.tables),
            self.env.placeholders,
        )

    def _index(
        self, source: RuleSource, variant: Variant | None, findings: list[Finding]
    ) -> tuple[str, ...]:
        """Index patterns: the variant's, the rule's, or those of the logsource."""
        if variant is None and source.elastic.index:
            return source.elastic.index
        if variant is not None and variant.index:
            return variant.index
        suffix = f"@{variant.name}" if variant else ""
        for key in source.logsource.keys:
            if key + suffix in self.env.indices:
                return self.env.indices[key + suffix]
        wanted = f"{source.logsource.key or 'this logsource'}{suffix}"
        message = f"no index patterns for {wanted}"
        hint = f'add  "{wanted}" = ["…"]  to [defaults.indices], or elastic.index to the rule'
        if variant is not None:
            raise RuleError(message, location=variant.location, hint=hint)
        if source.elastic.query is not None and not source.logsource.keys:
            return EVERYTHING  # the query names its indices itself, or Kibana's default holds
        place = source.doc.at("logsource")
        message += f": {', '.join(EVERYTHING)} is searched"
        findings.append(Finding("warning", "no-index", message, place, hint))
        return EVERYTHING

    def _query(
        self,
        source: RuleSource,
        target: Target,
        filters: Sequence[RuleSource],
        findings: list[Finding],
    ) -> tuple[str, list[JsonObject]]:
        """The query, written by hand or converted, and the fields that it reads.

        Nothing that does not parse gets through.
        """
        if source.elastic.query is not None:
            _refuse_filters(source, filters)
            query, place = source.elastic.query, source.doc.at("elastic", "query")
        else:
            converted = convert(source, target, filters)
            findings += converted.findings
            query, place = converted.query, source.doc.at("detection")
        return query, self._parsed(target, query, source, place, findings)

    def _parsed(
        self,
        target: Target,
        query: str,
        source: RuleSource,
        place: Location,
        findings: list[Finding],
    ) -> list[JsonObject]:
        """The fields the query needs. Raises `RuleError` for one that nobody could run."""
        language = target.language
        fields: list[JsonObject] = []
        try:
            node = _parse(language, query, target.table)
            check_limits(language, node)
            fields = _required_fields(node, target.table)
        except UnsupportedQuery as error:
            if source.elastic.query is None and language != "eql":
                raise RuleError(error.message, location=place, hint=error.hint) from error
            # Whoever wrote it by hand may ask for more than we can try on events; so does
            # `fieldref` in EQL, whose functions of two fields are scripts to Elasticsearch.
            message = f"the query is deployed untried: {error.message}"
            findings.append(Finding("info", "not-evaluated", message, place, error.hint))
        except LimitExceeded as error:
            message = f"Elasticsearch would refuse the query: {error.message}"
            raise RuleError(message, location=place, hint=error.hint) from error
        except QueryError as error:
            message = f"the {language} query does not parse: {error.message}"
            near = query[max(error.position - 20, 0) : error.position + 20]
            hint = error.hint or f"near {near!r}"
            raise RuleError(message, location=place, hint=hint) from error
        return fields

    def _verbatim(self, fields: JsonObject) -> dict[str, Any]:
        """Fields as Kibana has them; our mark stays whatever the tags are."""
        if "tags" not in fields:
            return dict(fields)
        return {**fields, "tags": [*(fields["tags"] or ()), self.marker]}

    def _schedule(self, source: RuleSource, family: str) -> dict[str, Any]:
        """Interval and look-back; what Elastic Agent ships late is found by its ingest time."""
        interval = source.elastic.interval or self.env.interval
        lookback = source.elastic.lookback or self.env.lookback
        default = "event.ingested" if family.startswith(_AGENT_FAMILIES) else None
        return {
            "interval": interval,
            "from": f"now-{_duration(_seconds(interval) + _seconds(lookback))}",
            "to": "now",
            "timestamp_override": source.elastic.timestamp_override or default,
        }


def _actions(source: RuleSource, env: Environment) -> list[dict[str, Any]] | None:
    """The rule's connectors under this environment's ids; None leaves actions to Kibana.

    Raises `RuleError` for a connector that the environment does not name.
    """
    for name in source.elastic.actions:
        if name not in env.connectors:
            near = difflib.get_close_matches(name, env.connectors, n=1)
            way_out = f"write [env.{env.name}.connectors.{name}] with id and type"
            raise RuleError(
                f"env.{env.name} has no connector {name!r}",
                location=source.doc.at("elastic", "actions"),
                hint=f"did you mean {near[0]!r}?" if near else way_out,
            )
    chosen = (env.connectors[name] for name in source.elastic.actions)
    return [
        {
            "id": one.id,
            "action_type_id": one.type,
            "group": one.group,
            "params": dict(one.params),
        }
        for one in chosen
    ] or None


def _refuse_filters(source: RuleSource, filters: Sequence[RuleSource]) -> None:
    for each in filters:
        message = f"the filter cannot narrow {source.title!r}, whose query is written by hand"
        hint = "put the condition into `elastic.query`, or into an allowlist"
        raise RuleError(message, location=each.doc.at("filter", "rules"), hint=hint)


def _parse(language: str, query: str, table: FieldTable) -> Node:
    """The query's conditions; what KQL asks depends on the fields and their types."""
    if language != "kuery":
        return parse_query(language, query).node

    def type_of(name: str) -> str | None:
        found = table.get(name)
        return found.type if found else None

    return parse_query(language, query, type_of, named_in(table)).node


def _required_fields(node: Node, table: FieldTable) -> list[JsonObject]:
    """The mapped fields that a query reads, as Kibana lists them for analysts."""
    types = {name: table.get(name) for name in sorted(fields_used(node))}
    return [{"name": name, "type": type_.type} for name, type_ in types.items() if type_]


def _hash(source: RuleSource, filters: Sequence[RuleSource]) -> str:
    """A digest of every document the rule is made of."""
    return digest([source.raw, *(each.raw for each in filters)] if filters else source.raw)


def _one_family(source: RuleSource, index: tuple[str, ...], *keys: str) -> str:
    """The one telemetry family of the patterns: a query means something else on another.

    A query written by hand may span several: nothing is translated then.
    """
    families = sorted({family_of(pattern) for pattern in index})
    if len(families) > 1 and source.elastic.query is not None:
        return "ecs"
    if len(families) > 1:
        raise RuleError(
            f"the index patterns belong to {' and '.join(families)}",
            location=source.doc.at(*(keys or ("elastic", "index"))),
            hint=_ONE_FAMILY if not keys else "correlate rules of one telemetry family",
        )
    return families[0]


def _identity(source: RuleSource, variant: Variant | None) -> dict[str, Any]:
    if variant is None:
        return {"rule_id": source.id, "name": source.title}
    variant_id = uuid.uuid5(NAMESPACE, f"{source.id}/{variant.name}")
    return {"rule_id": str(variant_id), "name": f"{source.title} ({variant.name})"}


def _detection(
    source: RuleSource, language: str, query: str, index: tuple[str, ...]
) -> dict[str, Any]:
    block = source.elastic
    name, score = severity(source.level)
    return {
        "type": block.type or _TYPE_OF_LANGUAGE[language],
        "language": language,
        "query": query,
        # An ES|QL query names its indices itself, and Kibana refuses them beside it.
        "index": None if language == "esql" else list(index),
        "enabled": block.enabled is not False,
        "severity": name,
        "risk_score": score if block.risk_score is None else block.risk_score,
    }


def _texts(source: RuleSource) -> dict[str, Any]:
    return {
        "description": source.description or source.title,
        "author": _authors(source.author),
        "references": list(source.references),
        "false_positives": list(source.falsepositives),
        "license": source.license,
        "setup": source.elastic.setup,
    }


def _options(source: RuleSource) -> dict[str, Any]:
    """What only the `elastic:` block says, under Kibana's names."""
    block = source.elastic
    fields = {"field_names": list(block.investigation_fields)}
    return {
        "max_signals": block.max_signals,
        "threshold": block.threshold,
        "new_terms_fields": list(block.new_terms_fields) or None,
        "history_window_start": block.history_window_start,
        "alert_suppression": block.alert_suppression,
        "investigation_fields": fields if block.investigation_fields else None,
        "building_block_type": "default" if block.building_block else None,
        "severity_mapping": list(block.severity_mapping) or None,
        "risk_score_mapping": list(block.risk_score_mapping) or None,
    }


def _authors(author: str | None) -> list[str]:
    """Sigma joins authors with commas in one text; Kibana keeps a list."""
    return list(_split(author)) if author else []


def _split(text: str) -> Iterator[str]:
    # A comma inside brackets belongs to a name: "Someone (a, b)".
    for part in re.split(r",(?![^(]*\))", text):
        if part.strip():
            yield part.strip()


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def _duration(seconds: int) -> str:
    """The shortest of s, m, h that says it exactly, as Kibana's date math takes it."""
    for unit in ("h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
