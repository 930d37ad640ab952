"""The `elastic:` block of a rule: what Sigma cannot say. docs/rules.md is its reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.errors import Location
from ruledeploy.model import JsonObject
from ruledeploy.sigma.cases import CASE_SCHEMA
from ruledeploy.sigma.reading import (
    FLAG,
    MAPPING,
    MAPPINGS,
    TEXT,
    TEXTS,
    Reader,
    one_of,
    whole,
)

LANGUAGES = ("lucene", "eql", "esql", "kuery")
TYPES = ("query", "eql", "esql", "threshold", "new_terms")
_VARIANT_KEYS: Mapping[str, JsonObject] = {"index": TEXTS, "language": one_of(LANGUAGES)}
_DURATION_SCHEMA: JsonObject = {"type": "string", "pattern": "^[1-9][0-9]*[smhd]$"}
_VARIANTS_SCHEMA: JsonObject = {
    "anyOf": [
        {"type": "array", "items": TEXT},
        {
            "type": "object",
            "additionalProperties": {
                "type": ["object", "null"],
                "properties": _VARIANT_KEYS,
                "additionalProperties": False,
            },
        },
    ]
}
# Every key with its JSON Schema: what is not here is refused.
KEYS: Mapping[str, JsonObject] = {
    "actions": TEXTS,
    "alert_suppression": MAPPING,
    "building_block": FLAG,
    "enabled": FLAG,
    "environments": TEXTS,
    "history_window_start": TEXT,
    "index": TEXTS,
    "interval": _DURATION_SCHEMA,
    "investigation_fields": TEXTS,
    "kibana": MAPPING,
    "language": one_of(LANGUAGES),
    "lookback": _DURATION_SCHEMA,
    "max_signals": whole(1, 10_000),
    "new_terms_fields": TEXTS,
    "note": TEXT,
    "note_file": TEXT,
    "query": TEXT,
    "replaces": TEXT,
    "risk_score": whole(0, 100),
    "risk_score_mapping": MAPPINGS,
    "setup": TEXT,
    "severity_mapping": MAPPINGS,
    "tests": {"type": "array", "items": CASE_SCHEMA},
    "threshold": MAPPING,
    "timestamp_override": TEXT,
    "type": one_of(TYPES),
    "variants": _VARIANTS_SCHEMA,
}
ELASTIC_SCHEMA: JsonObject = {
    "type": "object",
    "properties": KEYS,
    "additionalProperties": False,
}
# What `kibana` may not say: what is checked or made elsewhere, and what the server owns.
_NOT_VERBATIM: Mapping[str, str] = {
    "query": "write elastic.query, which is parsed before it is deployed",
    "language": "write elastic.language",
    "enabled": "write elastic.enabled",
    "exceptions_list": "write an overlay that names this rule",
    "meta": "it holds the rule's source",
    **dict.fromkeys(
        ("id", "created_at", "created_by", "updated_at", "updated_by", "revision", "immutable",
         "rule_source", "execution_summary"), "the server keeps it",
    ),
}  # fmt: skip
_DURATION = re.compile(r"[1-9][0-9]*[smhd]")


@dataclass(frozen=True, slots=True)
class Variant:
    """The same rule over another telemetry source: `windows/image_load@<name>` in the project.

    `index` and `language` are empty when the project's settings hold.
    """

    name: str
    location: Location
    index: tuple[str, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class ElasticBlock:
    """The block, checked; None and empty mean "not said". Mappings keep Kibana's own shape."""

    language: str | None = None
    index: tuple[str, ...] = ()
    interval: str | None = None
    lookback: str | None = None
    risk_score: int | None = None
    max_signals: int | None = None
    type: str | None = None
    threshold: JsonObject | None = None
    new_terms_fields: tuple[str, ...] = ()
    history_window_start: str | None = None
    alert_suppression: JsonObject | None = None
    investigation_fields: tuple[str, ...] = ()
    timestamp_override: str | None = None
    building_block: bool = False
    note: str | None = None
    note_file: str | None = None
    setup: str | None = None
    severity_mapping: tuple[JsonObject, ...] = ()
    risk_score_mapping: tuple[JsonObject, ...] = ()
    actions: tuple[str, ...] = ()
    enabled: bool | None = None
    environments: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    replaces: str | None = None
    query: str | None = None
    kibana: JsonObject | None = None
    location: Location = field(default=Location(""))


def read_elastic(reader: Reader) -> ElasticBlock:
    """The block that `reader` stands on; what is wrong is noted there and left out."""
    reader.refuse_unknown(KEYS)
    if reader.value.get("note") and reader.value.get("note_file"):
        reader.wrong("note_file", "the note is written twice", "keep `note` or `note_file`")
    return ElasticBlock(
        language=reader.choice("language", LANGUAGES),
        index=reader.texts("index"),
        interval=_duration(reader, "interval"),
        lookback=_duration(reader, "lookback"),
        risk_score=reader.integer("risk_score", 0, 100),
        max_signals=reader.integer("max_signals", 1, 10_000),
        type=_type(reader),
        threshold=reader.mapping("threshold"),
        new_terms_fields=reader.texts("new_terms_fields"),
        history_window_start=reader.text("history_window_start"),
        alert_suppression=reader.mapping("alert_suppression"),
        investigation_fields=reader.texts("investigation_fields"),
        timestamp_override=reader.text("timestamp_override"),
        building_block=bool(reader.flag("building_block")),
        note=reader.text("note"),
        note_file=reader.text("note_file"),
        setup=reader.text("setup"),
        severity_mapping=reader.mappings("severity_mapping"),
        risk_score_mapping=reader.mappings("risk_score_mapping"),
        actions=reader.texts("actions"),
        enabled=reader.flag("enabled"),
        environments=reader.texts("environments"),
        variants=_variants(reader),
        replaces=reader.text("replaces"),
        query=reader.text("query"),
        kibana=_verbatim(reader),
        location=reader.doc.at(*reader.keys),
    )


def _verbatim(reader: Reader) -> JsonObject | None:
    """`kibana`: fields of Kibana's rule, laid over what is compiled; null leaves a field out."""
    fields = reader.mapping("kibana")
    if fields is not None:
        below = reader.below("kibana", fields)
        for name in fields:
            if name in _NOT_VERBATIM:
                below.wrong(name, "not here", _NOT_VERBATIM[name])
    return fields


def _duration(reader: Reader, key: str) -> str | None:
    text = reader.text(key)
    if text is not None and not _DURATION.fullmatch(text):
        reader.wrong(key, f"{text!r} is not a duration", "write 30s, 5m, 1h or 2d")
        return None
    return text


def _type(reader: Reader) -> str | None:
    type_ = reader.choice("type", TYPES)
    if type_ == "threshold" and not reader.value.get("threshold"):
        reader.wrong("type", "a threshold rule needs `threshold`", "threshold: {field, value}")
    if type_ == "new_terms" and not reader.value.get("new_terms_fields"):
        reader.wrong("type", "a new_terms rule needs `new_terms_fields`")
    return type_


def _variants(reader: Reader) -> tuple[Variant, ...]:
    """`variants: [defend]`, or `variants: {defend: {index: […]}}`."""
    value: Any = reader.value.get("variants")
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(
            Variant(name, reader.doc.at(*reader.keys, "variants", n))
            for n, name in enumerate(reader.texts("variants"))
        )
    if not isinstance(value, Mapping):
        reader.wrong("variants", "must be a list of names, or a mapping of names to settings")
        return ()
    inner = reader.below("variants", value)
    return tuple(_variant(inner, str(name), each) for name, each in value.items())


def _variant(reader: Reader, name: str, value: Any) -> Variant:
    settings = reader.below(name, {} if value is None else value)
    settings.refuse_unknown(_VARIANT_KEYS)
    return Variant(
        name,
        reader.doc.at(*reader.keys, name),
        settings.texts("index"),
        settings.choice("language", LANGUAGES),
    )
